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
 */
export async function run({ set: name, variant, rows, order, efs = [], ...options }) {
  const set = openSet(name, variant)
  const selected = selectRows(set, { rows, order })
  const { db, collection, figures } = await build(set, selected, options)
  const result = {
    ...figures,
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
