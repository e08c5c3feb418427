/**
 * Types of Arrow as values of records, and those that records cannot hold.
 *
 * A type is taken if every value of it reads back as what it was: bytes, decimals, times of day and
 * spans of time are none of JSON's, and are refused by the column's name.
 */

import type * as Arrow from 'apache-arrow'

type Library = typeof Arrow
type Read = (value: unknown) => unknown

/** Columns that records cannot hold, and their types. */
export function refusedArrowColumns(arrow: Library, schema: Arrow.Schema): Map<string, string> {
  const found = new Map<string, string>()
  for (const { name, type } of schema.fields) {
    const refused = refusedIn(arrow, type)
    if (refused === undefined) continue
    const [outer, inner] = [String(type), String(refused)]
    found.set(name, outer === inner ? outer : `${outer}, with ${inner} in it`)
  }
  return found
}

/** The first part of a type that records cannot hold. */
function refusedIn({ DataType }: Library, type: Arrow.DataType): Arrow.DataType | undefined {
  const walk = (each: Arrow.DataType): Arrow.DataType | undefined => {
    if (DataType.isDictionary(each)) return walk(each.dictionary as Arrow.DataType)
    if (DataType.isMap(each)) {
      const [key, value] = entryOf(each)
      return isText(DataType, key) ? walk(value) : each
    }
    if (isNested(DataType, each)) {
      for (const child of each.children) {
        const found = walk(child.type)
        if (found !== undefined) return found
      }
      return undefined
    }
    return isPlain(DataType, each) ? undefined : each
  }
  return walk(type)
}

/** The types of keys and values. */
function entryOf(map: Arrow.Map_): [Arrow.DataType, Arrow.DataType] {
  const entry = (map.children[0] as Arrow.Field).type as Arrow.Struct
  const [key, value] = entry.children as [Arrow.Field, Arrow.Field]
  return [key.type, value.type]
}

type Types = Library['DataType']

function isText(types: Types, type: Arrow.DataType): boolean {
  return types.isUtf8(type) || types.isLargeUtf8(type) || types.isUtf8View(type)
}

function isNested(types: Types, type: Arrow.DataType): boolean {
  return isList(types, type) || types.isStruct(type)
}

function isList(types: Types, type: Arrow.DataType): boolean {
  return types.isList(type) || types.isLargeList(type) || types.isFixedSizeList(type)
}

function isTime(types: Types, type: Arrow.DataType): boolean {
  return types.isDate(type) || types.isTimestamp(type)
}

function isPlain(types: Types, type: Arrow.DataType): boolean {
  return (
    types.isNull(type) ||
    types.isInt(type) ||
    types.isFloat(type) ||
    types.isBool(type) ||
    isTime(types, type) ||
    isText(types, type)
  )
}

/** How values of a type that is not refused become those of records; null stays null. */
export function readerOf(arrow: Library, type: Arrow.DataType): Read {
  const { DataType } = arrow
  if (DataType.isDictionary(type)) return readerOf(arrow, type.dictionary as Arrow.DataType)
  if (isTime(DataType, type)) return (value) => new Date(Number(value))
  if (isList(DataType, type)) {
    const inner = type.children[0]?.type as Arrow.DataType
    const isFloats = DataType.isFloat(inner) && inner.precision === arrow.Precision.SINGLE
    const read = readerOf(arrow, inner)
    return (value) => {
      const list = value as Arrow.Vector
      if (isFloats && list.nullCount === 0) return list.toArray()
      return Array.from(list, (v: unknown) => (v === null ? null : read(v)))
    }
  }
  if (DataType.isStruct(type)) {
    const fields = type.children.map((f) => [f.name, readerOf(arrow, f.type)] as const)
    return (value) => {
      const out = Object.create(null) as Record<string, unknown>
      for (const [key, read] of fields) {
        const inner = (value as Record<string, unknown>)[key]
        out[key] = inner === null || inner === undefined ? null : read(inner)
      }
      return out
    }
  }
  if (DataType.isMap(type)) {
    const read = readerOf(arrow, entryOf(type)[1])
    return (value) => {
      const out = Object.create(null) as Record<string, unknown>
      for (const [key, inner] of value as Iterable<[string, unknown]>) {
        out[key] = inner === null || inner === undefined ? null : read(inner)
      }
      return out
    }
  }
  return (value) => value
}

const REPLACED = '\ufffd'

/** Whether a text has the sign that the library puts where bytes are not UTF-8. */
export function mayHaveBadText(value: unknown): boolean {
  if (typeof value === 'string') return value.includes(REPLACED)
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  return Object.entries(value).some(([k, v]) => k.includes(REPLACED) || mayHaveBadText(v))
}

/** Whether bytes of a text in a column are not UTF-8: the sign may also be what the text says. */
export function hasBadText(arrow: Library, column: Arrow.Data | undefined): boolean {
  if (column === undefined) return false
  const { DataType } = arrow
  const { type } = column
  if (DataType.isDictionary(type)) {
    return column.dictionary?.data.some((d: Arrow.Data) => hasBadText(arrow, d)) ?? false
  }
  if (!isText(DataType, type)) return column.children.some((child) => hasBadText(arrow, child))
  const bytes = DataType.isUtf8(type)
    ? new arrow.Binary()
    : DataType.isLargeUtf8(type)
      ? new arrow.LargeBinary()
      : new arrow.BinaryView()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    for (const each of new arrow.Vector([column.clone(bytes as never)])) {
      if (each !== null) decoder.decode(each as Uint8Array)
    }
  } catch {
    return true
  }
  return false
}
