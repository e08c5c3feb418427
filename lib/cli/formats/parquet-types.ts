/**
 * Types of Parquet as values of records, and those that records cannot hold.
 *
 * A column may say what it holds in two ways: by the converted type of old, or by the logical type.
 * The library goes by the first for most; here the second makes up for it where it stands alone.
 */

import { jsonReason, parseJson } from '../wire.js'
import { Unreadable } from './format.js'
import type { ParquetLibrary } from './parquet-library.js'

type Metadata = Awaited<ReturnType<ParquetLibrary['parquetMetadataAsync']>>
type Element = Metadata['schema'][number]
type Node = ReturnType<ParquetLibrary['parquetSchema']>

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Bytes that are no text stay bytes, which metadata refuses by the column's name. */
function textOf<T extends Uint8Array | undefined>(bytes: T): string | T {
  if (bytes === undefined || bytes === null) return bytes
  try {
    return decoder.decode(bytes)
  } catch {
    return bytes
  }
}

export const parsers = {
  stringFromBytes: textOf,
  jsonFromBytes(bytes: Uint8Array | undefined): unknown {
    const text = textOf(bytes)
    if (typeof text !== 'string') return text
    try {
      return parseJson(text)
    } catch (error) {
      return new Unreadable(`the column is JSON, and this is none: ${jsonReason(error)}`)
    }
  },
}

const CONVERTED = {
  DATE: 'DATE',
  DECIMAL: 'DECIMAL',
  ENUM: 'ENUM',
  JSON: 'JSON',
  LIST: 'LIST',
  MAP: 'MAP',
  STRING: 'UTF8',
} as const

/** Gives each column whose logical type stands alone the converted type that means the same. */
export function unifyTypes({ schema }: Metadata): void {
  for (const element of schema) {
    const { logical_type, converted_type } = element
    if (logical_type === undefined || converted_type !== undefined) continue
    const same = CONVERTED[logical_type.type as keyof typeof CONVERTED]
    if (same !== undefined) element.converted_type = same
    if (logical_type.type !== 'DECIMAL') continue
    element.scale ??= logical_type.scale
    element.precision ??= logical_type.precision
  }
}

/** Columns that records cannot hold, and their types. */
export function refusedParquetColumns(schema: Node): Map<string, string> {
  const found = new Map<string, string>()
  for (const column of schema.children) {
    const refused = refusedIn(column, false)
    if (refused === undefined) continue
    found.set(column.element.name, refused)
  }
  return found
}

function refusedIn({ element, children }: Node, isWithin: boolean): string | undefined {
  const type = refusedType(element, isWithin)
  if (type !== undefined) return isWithin ? `${type}, within lists or objects` : type
  for (const child of children) {
    const found = refusedIn(child, true)
    if (found !== undefined) return found
  }
  return undefined
}

function refusedType(element: Element, isWithin: boolean): string | undefined {
  const { type, type_length, converted_type, logical_type } = element
  const said = logical_type === undefined ? converted_type : logical_type.type
  // Of logical types that are younger than the library it tells none.
  if (logical_type !== undefined && said === undefined) return 'that is not known'
  if (said === 'VARIANT' || said === 'TIME' || said === 'BSON') return said
  if (converted_type === 'BSON' || converted_type === 'INTERVAL') return converted_type
  if (converted_type === 'TIME_MILLIS' || converted_type === 'TIME_MICROS') return converted_type
  if (said === 'DECIMAL' || converted_type === 'DECIMAL') return isWithin ? 'DECIMAL' : undefined
  if (type !== 'FIXED_LEN_BYTE_ARRAY') return undefined
  if (said === 'UUID' || said === 'FLOAT16' || converted_type === 'UTF8') return undefined
  return `${type}(${type_length})`
}
