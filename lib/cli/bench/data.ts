/** What a bench runs on: rows of a file, or seeded clusters. */

import { OmenError } from '../../errors.js'
import type { FormatName } from '../formats/format.js'
import { openSource } from '../formats/index.js'
import { Columns } from '../import/columns.js'
import { counted } from '../table.js'

export interface BenchData {
  name: string
  dimensions: number
  base: Float32Array
  /** Rows that are not among `base`. */
  queries: Float32Array
}

/** A seeded generator of numbers in [0, 1): xorshift32. */
export function random(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  return () => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
}

/**
 * Clusters of low intrinsic dimension, as embeddings have: a centre, and around it a few directions
 * that all clusters share.
 */
export function clusters(
  rows: number,
  queries: number,
  dimensions: number,
  seed: number,
): BenchData {
  const next = random(seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  const directions = Math.min(16, dimensions)
  const basis = Float32Array.from({ length: directions * dimensions }, normal)
  const count = Math.max(8, Math.round(Math.sqrt(rows) / 4))
  const centres = Float32Array.from({ length: count * dimensions }, () => normal() * 2)
  const make = (wanted: number) => {
    const out = new Float32Array(wanted * dimensions)
    for (let i = 0; i < wanted; i++) {
      const row = out.subarray(i * dimensions, (i + 1) * dimensions)
      const centre = Math.floor(next() * count) * dimensions
      row.set(centres.subarray(centre, centre + dimensions))
      for (let j = 0; j < directions; j++) {
        const weight = normal()
        for (let d = 0; d < dimensions; d++) {
          row[d] = (row[d] as number) + weight * (basis[j * dimensions + d] as number)
        }
      }
    }
    return out
  }
  const name = `seeded clusters (seed ${seed})`
  return { name, dimensions, base: make(rows), queries: make(queries) }
}

/** The first `rows + queries` rows of a file, of which every so manieth is a query. */
export async function fromFile(
  file: string,
  format: FormatName,
  vector: string | undefined,
  rows: number,
  queries: number,
): Promise<BenchData> {
  const { source } = await openSource(file, format)
  const parts: Float32Array[] = []
  let dimensions = 0
  let count = 0
  try {
    const columns = new Columns(source, { id: undefined, vector, metadata: undefined })
    for await (const chunk of source.chunks(0)) {
      const mapped = columns.map(chunk)
      if (dimensions !== 0 && mapped.dimensions !== dimensions) {
        throw new OmenError('ERR_DIMENSIONS', `${file}: row ${mapped.row}: other dimensions`)
      }
      dimensions = mapped.dimensions
      parts.push(mapped.vectors)
      count += mapped.count
      if (count >= rows + queries) break
    }
  } finally {
    await source.close()
  }
  const total = Math.min(count, rows + queries)
  if (total < 20) {
    throw new OmenError(
      'ERR_ARGUMENT',
      `${file} has ${counted(total, 'row')}; a bench needs 20 at least`,
    )
  }
  const asked = Math.min(queries, Math.floor(total / 10))
  return { name: file, dimensions, ...split(parts, dimensions, total, asked) }
}

function split(parts: Float32Array[], dimensions: number, total: number, queries: number) {
  const base = new Float32Array((total - queries) * dimensions)
  const held = new Float32Array(queries * dimensions)
  const every = Math.floor(total / queries)
  let row = 0
  let inBase = 0
  let inHeld = 0
  for (const part of parts) {
    for (let at = 0; at < part.length && row < total; at += dimensions, row++) {
      const vector = part.subarray(at, at + dimensions)
      if (row % every === 0 && inHeld < held.length) {
        held.set(vector, inHeld)
        inHeld += dimensions
      } else {
        base.set(vector, inBase)
        inBase += dimensions
      }
    }
  }
  return { base, queries: held }
}
