// Overhead: what JavaScript adds to a search. The native time is what explain() reports for the
// very same query right before or after (nativeNs, taken inside the engine), so that both meet the
// same caches; a search in an empty collection, which has nothing to do, is the second opinion.

import { Bench } from 'tinybench'
import { build, DB, queryAt } from '../lib/collections.mjs'
import { availableSets, K, openMetadata, openSet, selectRows } from '../lib/data.mjs'
import { median } from '../lib/measure.mjs'
import { number, writeSection } from '../lib/report.mjs'

const ROWS = 20_000
const QUERIES = 200
const TIME_MS = 1_500
const ROUNDS = 20
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
  const results = bench.tasks.map(({ name, result }) => {
    const { p50, mean, p99 } = result.latency
    const [p50Us, meanUs, p99Us] = [p50, mean, p99].map((ms) => ms * 1000)
    return { name, p50Us, meanUs, p99Us }
  })
  for (const one of results) {
    const [call, state] = one.name.split(', ')
    const searched = state === 'filled' ? collection : empty
    Object.assign(one, await paired(searched, queries, CALLS[call](searched)))
  }
  await db.close()
  writeSection('overhead', {
    machine,
    title: 'Overhead of JavaScript',
    notes: [
      `${set.name}, ${number(rows)} rows, k ${K}, ef ${EF}, one query at a time.`,
      'p50, p99, mean: by tinybench, one call after the other.',
      'call, native: medians of the call and of explain().nativeNs on that query, in turns.',
      'overhead: their difference; explain() brings no metadata, so that is in it where given.',
    ],
    tables: [
      {
        caption: 'One search, microseconds',
        header: ['search', 'p50', 'p99', 'mean', 'call', 'native', 'overhead'],
        rows: results.map((one) => [
          one.name,
          number(one.p50Us),
          number(one.p99Us),
          number(one.meanUs),
          number(one.callUs),
          number(one.nativeUs),
          number(one.overheadUs),
        ]),
      },
    ],
    data: { set: set.name, rows, k: K, ef: EF, results },
  })
}

const COMMON = { k: K, ef: EF, exact: false }
const BARE = { ...COMMON, include: 'none' }

/** The ways to search a collection. */
const CALLS = {
  searchInto: (collection) => {
    const ids = new Float64Array(K)
    const distances = new Float32Array(K)
    return (query) => collection.searchInto(query, ids, distances, COMMON)
  },
  'searchSync without metadata': (collection) => (query) => collection.searchSync(query, BARE),
  searchSync: (collection) => (query) => collection.searchSync(query, COMMON),
  'await search': (collection) => (query) => collection.search(query, BARE),
}

/** Each way over the queries in turn. */
function addTasks(bench, collection, queries, state) {
  for (const [name, make] of Object.entries(CALLS)) {
    const call = make(collection)
    let next = 0
    bench.add(`${name}, ${state}`, () => call(queries[next++ % queries.length]))
  }
}

/** Medians of a call and of the native time of the same search; who is first takes turns. */
async function paired(collection, queries, call) {
  const calls = []
  const natives = []
  const explain = (query) => natives.push(collection.explainSync(query, COMMON).nativeNs / 1000)
  for (let round = 0; round < ROUNDS; ++round) {
    for (const query of queries) {
      if (round % 2 === 0) explain(query)
      const started = performance.now()
      const answer = call(query)
      if (answer instanceof Promise) await answer
      calls.push((performance.now() - started) * 1000)
      if (round % 2 === 1) explain(query)
    }
  }
  const [callUs, nativeUs] = [median(calls), median(natives)]
  return { callUs, nativeUs, overheadUs: callUs - nativeUs }
}
