/** Ids, rows, stats and errors, from what the database speaks to messages and back. */

import type {
  NativeBatch,
  NativeIds,
  NativeInclude,
  NativeRows,
  NativeScroll,
} from '../../types/native.js'
import type { Id } from '../../types/values.js'
import { ERROR_CODES, type ErrorCode, OmenError } from '../errors.js'
import { isBigUint64Array, isFloat64Array, isUint32Array } from '../kinds.js'
import type { FlatHits } from '../rows/results.js'
import {
  bytesOf,
  bytesOfIntegers,
  floatsOf,
  integersOf,
  numbersOfIntegers,
  ownFloats,
  wordsOf,
} from './bytes.js'
import {
  create,
  type ErrorDetail,
  ErrorDetailSchema,
  type Id as IdMessage,
  IdSchema,
  type Ids as IdsMessage,
  IdsSchema,
  Include,
  type MessageInitShape,
  type Rows,
  RowsSchema,
  type SearchBatchResponse,
  SearchBatchResponseSchema,
} from './protocol.js'

export function idToMessage(id: Id): IdMessage {
  return create(IdSchema, {
    kind:
      typeof id === 'string' ? { case: 'text', value: id } : { case: 'integer', value: BigInt(id) },
  })
}

/** The id of a message, as it comes back from everywhere: a number where it fits. */
export function idOfMessage(message: IdMessage | undefined): Id {
  const kind = message?.kind
  if (kind?.case === 'text') return kind.value
  if (kind?.case !== 'integer') throw new OmenError('ERR_ID', 'an id has neither integer nor text')
  return integerOf(kind.value)
}

export function integerOf(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

/** ids[from, to), which were checked. */
export function idsToMessage(ids: NativeIds, from = 0, to = ids.length): IdsMessage {
  const integers = integerBytes(ids, from, to)
  if (integers !== undefined) return create(IdsSchema, { integers })
  const list = (ids as readonly Id[]).slice(from, to)
  return list.every((id) => typeof id === 'string')
    ? create(IdsSchema, { texts: list })
    : create(IdsSchema, { mixed: list.map(idToMessage) })
}

function integerBytes(ids: NativeIds, from: number, to: number): Uint8Array | undefined {
  if (isBigUint64Array(ids)) return bytesOf(ids.subarray(from, to))
  if (isUint32Array(ids) || isFloat64Array(ids)) return bytesOfIntegers(ids.subarray(from, to))
  const list = (ids as readonly Id[]).slice(from, to)
  if (list.every((id) => typeof id === 'number')) return bytesOfIntegers(list)
  if (list.some((id) => typeof id === 'string')) return undefined
  return bytesOf(BigUint64Array.from(list, (id) => BigInt(id)))
}

/** What native code takes; undefined where there are none. */
export function idsOfMessage(message: IdsMessage | undefined): NativeIds | undefined {
  if (message === undefined) return undefined
  const { integers, texts, mixed } = message
  const given = [integers, texts, mixed].filter((list) => list.length > 0)
  if (given.length > 1) {
    throw new OmenError('ERR_ID', 'ids are integers, texts or mixed: one of the three fields')
  }
  if (texts.length > 0) return texts
  if (mixed.length > 0) return mixed.map(idOfMessage)
  return integers.length > 0 ? integersOf(integers, 'ids.integers') : undefined
}

const INCLUDE_BITS: Record<Include, NativeInclude> = {
  [Include.UNSPECIFIED]: 1,
  [Include.METADATA]: 1,
  [Include.VECTOR]: 2,
  [Include.METADATA_AND_VECTOR]: 3,
  [Include.NONE]: 0,
}

export function includeBits(include: Include): NativeInclude {
  const bits: NativeInclude | undefined = INCLUDE_BITS[include]
  if (bits === undefined) throw new OmenError('ERR_ARGUMENT', `include ${include} is unknown`)
  return bits
}

/** By the bits of NativeInclude. */
const INCLUDES = [Include.NONE, Include.METADATA, Include.VECTOR, Include.METADATA_AND_VECTOR]

export function includeMessage(bits: NativeInclude): Include {
  return INCLUDES[bits] as Include
}

export function rowsToMessage(rows: NativeRows): Rows {
  const { count, dimensions, ids, distances, found, json, vectors, hasDates, approximate } = rows
  const init: MessageInitShape<typeof RowsSchema> = { count, dimensions, hasDates, approximate }
  if (ids !== undefined) init.ids = bytesOfIntegers(ids)
  if (distances !== undefined) init.distances = bytesOf(distances)
  if (found !== undefined) init.found = found
  if (json !== undefined) init.json = json
  if (vectors !== undefined) init.vectors = bytesOf(vectors)
  return create(RowsSchema, init)
}

/** Hits that lie flat in a buffer of this thread, as a message of their own. */
export function flatToMessage(flat: FlatHits, json: string | undefined, dimensions: number): Rows {
  const { count, ids, idsFrom, distances, distancesFrom, hasDates, approximate } = flat
  const near = distances.slice(distancesFrom, distancesFrom + count)
  const init: MessageInitShape<typeof RowsSchema> = { count, dimensions, hasDates, approximate }
  init.distances = bytesOf(near)
  if (ids !== undefined) init.ids = bytesOfIntegers(ids.subarray(idsFrom, idsFrom + count))
  if (json !== undefined) init.json = json
  return create(RowsSchema, init)
}

/** Rows as native code would have returned them, so that one builder of results serves both. */
export function rowsOfMessage(message: Rows, include: NativeInclude): NativeScroll {
  const { count, dimensions, hasDates, approximate, json } = message
  const rows: NativeRows = { count, dimensions, hasDates, approximate }
  if (message.ids.length > 0) rows.ids = numbersOfIntegers(message.ids, 'rows.ids')
  if (message.found.length > 0) rows.found = message.found
  rows.distances = floatsOf(message.distances, 'rows.distances')
  if (json !== undefined) rows.json = json
  if ((include & 2) !== 0) rows.vectors = floatsOf(message.vectors, 'rows.vectors')
  return rows
}

export function batchToMessage(batch: NativeBatch, k: number): SearchBatchResponse {
  const { counts, distances, ids, json, approximate } = batch
  const init: MessageInitShape<typeof SearchBatchResponseSchema> = {
    k,
    counts: bytesOf(counts),
    distances: bytesOf(distances),
    approximate,
  }
  if (ids !== undefined) init.ids = bytesOfIntegers(ids)
  if (json !== undefined) init.json = json
  return create(SearchBatchResponseSchema, init)
}

export function batchOfMessage(message: SearchBatchResponse): NativeBatch {
  const batch: NativeBatch = {
    counts: wordsOf(new Uint8Array(message.counts), 'counts'),
    distances: ownFloats(message.distances, 'distances'),
    approximate: message.approximate,
  }
  if (message.json !== undefined) batch.json = message.json
  else batch.ids = numbersOfIntegers(message.ids, 'ids')
  return batch
}

type Plain<T> = T extends bigint
  ? number
  : T extends (infer E)[]
    ? Plain<E>[]
    : T extends object
      ? { [K in keyof T as K extends '$typeName' | '$unknown' ? never : K]: Plain<T[K]> }
      : T

/** A message of numbers and texts as a plain object; integers of 64 bits become numbers. */
export function plainOf<T extends object>(message: T): Plain<T> {
  return plainValue(message) as Plain<T>
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plainValue)
  if (typeof value !== 'object' || value === null) return value
  const out: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(value)) {
    if (key !== '$typeName' && key !== '$unknown' && part !== undefined) out[key] = plainValue(part)
  }
  return out
}

/** What an OmenError says beside its message. */
export function errorToMessage(error: OmenError): ErrorDetail {
  const { row, path, id } = error.details
  const init: MessageInitShape<typeof ErrorDetailSchema> = { code: error.code }
  if (row !== undefined) init.row = row
  if (path !== undefined) init.path = path
  if (id !== undefined) init.id = idToMessage(id)
  return create(ErrorDetailSchema, init)
}

/** @param message  What the transport carried beside the detail. */
export function errorOfMessage(detail: ErrorDetail, message: string): OmenError {
  const details: { row?: number; path?: string; id?: Id } = {}
  if (detail.row !== undefined) details.row = detail.row
  if (detail.path !== undefined) details.path = detail.path
  if (detail.id?.kind.case !== undefined) details.id = idOfMessage(detail.id)
  const isKnown = Object.hasOwn(ERROR_CODES, detail.code)
  return new OmenError(isKnown ? (detail.code as ErrorCode) : 'ERR_UNAVAILABLE', message, {
    details,
  })
}
