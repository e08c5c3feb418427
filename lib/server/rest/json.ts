/** JSON of REST to messages of the contract, and back. */

import type { NativeInclude } from '../../../types/native.js'
import type { Id } from '../../../types/values.js'
import type { Makes } from '../../collection/search.js'
import { idFromJson, OmenError } from '../../errors.js'
import { idToJson, normalId } from '../../ids.js'
import { argumentError } from '../../options.js'
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
import type { IdJson, IncludeJson, RowsBody } from './schemas.js'

/** An object nested too deep for the engine to read is refused there; here for JSON.stringify. */
export function textOf(value: object | null | undefined): string | undefined {
  return value === undefined || value === null ? undefined : JSON.stringify(value)
}

export function idOf(json: IdJson, row?: number): Id {
  return normalId(idFromJson(json), row)
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

function ofBase64(text: string, what: string): Uint8Array {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    throw new OmenError('ERR_VECTOR', `${what} is a text that is no base64`)
  }
  return Buffer.from(text, 'base64')
}

export function vectorBytes(vector: string | number[]): Uint8Array {
  return typeof vector === 'string'
    ? ofBase64(vector, 'vector')
    : bytesOf(Float32Array.from(vector))
}

/** Rows of a batch. `dimensions`: what is known; 0: not yet. */
export function vectorsOf(
  vectors: RowsBody['vectors'],
  dimensions: number,
): { bytes: Uint8Array; rows: number; dimensions: number } {
  if (typeof vectors === 'string') {
    const bytes = ofBase64(vectors, 'vectors')
    return { bytes, ...shapeOf(bytes.length, dimensions) }
  }
  const parts = vectors.map(vectorBytes)
  const known = dimensions || (parts[0]?.length ?? 0) / 4
  const misfit = parts.findIndex((part) => part.length !== known * 4)
  if (misfit >= 0) {
    const found = (parts[misfit] as Uint8Array).length / 4
    const message = `row ${misfit}: ${found} dimensions, not ${known}`
    throw new OmenError('ERR_DIMENSIONS', message, { details: { row: misfit } })
  }
  return { bytes: Buffer.concat(parts), rows: parts.length, dimensions: known }
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
  known: number,
): { batch: Batch; rows: number; dimensions: number; ids: Id[] | undefined } {
  const { bytes, rows, dimensions } = vectorsOf(body.vectors, body.dimensions ?? known)
  const ids = body.ids?.map(idOf)
  if (ids !== undefined && ids.length !== rows) {
    throw argumentError(`${ids.length} ids for ${rows} vectors`)
  }
  const metadata = body.metadata?.map((value) => textOf(value) ?? '') ?? []
  const batch = create(BatchSchema, { vectors: bytes, metadata })
  if (ids !== undefined) batch.ids = idsToMessage(ids)
  return { batch, rows, dimensions, ids }
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
    if (native.vectors !== undefined) record.vector = vectorOf(native.vectors, i, rows.dimensions)
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

function vectorOf(vectors: Float32Array, i: number, dimensions: number): number[] {
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
