/**
 * Batches of queries, in requests that a server takes: as many queries, hits and bytes as its
 * limits allow by default. What comes back is joined in the order of the queries.
 */

import type { NativeBatch } from '../../types/native.js'
import { OmenError } from '../errors.js'
import { packRows, querySet } from '../vectors.js'

const QUERIES_MAX = 10_000
const HITS_MAX = 1_000_000
/** Of the queries. Half of what a message may have, which its filter needs too. */
const BYTES_MAX = 16 * 2 ** 20

/**
 * Queries as rows of one array. @param dimensions  The collection's; 0: not fixed yet.
 * @throws {OmenError} ERR_DIMENSIONS, ERR_DETACHED, ERR_VECTOR, ERR_ARGUMENT.
 */
export function queriesOf(queries: unknown, dimensions: number) {
  const set = querySet(queries, dimensions)
  if (set.rows > 0 && set.dimensions === 0) {
    const message = 'row 0: query 0: the query has 0 dimensions; 1 to 16 384 are possible'
    throw new OmenError('ERR_DIMENSIONS', message, { details: { row: 0 } })
  }
  return { rows: set.rows, dimensions: set.dimensions, floats: packRows(set) }
}

/** Queries of one request, at most. @param k  Hits wanted of each. */
export function requestQueries(dimensions: number, k: number): number {
  const fit = Math.min(QUERIES_MAX, HITS_MAX / k, BYTES_MAX / (4 * dimensions))
  return Math.max(1, Math.floor(fit))
}

/** One batch of many, none of which is empty. */
export function joinedBatches(parts: readonly NativeBatch[]): NativeBatch {
  const [first] = parts
  if (first !== undefined && parts.length === 1) return first
  const rows = parts.reduce((sum, { counts }) => sum + counts.length, 0)
  const hits = parts.reduce((sum, { distances }) => sum + distances.length, 0)
  const joined: NativeBatch = {
    counts: new Uint32Array(rows),
    distances: new Float32Array(hits),
    approximate: parts.some(({ approximate }) => approximate),
  }
  const isPlain = parts.every(({ ids }) => ids !== undefined)
  const ids = new Float64Array(isPlain ? hits : 0)
  let [row, hit] = [0, 0]
  for (const part of parts) {
    joined.counts.set(part.counts, row)
    joined.distances.set(part.distances, hit)
    if (isPlain) ids.set(part.ids as Float64Array, hit)
    row += part.counts.length
    hit += part.distances.length
  }
  if (isPlain) joined.ids = ids
  else joined.json = `[${parts.map((part) => textOf(part).slice(1, -1)).join(',')}]`
  return joined
}

/** The ids of a batch as JSON: null where a query has no such hit. */
function textOf({ ids, json }: NativeBatch): string {
  return json ?? JSON.stringify(Array.from(ids ?? []))
}

/** Throws `error`, of a request whose queries begin with that of `first`, as of the whole batch. */
export function throwFromRow(error: unknown, first: number): never {
  if (!(error instanceof OmenError) || error.details.row === undefined) throw error
  const row = first + error.details.row
  const message = error.message.replace(/^row \d+: (query \d+: )?/, (_, query?: string) =>
    query === undefined ? `row ${row}: ` : `row ${row}: query ${row}: `,
  )
  throw new OmenError(error.code, message, { details: { ...error.details, row } })
}
