/**
 * Ids: what callers give, checked and brought into the form that comes back.
 *
 * 5 and 5n are one id: a bigint that a number holds becomes that number.
 */

import type { NativeIds } from '../types/native.js'
import type { Id } from '../types/values.js'
import { OmenError } from './errors.js'
import { isBigUint64Array, isFloat64Array, isProxy, isUint32Array, utf8Bytes } from './kinds.js'
import { describe } from './text.js'
import { isDetached } from './vectors.js'

const INTEGER_MAX = 2n ** 64n - 1n
const TEXT_BYTES_MAX = 512
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/

function fault(message: string, row: number | undefined): OmenError {
  return new OmenError('ERR_ID', row === undefined ? message : `row ${row}: ${message}`, {
    details: row === undefined ? {} : { row },
  })
}

/** The id as it is stored and comes back. Throws ERR_ID. */
export function normalId(id: unknown, row?: number): Id {
  switch (typeof id) {
    case 'number':
      if (Number.isSafeInteger(id) && id >= 0) return id === 0 ? 0 : id
      if (!Number.isInteger(id) || id < 0) {
        throw fault(`an id is a string or an integer from 0, not ${describe(id)}`, row)
      }
      throw fault(`the id ${id} is past 2^53 - 1, where numbers round: give a bigint`, row)
    case 'bigint':
      if (id < 0n || id > INTEGER_MAX) throw fault(`the id ${id} is not from 0 to 2^64 - 1`, row)
      return id <= Number.MAX_SAFE_INTEGER ? Number(id) : id
    case 'string':
      checkText(id, row)
      return id
    default:
      throw fault(`an id is a string or an integer from 0, not ${describe(id)}`, row)
  }
}

function checkText(id: string, row: number | undefined): void {
  if (id === '') throw fault('an id is not empty', row)
  // UTF-8 takes one to three bytes a UTF-16 unit: only in between must they be counted.
  if (id.length * 3 > TEXT_BYTES_MAX && utf8Bytes(id) > TEXT_BYTES_MAX) {
    throw fault(`an id has at most ${TEXT_BYTES_MAX} bytes of UTF-8, not ${describe(id)}`, row)
  }
  if (LONE_SURROGATE.test(id)) throw fault(`a lone surrogate in ${describe(id)}`, row)
}

/** Whether a value is many ids rather than one. */
export function isIds(value: unknown): value is NativeIds {
  return Array.isArray(value) || isIdArray(value)
}

function isIdArray(value: unknown): value is Uint32Array | Float64Array | BigUint64Array {
  return isUint32Array(value) || isFloat64Array(value) || isBigUint64Array(value)
}

/** Checks that a value is a list of ids. Throws ERR_ID, ERR_DETACHED. */
export function idList(value: unknown): NativeIds {
  if (isIdArray(value) && isDetached(value)) {
    throw new OmenError('ERR_DETACHED', 'the array of ids is detached')
  }
  if (Array.isArray(value)) return isProxy(value) ? [...value] : value
  if (isIdArray(value)) return value
  throw fault(
    `ids are an array, Uint32Array, Float64Array or BigUint64Array, not ${describe(value)}`,
    undefined,
  )
}

/** Checks ids[from, to), so that messages name the row. */
export function checkIds(ids: NativeIds, from: number, to: number): void {
  if (isUint32Array(ids) || isBigUint64Array(ids)) return
  for (let i = from; i < to; i++) normalId(ids[i], i)
}

/** The ids as they come back. */
export function normalIds(given: NativeIds): Id[] {
  const ids = idList(given)
  const out = new Array<Id>(ids.length)
  for (let i = 0; i < ids.length; i++) out[i] = normalId(ids[i], i)
  return out
}

/** The ids that a write without ids was given. */
export function generatedIds(first: number | bigint, count: number): Id[] {
  const out = new Array<Id>(count)
  if (typeof first === 'number' && first + count <= Number.MAX_SAFE_INTEGER) {
    for (let i = 0; i < count; i++) out[i] = first + i
  } else {
    for (let i = 0; i < count; i++) out[i] = normalId(BigInt(first) + BigInt(i))
  }
  return out
}

/** An id as JSON has it: `{"$int": "..."}` past 2^53 - 1. */
export function idToJson(id: Id): number | string | { $int: string } {
  return typeof id === 'bigint' ? { $int: String(id) } : id
}
