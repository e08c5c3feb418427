// Synthetic set: for machines without the real ones. A mixture of clusters of low intrinsic
// dimension, as embeddings have; uniform noise would make every index look bad in ways no real
// data does.

import { normal, uniform } from './random.mjs'

const ROWS = 50_000
const QUERIES = 200
const DIMENSIONS = 128
const CLUSTERS = 400
const INTRINSIC = 12
const NOISE = 0.05
const SEED = 31

const made = new Map()

/**
 * { base, queries, clusters, dimensions }: the same floats every time. Fewer rows are the first
 * ones of more; the queries of another size are others.
 */
export function makeSynthetic(count = ROWS) {
  const found = made.get(count)
  if (found !== undefined) return found
  const gauss = normal(SEED)
  const random = uniform(SEED + 1)
  const centres = Float64Array.from({ length: CLUSTERS * DIMENSIONS }, gauss)
  const axes = Float64Array.from({ length: CLUSTERS * INTRINSIC * DIMENSIONS }, gauss)
  const clusters = new Uint16Array(count)
  const fill = (rows, row, cluster) => {
    const to = row * DIMENSIONS
    for (let d = 0; d < DIMENSIONS; ++d) {
      rows[to + d] = centres[cluster * DIMENSIONS + d] + NOISE * gauss()
    }
    for (let axis = 0; axis < INTRINSIC; ++axis) {
      const along = gauss() / Math.sqrt(INTRINSIC)
      const from = (cluster * INTRINSIC + axis) * DIMENSIONS
      for (let d = 0; d < DIMENSIONS; ++d) rows[to + d] += along * axes[from + d]
    }
  }
  const base = new Float32Array(count * DIMENSIONS)
  for (let row = 0; row < count; ++row) {
    // Cubing makes a few clusters large and many small, as topics are.
    clusters[row] = Math.floor(CLUSTERS * random() ** 3)
    fill(base, row, clusters[row])
  }
  const queries = new Float32Array(QUERIES * DIMENSIONS)
  for (let q = 0; q < QUERIES; ++q) fill(queries, q, clusters[Math.floor(random() * count)])
  const set = { base, queries, clusters, dimensions: DIMENSIONS }
  made.set(count, set)
  return set
}
