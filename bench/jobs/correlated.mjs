// Filters that depend on the query: only the p % nearest to it pass (correlated), or only the p %
// farthest (anticorrelated). Every query has a field of its own that holds each row's rank.

import { build, measurePlans } from '../lib/collections.mjs'
import { K, openSet, selectRows } from '../lib/data.mjs'
import { distancesTo, rowLengths } from '../lib/exact.mjs'

const SHARES = [0.5, 0.1, 0.01, 0.001]
const QUERIES = 40

export async function run({ set: name, rows, quantization }) {
  const set = openSet(name)
  const selected = selectRows(set, { rows })
  const count = selected.ids.length
  const ranked = rankRows(set, selected)
  selected.metadata = Array.from({ length: count }, () => ({}))
  ranked.forEach((order, q) => {
    order.forEach((position, rank) => {
      selected.metadata[position][`rank${q}`] = rank
    })
  })
  const { db, collection, figures } = await build(set, selected, { quantization })
  const results = []
  for (const kind of ['correlated', 'anticorrelated']) {
    for (const share of SHARES) {
      const passing = Math.max(K, Math.round(share * count))
      const first = kind === 'correlated' ? 0 : count - passing
      const filters = ranked.map((_, q) => ({
        [`rank${q}`]: kind === 'correlated' ? { $lt: passing } : { $gte: first },
      }))
      const truth = new Int32Array(QUERIES * K)
      ranked.forEach((order, q) => {
        for (let j = 0; j < K; ++j) truth[q * K + j] = selected.ids[order[first + j]]
      })
      const common = { queryCount: QUERIES, repeats: 3, filterOf: (q) => filters[q] }
      results.push({
        field: kind,
        share,
        passing,
        ...measurePlans(collection, set, truth, common, { repeats: 1 }),
      })
    }
  }
  await db.close()
  return { figures, results }
}

/** For each query the positions of the selected rows, nearest first. */
function rankRows(set, { ids }) {
  const lengths = rowLengths(set)
  const distances = new Float64Array(set.base.length / set.dimensions)
  return Array.from({ length: QUERIES }, (_, q) => {
    distancesTo(set, q, lengths, distances)
    const order = Uint32Array.from(ids, (_id, position) => position)
    return order.sort((a, b) => distances[ids[a]] - distances[ids[b]])
  })
}
