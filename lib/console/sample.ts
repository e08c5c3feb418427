/**
 * Sample: some records of a collection, all equally likely.
 *
 * A small collection is read whole. Of a larger one the ids are read first, page by page and
 * without what they stand for, and a reservoir keeps some of them (Vitter 1985, algorithm R),
 * seeded; those records alone are read then. Past SEEN_MAX ids reading ends, and the sample is of
 * what was seen.
 */

import type { Collection, Id, Metadata } from 'omendb/client'
import { random } from './random.js'

const ROWS = 2000
const BYTES_MAX = 48 * 2 ** 20
const SEEN_MAX = 1_000_000
const IDS_PAGE = 10_000
const ROWS_PAGE = 500

export interface Sample {
  readonly ids: Id[]
  readonly metadata: Metadata[]
  /** rows x dimensions. */
  readonly vectors: Float32Array
  readonly dimensions: number
  /** Records that it was drawn from. */
  readonly seen: number
  /** The collection has more than those that were seen. */
  readonly isCut: boolean
}

type Tell = (done: number, total: number) => void

/** @param shape  As `stats()` tells. */
export async function drawSample(
  collection: Collection,
  shape: { count: number; dimensions: number },
  tell: Tell,
  signal: AbortSignal,
): Promise<Sample> {
  const { dimensions } = shape
  const rows = Math.max(50, Math.min(ROWS, Math.floor(BYTES_MAX / (4 * dimensions))))
  if (shape.count <= rows) return readWhole(collection, dimensions, rows, signal)
  const { kept, seen, isCut } = await drawIds(collection, rows, shape.count, tell, signal)
  const out = new Gathered(dimensions)
  for (let from = 0; from < kept.length; from += ROWS_PAGE) {
    const page = kept.slice(from, from + ROWS_PAGE)
    const found = await collection.get(page, { include: ['metadata', 'vector'], signal })
    for (const row of found) if (row !== undefined) out.push(row)
    tell(seen + from + page.length, seen + kept.length)
  }
  return out.sample(seen, isCut)
}

async function readWhole(
  collection: Collection,
  dimensions: number,
  rows: number,
  signal: AbortSignal,
): Promise<Sample> {
  const out = new Gathered(dimensions)
  let cursor: string | undefined
  do {
    const page = await collection.scroll({
      limit: ROWS_PAGE,
      cursor,
      include: ['metadata', 'vector'],
      signal,
    })
    for (const row of page.records) out.push(row)
    cursor = page.next
  } while (cursor !== undefined && out.ids.length < 2 * rows)
  return out.sample(out.ids.length, cursor !== undefined)
}

async function drawIds(
  collection: Collection,
  rows: number,
  count: number,
  tell: Tell,
  signal: AbortSignal,
): Promise<{ kept: Id[]; seen: number; isCut: boolean }> {
  const next = random(1)
  const kept: Id[] = []
  let seen = 0
  let cursor: string | undefined
  do {
    const page = await collection.scroll({ limit: IDS_PAGE, cursor, include: 'none', signal })
    for (const { id } of page.records) {
      const at = seen < rows ? seen : Math.floor(next() * (seen + 1))
      if (at < rows) kept[at] = id
      seen++
    }
    cursor = page.next
    tell(seen, Math.min(count, SEEN_MAX) + rows)
  } while (cursor !== undefined && seen < SEEN_MAX)
  return { kept, seen, isCut: cursor !== undefined }
}

class Gathered {
  readonly ids: Id[] = []
  readonly #metadata: Metadata[] = []
  readonly #vectors: Float32Array[] = []

  constructor(readonly dimensions: number) {}

  push({ id, metadata, vector }: { id: Id; metadata: Metadata; vector: Float32Array }): void {
    if (vector.length !== this.dimensions) return // The collection was dropped and made anew.
    this.ids.push(id)
    this.#metadata.push(metadata)
    this.#vectors.push(vector)
  }

  sample(seen: number, isCut: boolean): Sample {
    const { ids, dimensions } = this
    const vectors = new Float32Array(ids.length * dimensions)
    for (const [r, vector] of this.#vectors.entries()) vectors.set(vector, r * dimensions)
    return { ids, metadata: this.#metadata, vectors, dimensions, seen, isCut }
  }
}
