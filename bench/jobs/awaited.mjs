// Awaited searches: what a promise adds to searchSync, and how many searches go through when many
// are outstanding.

import { build, queryAt } from '../lib/collections.mjs'
import { K, openSet, selectRows } from '../lib/data.mjs'
import { recallOf } from '../lib/exact.mjs'
import { median, percentile, timed } from '../lib/measure.mjs'

const OUTSTANDING = [1, 2, 8, 64]

/** @param job.set, job.rows, job.efs, job.rounds */
export async function run({ set: name, rows, efs, rounds }) {
  const set = openSet(name)
  const selected = selectRows(set, { rows })
  const { db, collection } = await build(set, selected)
  const queries = Array.from({ length: set.queryCount }, (_, q) => queryAt(set, q).slice())
  const results = []
  for (const ef of efs) {
    const options = { k: K, ef, exact: false, include: 'none' }
    const found = queries.map((query) => collection.searchSync(query, options).map(({ id }) => id))
    const recall = recallOf(set, selected.truth, found, K)
    const latency = await latencies(collection, queries, options, rounds)
    results.push({
      ef,
      recall,
      ...latency,
      rates: await rates(collection, queries, options, rounds),
    })
  }
  await db.close()
  return results
}

/** Medians over rounds of p50 and p99 in microseconds; sync and awaited take turns. */
async function latencies(collection, queries, options, rounds) {
  const sync = []
  const awaited = []
  for (let i = -1; i < rounds; ++i) {
    const a = new Float64Array(queries.length)
    const b = new Float64Array(queries.length)
    for (let q = 0; q < queries.length; ++q) {
      const start = performance.now()
      collection.searchSync(queries[q], options)
      a[q] = (performance.now() - start) * 1000
    }
    for (let q = 0; q < queries.length; ++q) {
      const start = performance.now()
      await collection.search(queries[q], options)
      b[q] = (performance.now() - start) * 1000
    }
    if (i >= 0) {
      sync.push(a)
      awaited.push(b)
    }
  }
  const of = (all, share) => median(all.map((micros) => percentile(micros, share)))
  const differences = awaited.map((b, i) => median(b) - median(sync[i]))
  return {
    syncP50Us: of(sync, 0.5),
    syncP99Us: of(sync, 0.99),
    awaitP50Us: of(awaited, 0.5),
    awaitP99Us: of(awaited, 0.99),
    addedUs: median(differences),
  }
}

/** Searches per second and CPU microseconds of one: a loop of searchSync, and so many at once. */
async function rates(collection, queries, options, rounds) {
  const count = 4 * queries.length
  const ways = new Map([['sync', () => inTurn(collection, queries, options, count)]])
  for (const width of OUTSTANDING) {
    ways.set(width, () => atOnce(collection, queries, options, { count, width }))
  }
  const all = new Map([...ways.keys()].map((way) => [way, []]))
  for (let i = -1; i < rounds; ++i) {
    for (const [way, work] of ways) {
      const { wallSeconds, cpuSeconds } = await timed(work)
      if (i >= 0) all.get(way).push([count / wallSeconds, (cpuSeconds / count) * 1e6])
    }
  }
  return [...all].map(([way, figures]) => ({
    way,
    qps: median(figures.map(([qps]) => qps)),
    cpuUs: median(figures.map(([, cpu]) => cpu)),
  }))
}

function inTurn(collection, queries, options, count) {
  for (let i = 0; i < count; ++i) collection.searchSync(queries[i % queries.length], options)
}

async function atOnce(collection, queries, options, { count, width }) {
  let next = 0
  const one = async () => {
    while (next < count) await collection.search(queries[next++ % queries.length], options)
  }
  await Promise.all(Array.from({ length: width }, one))
}
