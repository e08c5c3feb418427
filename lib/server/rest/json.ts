/** JSON of REST to messages of the contract, and back. */

import type { NativeInclude } from '../../../types/native.js'
import type { Id } from '../../../types/values.js'
import type { Makes } from '../../collection/search.js'
import { type ErrorCode, OmenError } from '../../errors.js'
import { filterToJson } from '../../filter.js'
import { idToJson, normalId } from '../../ids.js'
import { argumentError, DIMENSIONS_MAX } from '../../options.js'
import { describe, isPlain } from '../../text.js'
import { packRows, type Shape, toVector, type VectorSet, vectorSet } from '../../vectors.js'
import { bytesOf, floatsOf } from '../../wire/bytes.js'
import {
  batchOfMessage,
  flatToMessage,
  idsToMessage,
  plainOf,
  rowsOfMessage,
  rowsToMessage,
} from '../../wire/messages.js'
import {
  type Batch,
  BatchSchema,
  type CollectionStats,
  create,
  Include,
  type Rows,
  type SearchBatchResponse,
} from '../../wire/protocol.js'
import { checkJson, JSON_NUMBER_BYTES } from '../handlers/limits.js'
import { ID_FORMS, type IncludeJson, type RowsBody } from './schemas.js'

/** Throws ERR_METADATA. What else is in it is the engine's to judge. */
export function metadataText(value: unknown, row?: number): string {
  if (!isPlain(value)) {
    throw fault('ERR_METADATA', `metadata is an object, not ${describe(value)}`, { row })
  }
  const path = infiniteIn(value, '')
  if (path === undefined) return JSON.stringify(value)
  const message = 'a number past 1.8e308, which nobody can hold'
  throw fault('ERR_METADATA', message, { row, path })
}

/** Where JSON has a number like 1e999, which would be written as null: its path. */
function infiniteIn(value: unknown, path: string): string | undefined {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) return path
  if (typeof value !== 'object' || value === null) return undefined
  const isList = Array.isArray(value)
  for (const [key, part] of Object.entries(value)) {
    if (typeof part === 'string') continue
    const at = isList ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`
    const found = infiniteIn(part, at)
    if (found !== undefined) return found
  }
  return undefined
}

/** Throws ERR_FILTER. */
export function filterText(value: unknown): string | undefined {
  if (value === undefined || isPlain(value)) return filterToJson(value)
  const message = `a filter is an object such as {"year": {"$gte": 1999}}, not ${describe(value)}`
  throw fault('ERR_FILTER', message)
}

interface Where {
  row?: number | undefined
  path?: string
}

function fault(code: ErrorCode, message: string, { row, path }: Where = {}): OmenError {
  const where = (row === undefined ? '' : `row ${row}: `) + (path === undefined ? '' : `${path}: `)
  const details = { ...(row === undefined ? {} : { row }), ...(path === undefined ? {} : { path }) }
  return new OmenError(code, where + message, { details })
}

function idOf(json: unknown, row: number): Id {
  const isNumber = typeof json === 'number' && Number.isSafeInteger(json) && json >= 0
  if (isNumber || typeof json === 'string') return normalId(json, row)
  if (isPlain(json)) {
    const [key, ...others] = Object.keys(json)
    const digits = json.$int
    const isInteger = typeof digits === 'string' && /^\d{1,20}$/.test(digits)
    if (key === '$int' && others.length === 0 && isInteger) return normalId(BigInt(digits), row)
  }
  throw fault('ERR_ID', `an id is ${ID_FORMS}, not ${describe(json)}`, { row })
}

/** Throws ERR_ID. */
export function idsOf(json: unknown): Id[] {
  if (Array.isArray(json)) return json.map(idOf)
  throw fault('ERR_ID', `ids are a list, not ${describe(json)}`)
}

/** `i:1` or `s:abc`, as in paths. */
export function idOfPath(text: string): Id {
  if (/^i:\d{1,20}$/.test(text)) return normalId(BigInt(text.slice(2)))
  if (text.startsWith('s:')) return normalId(text.slice(2))
  throw new OmenError('ERR_ID', 'an id in a path is i:1 or s:abc')
}

const INCLUDES: Record<IncludeJson, Include> = {
  metadata: Include.METADATA,
  vector: Include.VECTOR,
  both: Include.METADATA_AND_VECTOR,
  none: Include.NONE,
}

export function includeOf(include: IncludeJson | undefined): Include {
  return include === undefined ? Include.UNSPECIFIED : INCLUDES[include]
}

function ofBase64(text: string, what: string, row?: number): Float32Array {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    throw fault('ERR_VECTOR', `${what} is a text that is no base64`, { row })
  }
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length % 4 === 0) return floatsOf(bytes, what)
  throw fault('ERR_VECTOR', `${what} has ${bytes.length} bytes, no multiple of 4`, { row })
}

/** The numbers of one vector, or its base64. Throws ERR_VECTOR. */
function vectorOf(json: unknown, row?: number): Float32Array {
  if (typeof json === 'string') return ofBase64(json, 'the vector', row)
  if (Array.isArray(json)) return toVector(json, row)
  throw fault('ERR_VECTOR', `a vector is numbers, or base64, not ${describe(json)}`, { row })
}

/** Throws ERR_VECTOR; ERR_DIMENSIONS where it has no numbers, which messages cannot tell. */
export function vectorBytes(json: unknown): Uint8Array {
  const vector = vectorOf(json)
  if (vector.length > 0) return bytesOf(vector)
  const message = `the vector has 0 dimensions; 1 to ${DIMENSIONS_MAX} are possible`
  throw new OmenError('ERR_DIMENSIONS', message)
}

/**
 * Rows of a batch: a list of vectors, or the numbers or base64 of all rows.
 *
 * @param known  By ids and by the collection; 0: unknown.
 * @throws {OmenError} ERR_VECTOR, ERR_DIMENSIONS, ERR_ARGUMENT.
 */
export function vectorsOf(
  json: unknown,
  known: Shape,
): { bytes: Uint8Array; rows: number; dimensions: number } {
  const set = setOf(json, known)
  return { bytes: bytesOf(packRows(set)), rows: set.rows, dimensions: set.dimensions }
}

/** The queries of a batch; `known` as for vectorsOf. */
export function queriesOf(json: unknown, known: Shape): ReturnType<typeof vectorsOf> {
  const isFlat = typeof json === 'string' || (Array.isArray(json) && typeof json[0] === 'number')
  if (!isFlat || known.dimensions > 0 || known.rows > 0) return vectorsOf(json, known)
  const message = 'the collection has no dimensions yet: pass the queries as a list of vectors'
  throw new OmenError('ERR_DIMENSIONS', message)
}

function setOf(json: unknown, known: Shape): VectorSet {
  if (typeof json === 'string') return vectorSet(ofBase64(json, 'vectors'), known)
  if (!Array.isArray(json)) {
    throw argumentError(`vectors are a list, or base64, not ${describe(json)}`)
  }
  const isFlat = typeof json[0] === 'number'
  return vectorSet(isFlat ? json : json.map(vectorOf), known)
}

/** Of bytes: how many rows they are. */
export function shapeOf(length: number, dimensions: number): { rows: number; dimensions: number } {
  if (dimensions === 0) {
    const message = 'the collection has no dimensions yet: give `dimensions`'
    throw new OmenError('ERR_DIMENSIONS', message)
  }
  const rows = length / 4 / dimensions
  if (!Number.isInteger(rows)) {
    const message = `${length} bytes are no whole vectors of ${dimensions} dimensions`
    throw new OmenError('ERR_DIMENSIONS', message)
  }
  return { rows, dimensions }
}

/** The rows of a JSON body as one batch, and the ids as they were given. */
export function batchOf(
  body: RowsBody,
  dimensionsKnown: number,
): { batch: Batch; rows: number; dimensions: number; ids: Id[] | undefined } {
  const { dimensions: wanted = dimensionsKnown } = body
  if (dimensionsKnown !== 0 && wanted !== dimensionsKnown) {
    const message = `vectors have ${wanted} dimensions, the collection has ${dimensionsKnown}`
    throw new OmenError('ERR_DIMENSIONS', message)
  }
  const ids = body.ids === undefined ? undefined : idsOf(body.ids)
  const given = { rows: ids?.length ?? 0, dimensions: wanted }
  const { bytes, rows, dimensions } = vectorsOf(body.vectors, given)
  if (ids !== undefined && ids.length !== rows) {
    throw argumentError(`${ids.length} ids for ${rows} vectors`)
  }
  const batch = create(BatchSchema, { vectors: bytes, metadata: metadataOf(body.metadata, rows) })
  if (ids !== undefined) batch.ids = idsToMessage(ids)
  return { batch, rows, dimensions, ids }
}

/** One text a row, '' for null. Throws ERR_ARGUMENT, ERR_METADATA. */
function metadataOf(json: unknown, rows: number): string[] {
  if (json === undefined) return []
  if (!Array.isArray(json)) {
    throw argumentError(`metadata of a batch is a list, one per row, not ${describe(json)}`)
  }
  if (json.length !== rows) {
    throw argumentError(`${json.length} entries of metadata for ${rows} vectors`)
  }
  return json.map((value, row) => (value === null ? '' : metadataText(value, row)))
}

interface RecordJson {
  id?: ReturnType<typeof idToJson>
  distance?: number
  metadata?: unknown
  vector?: number[]
  approximate?: true
}

/**
 * Rows as JSON has them; null where a get found none. Texts of metadata are parsed once, and dates
 * stay as they are written.
 */
export function recordsOf(
  rows: Rows,
  include: Include,
  ids?: readonly Id[],
): (RecordJson | null)[] {
  const bits = include === Include.VECTOR || include === Include.METADATA_AND_VECTOR ? 2 : 0
  const native = rowsOfMessage(rows, bits)
  const numbers = (native.vectors?.length ?? 0) * JSON_NUMBER_BYTES
  checkJson(native.count, (native.json?.length ?? 0) + numbers)
  const part = (native.json === undefined ? {} : JSON.parse(native.json)) as {
    ids?: ReturnType<typeof idToJson>[]
    metadata?: unknown[]
  }
  const withMetadata = include !== Include.VECTOR && include !== Include.NONE
  const out: (RecordJson | null)[] = []
  for (let i = 0; i < native.count; i++) {
    if (native.found !== undefined && native.found[i] !== 1) {
      out.push(null)
      continue
    }
    const id = ids === undefined ? (native.ids?.[i] ?? part.ids?.[i]) : idToJson(ids[i] as Id)
    const record: RecordJson = { id: id as ReturnType<typeof idToJson> }
    if (rows.distances.length > 0) record.distance = native.distances?.[i] as number
    if (withMetadata) record.metadata = part.metadata?.[i] ?? {}
    if (native.vectors !== undefined) record.vector = numbersOf(native.vectors, i, rows.dimensions)
    if (rows.approximate) record.approximate = true
    out.push(record)
  }
  return out
}

/** The answer of a search, as `JSON.stringify({ hits: recordsOf(...) })` would write it. */
export function hitsText(
  include: NativeInclude,
  { dimensions }: { readonly dimensions: number },
): Makes<string> {
  const message = INCLUDE_OF_BITS[include] as Include
  const text = (rows: Rows): string => JSON.stringify({ hits: recordsOf(rows, message) })
  return {
    rows: (rows) => text(rowsToMessage(rows)),
    flat(hits, json) {
      const { count, ids, idsFrom, distances, distancesFrom, approximate } = hits
      if (ids === undefined || json !== undefined) {
        return text(flatToMessage(hits, json, dimensions))
      }
      const metadata = include === 1 ? ',"metadata":{}' : ''
      const rest = approximate ? `${metadata},"approximate":true` : metadata
      let out = '{"hits":['
      for (let i = 0; i < count; i++) {
        const distance = distances[distancesFrom + i]
        out += `${i === 0 ? '' : ','}{"id":${ids[idsFrom + i]},"distance":${distance}${rest}}`
      }
      return `${out}]}`
    },
  }
}

/** By the bits of NativeInclude. */
const INCLUDE_OF_BITS = [
  Include.NONE,
  Include.METADATA,
  Include.VECTOR,
  Include.METADATA_AND_VECTOR,
]

function numbersOf(vectors: Float32Array, i: number, dimensions: number): number[] {
  return Array.from(vectors.subarray(i * dimensions, (i + 1) * dimensions))
}

export function resultsOf(message: SearchBatchResponse): object {
  const { k, approximate } = message
  const batch = batchOfMessage(message)
  checkJson(batch.counts.length * k, batch.json?.length ?? 0)
  const ids =
    batch.json === undefined ? batch.ids : (JSON.parse(batch.json) as ReturnType<typeof idToJson>[])
  const results = Array.from(batch.counts, (count, i) =>
    Array.from({ length: count }, (_, j) => ({
      id: ids?.[i * k + j],
      distance: batch.distances[i * k + j],
    })),
  )
  return approximate ? { k, results, approximate } : { k, results }
}

export function statsOf(message: CollectionStats): object {
  const { schema, ...stats } = plainOf(message)
  const nextId = idToJson(normalId(message.nextId))
  return schema === undefined
    ? { ...stats, nextId }
    : { ...stats, nextId, schema: JSON.parse(schema) }
}

/** How many queries bytes hold. */
export function countOf(bytes: Uint8Array, given: number | undefined, dimensions: number): number {
  return given ?? shapeOf(floatsOf(bytes, 'queries').length * 4, dimensions).rows
}
