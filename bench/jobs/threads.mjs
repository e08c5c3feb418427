// Searches on several threads: one batch over the pool, and workers that share one database by
// name. What one thread does alone is measured in the same process, in turns.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { addRows, DB, queryAt } from '../lib/collections.mjs'
import { K, openSet, selectRows } from '../lib/data.mjs'
import { recallOf } from '../lib/exact.mjs'
import { median, percentile, timed } from '../lib/measure.mjs'

const NAME = 'bench-threads'

/** @param job.set, job.rows, job.ef, job.rounds */
export async function run({ set: name, rows, ef, rounds }) {
  const set = openSet(name)
  const { dimensions, metric } = set
  const db = new DB({ name: NAME })
  const collection = await db.collection('bench', { dimensions, metric })
  const selected = selectRows(set, { rows })
  await addRows(collection, selected, dimensions, Infinity)
  const options = { k: K, ef, exact: false, include: 'none' }
  const result = {
    cores: availableParallelism(),
    recall: recall(collection, set, selected.truth, options),
    batch: await batches(collection, set, options, rounds),
    workers: await workers(set, options, rounds),
  }
  await db.close()
  return result
}

function recall(collection, set, truth, options) {
  const found = Array.from({ length: set.queryCount }, (_, q) =>
    collection.searchSync(queryAt(set, q), options).map(({ id }) => id),
  )
  return recallOf(set, truth, found, K)
}

/** Queries per second and CPU microseconds a query: one thread, and one batch on all. */
async function batches(collection, set, { include: _, ...options }, rounds) {
  const { queryCount } = set
  const queries = set.queries.subarray(0, queryCount * set.dimensions)
  const each = Array.from({ length: queryCount }, (_unused, q) => queryAt(set, q).slice())
  const [ids, distances] = [new Float64Array(K), new Float32Array(K)]
  const ways = {
    one: () => {
      for (const query of each) collection.searchInto(query, ids, distances, options)
    },
    all: () => collection.searchBatch(queries, options),
  }
  const all = { one: [], all: [] }
  for (let i = -1; i < rounds; ++i) {
    for (const [way, work] of Object.entries(ways)) {
      const { wallSeconds, cpuSeconds } = await timed(work)
      if (i >= 0) all[way].push([queryCount / wallSeconds, (cpuSeconds / queryCount) * 1e6])
    }
  }
  const of = (way, figure) => median(all[way].map((one) => one[figure]))
  return {
    oneQps: of('one', 0),
    oneCpuUs: of('one', 1),
    qps: of('all', 0),
    cpuUs: of('all', 1),
    scaling: median(all.all.map(([qps], i) => qps / all.one[i][0])),
  }
}

/** One worker, then all at once, by searchSync and by awaited searches. */
async function workers(set, options, rounds) {
  const count = availableParallelism()
  const data = { name: NAME, set: set.name, options }
  const team = Array.from(
    { length: count },
    () => new Worker(new URL('./threads-worker.mjs', import.meta.url), { workerData: data }),
  )
  await Promise.all(team.map((worker) => answer(worker)))
  const results = []
  for (const way of ['searchSync', 'await search']) {
    const all = []
    for (let i = -1; i < rounds; ++i) {
      const alone = await together(team.slice(0, 1), way)
      const both = await together(team, way)
      if (i >= 0) all.push({ alone, both, scaling: both.qps / alone.qps })
    }
    const of = (size, figure) => median(all.map((one) => one[size][figure]))
    const figures = (size) => ({
      qps: of(size, 'qps'),
      p50Us: of(size, 'p50Us'),
      p99Us: of(size, 'p99Us'),
      cpuUs: of(size, 'cpuUs'),
    })
    const scaling = median(all.map((one) => one.scaling))
    results.push({ way, count, alone: figures('alone'), together: figures('both'), scaling })
  }
  await Promise.all(team.map((worker) => worker.terminate()))
  return results
}

/** All workers of `team` search at once. */
async function together(team, way) {
  const { result, wallSeconds, cpuSeconds } = await timed(() =>
    Promise.all(
      team.map((worker) => {
        worker.postMessage(way)
        return answer(worker)
      }),
    ),
  )
  const count = result.reduce((sum, micros) => sum + micros.length, 0)
  const micros = result.flatMap((one) => [...one])
  return {
    qps: count / wallSeconds,
    cpuUs: (cpuSeconds / count) * 1e6,
    p50Us: percentile(micros, 0.5),
    p99Us: percentile(micros, 0.99),
  }
}

function answer(worker) {
  return new Promise((resolve, reject) => {
    worker.removeAllListeners('error').once('error', reject)
    worker.once('message', resolve)
  })
}
