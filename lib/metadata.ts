/**
 * Metadata: objects to JSON text and back.
 *
 * Why a walk of our own: JSON.stringify turns NaN into null, drops functions, calls toJSON and
 * writes a Date as a string, all in silence. The walk refuses what would not read back as it was,
 * and tells whether JSON.stringify may do the rest: it may unless there are Dates.
 */

import { OmenError } from './errors.js'
import { isDate } from './kinds.js'
import { describe } from './text.js'

/** Nested objects and arrays of one record: the engine's bound. */
const DEPTH_MAX = 64
const TEXT_BYTES_MAX = 2 ** 20

/**
 * The JSON text of one record's metadata.
 *
 * @param row  For messages: the row of the batch, or undefined for a single record.
 * @throws {OmenError} ERR_METADATA with `details.path` and `details.row`.
 */
export function metadataToJson(value: unknown, row?: number): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fault('', row, `metadata is a plain object, not ${describe(value)}`)
  }
  const reason = refusal(value)
  if (reason !== undefined) throw fault('', row, reason)
  const hasDates = new Walk(row).object(value as Record<string, unknown>, '', 1)
  return hasDates ? objectToJson(value as Record<string, unknown>) : JSON.stringify(value)
}

function fault(path: string, row: number | undefined, message: string): OmenError {
  const where = `${row === undefined ? '' : `row ${row}: `}${path === '' ? '' : `${path}: `}`
  return new OmenError('ERR_METADATA', where + message, {
    details: { ...(row === undefined ? {} : { row }), ...(path === '' ? {} : { path }) },
  })
}

// What makes an object other than plain data: undefined if it is plain. Instances of classes count
// as data with their own fields.
function refusal(object: object): string | undefined {
  if (typeof (object as { toJSON?: unknown }).toJSON === 'function' && !isDate(object)) {
    return 'an object with a toJSON method is not plain; store what the method returns'
  }
  const prototype = Object.getPrototypeOf(object)
  if (prototype === Object.prototype || prototype === null) return undefined
  const tag = Object.prototype.toString.call(object)
  return tag === '[object Object]' ? undefined : `${describe(object)} is not JSON`
}

/** Checks one record; each method tells whether there is a Date in what it was given. */
class Walk {
  readonly #row: number | undefined
  // Of the text to come, at least. Counted because an object that many others share is written as
  // often: thirty levels of { l: x, r: x } are a thousand million.
  #bytes = 0

  constructor(row: number | undefined) {
    this.#row = row
  }

  object(object: Record<string, unknown>, path: string, depth: number): boolean {
    let hasDates = false
    for (const key of Object.keys(object)) {
      const value = object[key]
      if (value === undefined) continue
      if (key.charCodeAt(0) === 36 || key.includes('.')) {
        const at = path === '' ? key : `${path}.${key}`
        throw fault(
          at,
          this.#row,
          "keys hold no '.' and do not start with '$': filters could not name them",
        )
      }
      // Two quotes, a colon, a comma, and a byte of the value.
      this.#count(key.length + (typeof value === 'string' ? value.length : 0) + 5, path)
      // Most values are scalars: their path is only put together for a message.
      if (typeof value === 'string' || typeof value === 'boolean' || value === null) continue
      if (typeof value === 'number' && Number.isFinite(value)) continue
      if (this.#value(value, path === '' ? key : `${path}.${key}`, depth)) hasDates = true
    }
    return hasDates
  }

  #count(bytes: number, path: string): void {
    this.#bytes += bytes
    // One more: there is no comma after the last.
    if (this.#bytes <= TEXT_BYTES_MAX + 1) return
    throw fault(shortened(path), this.#row, 'the metadata of a record has at most 1 MiB of JSON')
  }

  #list(list: readonly unknown[], path: string, depth: number): boolean {
    let hasDates = false
    for (let i = 0; i < list.length; i++) {
      const value = list[i]
      this.#count((typeof value === 'string' ? value.length : 0) + 2, path)
      if (typeof value === 'string' || typeof value === 'boolean' || value === null) continue
      if (typeof value === 'number' && Number.isFinite(value)) continue
      if (this.#value(value, `${path}[${i}]`, depth)) hasDates = true
    }
    return hasDates
  }

  #value(value: unknown, path: string, depth: number): boolean {
    if (typeof value === 'number') {
      throw fault(path, this.#row, `${value} is not a JSON number; leave the key out, or use null`)
    }
    if (typeof value === 'bigint') {
      const message = `${value}n is a bigint, which JSON has not; use a number or a string`
      throw fault(path, this.#row, message)
    }
    if (value === undefined) throw fault(path, this.#row, 'undefined within an array; use null')
    if (typeof value !== 'object' || value === null) {
      throw fault(path, this.#row, `${describe(value)} is not JSON`)
    }
    if (isDate(value)) {
      if (Number.isNaN(value.getTime())) throw fault(path, this.#row, 'the date is invalid')
      return true
    }
    if (depth >= DEPTH_MAX) {
      const message = `circular, or nested deeper than ${DEPTH_MAX} levels`
      throw fault(shortened(path), this.#row, message)
    }
    const reason = Array.isArray(value) && !('toJSON' in value) ? undefined : refusal(value)
    if (reason !== undefined) throw fault(path, this.#row, reason)
    if (Array.isArray(value)) return this.#list(value, path, depth + 1)
    return this.object(value as Record<string, unknown>, path, depth + 1)
  }
}

function shortened(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}...` : path
}

// JSON.stringify would call Date.toJSON before anything else could see the Date, so records that
// have one are written here. They were checked by the walk.
function objectToJson(object: Record<string, unknown>): string {
  let text = ''
  for (const key of Object.keys(object)) {
    const value = object[key]
    if (value === undefined) continue
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${valueToJson(value)}`
  }
  return `{${text}}`
}

function valueToJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isDate(value)) return `{"$date":"${value.toISOString()}"}`
  if (Array.isArray(value)) return `[${value.map(valueToJson).join(',')}]`
  return objectToJson(value as Record<string, unknown>)
}

/** Turns every {"$date": ISO} of parsed JSON into a Date, in place. Returns the value. */
export function reviveDates(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = reviveDates(value[i])
    return value
  }
  const object = value as Record<string, unknown>
  const keys = Object.keys(object)
  if (keys.length === 1 && keys[0] === '$date') return new Date(object.$date as string)
  for (const key of keys) {
    const old = object[key]
    const revived = reviveDates(old)
    // Defined, not assigned: an own property may be called __proto__.
    if (revived !== old) {
      Object.defineProperty(object, key, {
        value: revived,
        writable: true,
        enumerable: true,
        configurable: true,
      })
    }
  }
  return value
}
