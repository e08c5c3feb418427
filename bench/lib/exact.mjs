// Exact answers: the reference that every recall figure is measured against.
//
// Why: a library must not grade itself. Distances here are computed in JavaScript from the floats
// that were stored, never taken from the engine under test.
// Invariants:
//   1. Distances are sums in double of float32 values.
//   2. A hit counts when its true distance is at most that of the true k-th neighbour (with a
//      slack of one millionth for rounding), so equal distances are equal answers; an id counts
//      once.

/** Lengths of all rows, for cosine; undefined for l2, which needs none. */
export function rowLengths({ metric, base, dimensions }) {
  if (metric !== 'cosine') return undefined
  const lengths = new Float64Array(base.length / dimensions)
  for (let row = 0; row < lengths.length; ++row) {
    lengths[row] = Math.sqrt(dotAt(base, row, base, row, dimensions))
  }
  return lengths
}

function dotAt(a, i, b, j, n) {
  let [x, y, s, t] = [i * n, j * n, 0, 0]
  const end = x + n - (n & 1)
  while (x < end) {
    s += a[x] * b[y]
    t += a[x + 1] * b[y + 1]
    x += 2
    y += 2
  }
  return n & 1 ? s + t + a[x] * b[y] : s + t
}

function squaredAt(a, i, b, j, n) {
  let [x, y, s, t] = [i * n, j * n, 0, 0]
  const end = x + n - (n & 1)
  while (x < end) {
    const d = a[x] - b[y]
    const e = a[x + 1] - b[y + 1]
    s += d * d
    t += e * e
    x += 2
    y += 2
  }
  return n & 1 ? s + t + (a[x] - b[y]) ** 2 : s + t
}

/** The distance between query `q` and row `row` of a set. */
export function distanceAt({ metric, base, queries, dimensions }, q, row) {
  if (metric === 'l2') return squaredAt(queries, q, base, row, dimensions)
  const lengths = Math.sqrt(
    dotAt(queries, q, queries, q, dimensions) * dotAt(base, row, base, row, dimensions),
  )
  return lengths === 0 ? 1 : 1 - dotAt(queries, q, base, row, dimensions) / lengths
}

/** Distances from query `q` to every row, into `out`. `lengths` is rowLengths(set). */
export function distancesTo(set, q, lengths, out) {
  const { metric, base, queries, dimensions } = set
  if (metric === 'l2') {
    for (let row = 0; row < out.length; ++row) {
      out[row] = squaredAt(queries, q, base, row, dimensions)
    }
    return out
  }
  const length = Math.sqrt(dotAt(queries, q, queries, q, dimensions))
  for (let row = 0; row < out.length; ++row) {
    const scale = length * lengths[row]
    out[row] = scale === 0 ? 1 : 1 - dotAt(queries, q, base, row, dimensions) / scale
  }
  return out
}

/** The k rows of smallest distance, nearest first, among those `passes` lets through. */
export function nearest(distances, k, passes = undefined) {
  const rows = []
  let worst = Infinity
  for (let row = 0; row < distances.length; ++row) {
    const distance = distances[row]
    if (distance >= worst || (passes !== undefined && !passes[row])) continue
    let at = rows.length
    while (at > 0 && distances[rows[at - 1]] > distance) at -= 1
    rows.splice(at, 0, row)
    if (rows.length > k) rows.pop()
    if (rows.length === k) worst = distances[rows[k - 1]]
  }
  return rows
}

/** Exact truth of the first `queryCount` queries: queryCount x k rows, -1 where there are fewer. */
export function exactTruth(set, queryCount, k, passes = undefined) {
  const { dimensions } = set
  const rows = Uint32Array.from({ length: set.base.length / dimensions }, (_, row) => row)
  const chosen = passes === undefined ? rows : rows.filter((row) => passes[row])
  // Gathered first: a sample is scanned at its own size, not at the set's.
  const base = passes === undefined ? set.base : new Float32Array(chosen.length * dimensions)
  if (passes !== undefined) {
    chosen.forEach((row, i) => {
      base.set(set.base.subarray(row * dimensions, (row + 1) * dimensions), i * dimensions)
    })
  }
  const sample = { ...set, base }
  const lengths = rowLengths(sample)
  const distances = new Float64Array(chosen.length)
  const truth = new Int32Array(queryCount * k).fill(-1)
  for (let q = 0; q < queryCount; ++q) {
    const found = nearest(distancesTo(sample, q, lengths, distances), k)
    truth.set(
      Int32Array.from(found, (i) => chosen[i]),
      q * k,
    )
  }
  return truth
}

/**
 * The share of the true k nearest that was found.
 *
 * @param set      base, queries, metric, dimensions.
 * @param truth    From exactTruth: rows, `k` for each query, -1 padded.
 * @param answers  For each query the row numbers that were returned.
 */
export function recallOf(set, truth, answers, k) {
  let found = 0
  let wanted = 0
  for (let q = 0; q < answers.length; ++q) {
    const own = truth.subarray(q * k, (q + 1) * k).filter((row) => row >= 0)
    if (own.length === 0) continue
    wanted += own.length
    const farthest = distanceAt(set, q, own[own.length - 1])
    const limit = farthest + Math.abs(farthest) * 1e-6 + 1e-9
    const ids = new Set(Array.from(answers[q], Number))
    let hits = 0
    for (const row of ids) if (distanceAt(set, q, row) <= limit) hits += 1
    found += Math.min(hits, own.length)
  }
  return wanted === 0 ? 1 : found / wanted
}
