/** Values of files as metadata has them: JSON values and Dates. */

import { reviveDates } from '../../metadata.js'
import { describe } from '../../text.js'
import type { Fault } from './columns.js'

/** What a column `metadata` holds: an object, its JSON text, or nothing. */
export function metadataOf(value: unknown, fault: Fault): Record<string, unknown> {
  let object = value
  if (typeof value === 'string') {
    try {
      object = JSON.parse(value)
    } catch (error) {
      const reason = (error as Error).message.split(', "')[0]
      throw fault('ERR_METADATA', `the metadata is not JSON: ${reason}`)
    }
  }
  if (object === undefined || object === null) return {}
  if (typeof object !== 'object' || Array.isArray(object)) {
    throw fault('ERR_METADATA', `metadata is an object, not ${describe(object)}`)
  }
  return plain(reviveDates(object), 'metadata', fault) as Record<string, unknown>
}

/** Integers of 64 bits as numbers, typed arrays as lists; what would lose something is refused. */
export function plain(value: unknown, name: string, fault: Fault): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value)
    if (Number.isSafeInteger(number)) return number
    throw fault('ERR_METADATA', `${name}: ${value} is past 2^53 - 1; keep it as a text`)
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (value instanceof Uint8Array) {
    throw fault('ERR_METADATA', `${name} holds bytes, which metadata cannot; leave it out`)
  }
  if (Array.isArray(value)) {
    // Most lists are as they should be, and are not copied.
    return value.some(needsWork) ? value.map((v) => plain(v, name, fault)) : value
  }
  if (ArrayBuffer.isView(value)) {
    const list = Array.from(value as unknown as ArrayLike<unknown>)
    return list.map((v) => plain(v, name, fault))
  }
  const entries = Object.entries(value)
  if (!entries.some(([, v]) => needsWork(v))) return value
  const out = Object.create(null) as Record<string, unknown>
  for (const [key, inner] of entries) out[key] = plain(inner, `${name}.${key}`, fault)
  return out
}

const needsWork = (value: unknown): boolean =>
  typeof value === 'bigint' || (typeof value === 'object' && value !== null)
