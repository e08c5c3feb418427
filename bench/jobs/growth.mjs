// One collection that grows: at each size, what one more row costs, how fast a search of a given
// recall is, and what a vector weighs.

import { addRows, bytesPerVector, DB, measureSearch } from '../lib/collections.mjs'
import { K, openSet, selectRows } from '../lib/data.mjs'
import { exactTruth } from '../lib/exact.mjs'
import { timed } from '../lib/measure.mjs'
import { makeSynthetic } from '../lib/synthetic.mjs'
import { speedAt } from '../peers/summary.mjs'

const RECALL = 0.95
const EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]
const QUERIES = 200 // Their truth is brute force in JavaScript, anew at each size.
const LAST_SHARE = 0.05 // Rows before each size whose cost is told.
const BATCH_ROWS = 1_000

/** @param job.set  'sift', or 'synthetic' of as many rows as the last size. */
export async function run({ set: name, sizes }) {
  const set = openRows(name, sizes.at(-1))
  const { dimensions, metric } = set
  const db = new DB()
  const collection = await db.collection('bench', { dimensions, metric })
  const results = []
  let from = 0
  for (const rows of sizes) {
    const last = Math.floor(rows * (1 - LAST_SHARE))
    const added = await add(collection, set, from, last)
    const atSize = await add(collection, set, last, rows)
    const truth = exactTruth(first(set, rows), set.queryCount, K)
    const sweep = EFS.map((ef) => ({
      ef,
      ...measureSearch(collection, first(set, rows), truth, { ef, exact: false }),
    }))
    results.push({
      rows,
      added: { rows: last - from, ...added },
      insertUs: (atSize.wallSeconds / (rows - last)) * 1e6,
      insertCpuUs: (atSize.cpuSeconds / (rows - last)) * 1e6,
      bytes: await bytesPerVector(collection),
      at: speedAt(sweep, RECALL),
      sweep,
    })
    from = rows
    process.stderr.write(`${name}: ${rows} rows\n`)
  }
  await db.close()
  return results
}

function openRows(name, rows) {
  if (name === 'synthetic') {
    const set = makeSynthetic(rows)
    return { name, metric: 'l2', queryCount: QUERIES, ...set }
  }
  const set = openSet(name)
  const base = selectRows(set, { rows }).vectors
  return { ...set, base, queryCount: Math.min(QUERIES, set.queryCount) }
}

/** The set as if it held its first rows alone. */
function first(set, rows) {
  return { ...set, base: set.base.subarray(0, rows * set.dimensions) }
}

function add(collection, { base, dimensions }, from, to) {
  const ids = Float64Array.from({ length: to - from }, (_, i) => from + i)
  const vectors = base.subarray(from * dimensions, to * dimensions)
  return timed(() => addRows(collection, { ids, vectors }, dimensions, BATCH_ROWS))
}
