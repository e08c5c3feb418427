// One collection in a process of its own: build it, look at its memory, sweep ef.

import {
  build,
  bytesPerVector,
  measureBatch,
  measureSearch,
  unreachable,
} from '../lib/collections.mjs'
import { openSet, selectRows } from '../lib/data.mjs'

/**
 * @param job.set, job.variant, job.rows, job.order  What goes in; see lib/data.mjs.
 * @param job.quantization, job.batchRows            How it goes in.
 * @param job.efs       Values of ef to sweep on the forced graph; none by default.
 * @param job.builds    How often it is built, 1 by default. Figures are those of the median, and
 *                      `firstRate`: the first one touches memory that the process never had.
 */
export async function run({ set: name, variant, rows, order, efs = [], builds = 1, ...options }) {
  const set = openSet(name, variant)
  const selected = selectRows(set, { rows, order })
  const built = []
  for (let i = 1; i < builds; ++i) {
    const { db, figures } = await build(set, selected, options)
    built.push(figures)
    await db.close()
  }
  const { db, collection, figures } = await build(set, selected, options)
  built.push(figures)
  const byRate = built.toSorted((a, b) => a.rate - b.rate)
  const result = {
    ...byRate[byRate.length >> 1],
    firstRate: built[0].rate,
    residentPerVector: built[0].residentPerVector,
    bytes: await bytesPerVector(collection),
    unreachable: await unreachable(db),
    byDefault: measureSearch(collection, set, selected.truth, { repeats: 1 }),
    sweep: [],
  }
  for (const ef of efs) {
    const single = measureSearch(collection, set, selected.truth, { ef, exact: false })
    const batch = await measureBatch(collection, set, selected.truth, { ef, exact: false })
    result.sweep.push({ ef, ...single, batchQps: batch.qps, batchRecall: batch.recall })
  }
  if (efs.length > 0) {
    const queryCount = Math.min(50, set.queryCount)
    result.exact = measureSearch(collection, set, selected.truth, {
      exact: true,
      queryCount,
      repeats: 1,
    })
  }
  await db.close()
  return result
}
