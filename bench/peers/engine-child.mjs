// One engine in a process of its own, told by messages when to build and when to search.
//
// Why: memory and CPU time are then its own, a crash ends one line of the table, and the parent can
// alternate the engines: every engine is measured under the same noise.
// An engine module exports about() and open(); what open() gives has add, setEf, prepare, search,
// ids and close, and reopen where the engine keeps an index in a file: it saves, lets go, opens
// again and answers one query, and returns the milliseconds of the last two.
// Messages: { do: 'build' }, { do: 'search', ef, queries }, { do: 'close' }; each is answered by
// one { result } or { error }.

import { K, openSet, selectRows } from '../lib/data.mjs'
import { recallOf } from '../lib/exact.mjs'
import { residentBytes, timed, timeEach } from '../lib/measure.mjs'

const job = JSON.parse(process.argv[2])
const module = await import(`./engines/${job.module}.mjs`)
const set = openSet(job.set, job.variant)
const selected = selectRows(set, { rows: job.rows })
const { dimensions, metric } = set
let engine
let queries

async function build() {
  const about = module.about(job.options, job)
  engine = await module.open({ ...job, dimensions, metric, rows: selected.ids.length }, job.options)
  const before = residentBytes()
  const { wallSeconds, cpuSeconds } = await timed(() => engine.add(selected.vectors, selected.ids))
  const resident = (residentBytes() - before) / selected.ids.length
  queries = Array.from({ length: set.queryCount }, (_, q) =>
    engine.prepare(set.queries.subarray(q * dimensions, (q + 1) * dimensions)),
  )
  const openMs = await engine.reopen?.(queries[0], K)
  const rate = selected.ids.length / wallSeconds
  return { about, wallSeconds, cpuSeconds, rate, resident, openMs }
}

function search({ ef, count }) {
  const queryCount = Math.min(count ?? queries.length, queries.length)
  engine.setEf(ef, K)
  for (let q = 0; q < Math.min(20, queryCount); ++q) engine.search(queries[q]) // Warm.
  const { answers, ...figures } = timeEach(queryCount, (q) => engine.search(queries[q]))
  const found = answers.map((answer) => engine.ids(answer))
  const recall = recallOf(set, selected.truth, found, K)
  return { ...figures, cpuUs: (figures.cpuSeconds / queryCount) * 1e6, recall }
}

const verbs = { build, search, close: () => engine?.close() }

process.on('message', async (message) => {
  try {
    process.send({ result: await verbs[message.do](message) })
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) })
  }
  if (message.do === 'close') process.exit(0)
})
process.send({ result: 'ready' })
