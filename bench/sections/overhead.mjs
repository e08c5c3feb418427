// Overhead: what JavaScript adds to a search. The native time is what explain() reports for the
// very same queries (nativeNs, taken inside the engine); a search in an empty collection, which
// has nothing to do, is the second opinion.

import { Bench } from 'tinybench'
import { build, DB, queryAt } from '../lib/collections.mjs'
import { availableSets, K, openMetadata, openSet, selectRows } from '../lib/data.mjs'
import { median } from '../lib/measure.mjs'
import { number, writeSection } from '../lib/report.mjs'

const ROWS = 20_000
const QUERIES = 200
const TIME_MS = 1_500
const EF = 10 // The cheapest search makes the overhead stand out.

export async function run({ machine, sets, rows = ROWS }) {
  const set = openSet(sets?.[0] ?? availableSets()[0])
  const queryCount = Math.min(QUERIES, set.queryCount)
  const queries = Array.from({ length: queryCount }, (_, q) => queryAt(set, q).slice())
  const selected = selectRows(set, { rows })
  const all = openMetadata(set.name)
  selected.metadata = Array.from(selected.ids, (id) => all[id])
  const { db, collection } = await build(set, selected)
  const empty = await new DB().collection('empty', {
    dimensions: set.dimensions,
    metric: set.metric,
  })

  const bench = new Bench({ time: TIME_MS, warmupTime: 500 })
  addTasks(bench, collection, queries, 'filled')
  addTasks(bench, empty, queries, 'empty')
  await bench.run()
  const failed = bench.tasks.find((task) => task.result.error !== undefined)
  if (failed !== undefined) throw failed.result.error
  const native = {
    filled: nativeMicros(collection, queries),
    empty: nativeMicros(empty, queries),
  }

  const results = bench.tasks.map(({ name, result }) => {
    const state = name.split(', ')[1]
    const { p50, mean, p99 } = result.latency
    const [p50Us, meanUs, p99Us] = [p50, mean, p99].map((ms) => ms * 1000)
    return {
      name,
      p50Us,
      meanUs,
      p99Us,
      nativeUs: native[state],
      overheadUs: p50Us - native[state],
    }
  })
  await db.close()
  writeSection('overhead', {
    machine,
    title: 'Overhead of JavaScript',
    notes: [
      `${set.name}, ${number(rows)} rows, k ${K}, ef ${EF}, one query at a time, by tinybench.`,
      'native: the median of explain().nativeNs over the same queries; overhead: the difference.',
    ],
    tables: [
      {
        caption: 'One search, microseconds',
        header: ['call', 'p50', 'p99', 'mean', 'native', 'overhead'],
        rows: results.map((one) => [
          one.name,
          number(one.p50Us),
          number(one.p99Us),
          number(one.meanUs),
          number(one.nativeUs),
          number(one.overheadUs),
        ]),
      },
    ],
    data: { set: set.name, rows, k: K, ef: EF, results },
  })
}

/** The ways to search, each over the queries in turn. */
function addTasks(bench, collection, queries, state) {
  let next = 0
  const query = () => queries[next++ % queries.length]
  const ids = new Float64Array(K)
  const distances = new Float32Array(K)
  const common = { k: K, ef: EF, exact: false }
  const bare = { ...common, include: 'none' }
  bench.add(`searchInto, ${state}`, () => collection.searchInto(query(), ids, distances, common))
  bench.add(`searchSync without metadata, ${state}`, () => collection.searchSync(query(), bare))
  bench.add(`searchSync, ${state}`, () => collection.searchSync(query(), common))
  bench.add(`await search, ${state}`, () => collection.search(query(), bare))
}

/** Median native time over the queries, in the same state of the caches as the timed calls. */
function nativeMicros(collection, queries) {
  const rounds = []
  for (let round = 0; round < 20; ++round) {
    for (const query of queries) {
      rounds.push(collection.explainSync(query, { k: K, ef: EF, exact: false }).nativeNs / 1000)
    }
  }
  return median(rounds)
}
