/** Values of files as metadata has them: JSON values and Dates. */

import { reviveDates } from '../../metadata.js'
import { describe } from '../../text.js'
import { Unreadable } from '../formats/format.js'
import { jsonReason, parseJson } from '../wire.js'
import type { Fault } from './columns.js'

/** Nested objects and arrays of a record: the database's bound. */
const DEPTH_MAX = 64

/** What a column `metadata` holds: an object, its JSON text, or nothing. */
export function metadataOf(value: unknown, fault: Fault): Record<string, unknown> {
  if (value instanceof Unreadable) throw fault('ERR_METADATA', value.reason)
  let object: unknown
  try {
    object = reviveDates(typeof value === 'string' ? parseJson(value) : value)
  } catch (error) {
    if (error instanceof RangeError) throw fault('ERR_METADATA', 'the metadata is nested too deep')
    throw fault('ERR_METADATA', `the metadata is not JSON: ${jsonReason(error)}`)
  }
  if (object === undefined || object === null) return {}
  if (typeof object !== 'object' || Array.isArray(object)) {
    throw fault('ERR_METADATA', `metadata is an object, not ${describe(object)}`)
  }
  return plain(object, 'metadata', fault) as Record<string, unknown>
}

/** Integers of 64 bits as numbers, typed arrays as lists; what would lose something is refused. */
export function plain(value: unknown, name: string, fault: Fault, depth = 1): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value)
    if (Number.isSafeInteger(number)) return number
    // What a number past that was exported as reads back as the same number.
    if (BigInt(number) === value || String(number) === String(value)) return number
    throw fault('ERR_METADATA', `${name}: ${value} is past 2^53 - 1; keep it as a text`)
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (value instanceof Unreadable) throw fault('ERR_METADATA', `${name}: ${value.reason}`)
  if (value instanceof Uint8Array) {
    throw fault('ERR_METADATA', `${name} holds bytes, which metadata cannot; leave it out`)
  }
  if (depth > DEPTH_MAX) {
    throw fault('ERR_METADATA', `${name.slice(0, 40)} is nested more than ${DEPTH_MAX} deep`)
  }
  if (Array.isArray(value)) {
    // Most lists are as they should be, and are not copied.
    return value.some(needsWork) ? value.map((v) => plain(v, name, fault, depth + 1)) : value
  }
  if (ArrayBuffer.isView(value)) {
    const list = Array.from(value as unknown as ArrayLike<unknown>)
    return list.map((v) => plain(v, name, fault))
  }
  const entries = Object.entries(value)
  if (!entries.some(([, v]) => needsWork(v))) return value
  const out = Object.create(null) as Record<string, unknown>
  for (const [key, inner] of entries) {
    out[key] = plain(inner, `${name}.${key}`, fault, depth + 1)
  }
  return out
}

const needsWork = (value: unknown): boolean =>
  typeof value === 'bigint' || (typeof value === 'object' && value !== null)
