/** Results: rows, hits and batches of hits, from what native code returns. */

import type { NativeBatch, NativeInclude, NativeRows } from '../../types/native.js'
import type { BatchHit, BatchHits } from '../../types/records.js'
import type { Id } from '../../types/values.js'
import { idFromJson, OmenError } from '../errors.js'
import { reviveDates } from '../metadata.js'

/** A row before its type is narrowed by `include`. */
export interface AnyRow {
  id: Id
  distance?: number
  metadata?: unknown
  vector?: Float32Array
  approximate?: true
}

/** What the JSON text of a result holds. */
interface JsonPart {
  ids?: unknown[]
  metadata?: unknown[]
}

function parsePart(json: string | undefined, hasDates: boolean): JsonPart {
  if (json === undefined) return {}
  const part = JSON.parse(json) as JsonPart
  if (hasDates) reviveDates(part.metadata)
  return part
}

// Parsing many `{}` costs more than the search of a small collection, and records without metadata
// are common: their text is known before it comes. By the number of hits.
const emptyTexts: string[] = []

function isEmptyMetadata(json: string, count: number): boolean {
  if (count === 0 || count > 100) return false
  emptyTexts[count] ??= `{"metadata":[${new Array(count).fill('{}').join(',')}]}`
  return json === emptyTexts[count]
}

/** Hits without vectors, in flat arrays: those of hit i lie i places after the first ones. */
export interface FlatHits {
  count: number
  /** undefined: they are in the JSON text. */
  ids: Float64Array | undefined
  idsFrom: number
  distances: Float32Array
  distancesFrom: number
  hasDates: boolean
  approximate: boolean
}

export function flatHits(): FlatHits {
  return {
    count: 0,
    ids: undefined,
    idsFrom: 0,
    distances: new Float32Array(0),
    distancesFrom: 0,
    hasDates: false,
    approximate: false,
  }
}

/**
 * Hits from flat arrays. Each shape of hit is made by a literal of its own: this is the fast path
 * of searchSync.
 */
export function hitsFrom(
  flat: FlatHits,
  json: string | undefined,
  withMetadata: boolean,
): AnyRow[] {
  const hits = exactHits(flat, json, withMetadata)
  if (flat.approximate) for (const hit of hits) hit.approximate = true
  return hits
}

function exactHits(flat: FlatHits, json: string | undefined, withMetadata: boolean): AnyRow[] {
  const { count, ids, idsFrom, distances, distancesFrom } = flat
  const hits = new Array<AnyRow>(count)
  if (ids !== undefined && (json === undefined || isEmptyMetadata(json, count))) {
    for (let i = 0; i < count; i++) {
      const id = ids[idsFrom + i] as number
      const distance = distances[distancesFrom + i] as number
      hits[i] = withMetadata ? { id, distance, metadata: {} } : { id, distance }
    }
    return hits
  }
  const part = parsePart(json, flat.hasDates)
  for (let i = 0; i < count; i++) {
    const id = ids === undefined ? idFromJson(part.ids?.[i]) : (ids[idsFrom + i] as number)
    const distance = distances[distancesFrom + i] as number
    hits[i] = withMetadata ? { id, distance, metadata: part.metadata?.[i] ?? {} } : { id, distance }
  }
  return hits
}

/** Hits of NativeRows, with what `include` asked for. */
export function hitsOf(rows: NativeRows, include: NativeInclude): AnyRow[] {
  const { count, ids, json, hasDates, approximate } = rows
  const distances = rows.distances as Float32Array
  const flat = { count, ids, idsFrom: 0, distances, distancesFrom: 0, hasDates, approximate }
  const hits = hitsFrom(flat, json, (include & 1) !== 0)
  addVectors(hits, rows)
  return hits
}

function addVectors(out: (AnyRow | undefined)[], rows: NativeRows): void {
  const { vectors, dimensions, approximate } = rows
  if (vectors === undefined) return
  for (let i = 0; i < out.length; i++) {
    const row = out[i]
    // A copy of its own: a row that is kept must not keep all others.
    if (row === undefined) continue
    row.vector = vectors.slice(i * dimensions, (i + 1) * dimensions)
    if (approximate) row.approximate = true
  }
}

/** Rows of a scroll. */
export function rowsOf(rows: NativeRows, include: NativeInclude): AnyRow[] {
  const part = parsePart(rows.json, rows.hasDates)
  const out = new Array<AnyRow>(rows.count)
  for (let i = 0; i < rows.count; i++) {
    const id = rows.ids === undefined ? idFromJson(part.ids?.[i]) : (rows.ids[i] as number)
    out[i] = (include & 1) !== 0 ? { id, metadata: part.metadata?.[i] ?? {} } : { id }
  }
  addVectors(out, rows)
  return out
}

/** Rows of get, in the order of `ids`; undefined where there is none. */
export function foundRows(
  rows: NativeRows,
  ids: readonly Id[],
  include: NativeInclude,
): (AnyRow | undefined)[] {
  const part = parsePart(rows.json, rows.hasDates)
  const out = new Array<AnyRow | undefined>(ids.length)
  for (let i = 0; i < ids.length; i++) {
    if (rows.found?.[i] !== 1) out[i] = undefined
    else {
      const id = ids[i] as Id
      out[i] = (include & 1) !== 0 ? { id, metadata: part.metadata?.[i] ?? {} } : { id }
    }
  }
  addVectors(out, rows)
  return out
}

/** The hits of many queries; see BatchHits. */
export class BatchHitArrays implements BatchHits {
  readonly length: number
  readonly k: number
  readonly counts: Uint32Array
  readonly distances: Float32Array
  readonly approximate: boolean
  readonly #ids: Float64Array | undefined
  readonly #mixed: (Id | undefined)[]

  constructor(batch: NativeBatch, k: number) {
    this.length = batch.counts.length
    this.k = k
    this.counts = batch.counts
    this.distances = batch.distances
    this.approximate = batch.approximate
    this.#ids = batch.ids
    this.#mixed =
      batch.json === undefined
        ? []
        : (JSON.parse(batch.json) as unknown[]).map((id) =>
            id === null ? undefined : idFromJson(id),
          )
  }

  get ids(): Float64Array {
    if (this.#ids !== undefined) return this.#ids
    const misfit = this.#mixed.findIndex((id) => typeof id === 'string' || typeof id === 'bigint')
    const id = this.#mixed[misfit] as Id
    const shown = typeof id === 'bigint' ? `${id}n` : JSON.stringify(id)
    throw new OmenError('ERR_ID', `id ${shown} does not fit a Float64Array: use id(i, j)`, {
      details: { row: Math.floor(misfit / this.k), id },
    })
  }

  id(i: number, j: number): Id | undefined {
    if (!(j >= 0 && j < (this.counts[i] ?? 0))) return undefined
    const at = i * this.k + j
    return this.#ids === undefined ? this.#mixed[at] : this.#ids[at]
  }

  hits(i: number): BatchHit[] {
    const out = new Array<BatchHit>(this.counts[i] ?? 0)
    for (let j = 0; j < out.length; j++) {
      out[j] = { id: this.id(i, j) as Id, distance: this.distances[i * this.k + j] as number }
    }
    return out
  }

  *[Symbol.iterator](): Generator<BatchHit[], undefined> {
    for (let i = 0; i < this.length; i++) yield this.hits(i)
  }
}

export const NO_BATCH: NativeBatch = Object.freeze({
  counts: new Uint32Array(0),
  distances: new Float32Array(0),
  ids: new Float64Array(0),
  approximate: false,
})
