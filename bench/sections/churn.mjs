// Churn: after every record was replaced once, is the collection as good as a fresh one?

import { runJob } from '../lib/child.mjs'
import { availableSets, K, openSet, prepareSets } from '../lib/data.mjs'
import { number, recall, writeSection } from '../lib/report.mjs'

const JOB = new URL('../jobs/churn.mjs', import.meta.url)
const BATCH_ROWS = 1000

export async function run({ machine, sets, rows }) {
  const names = sets ?? availableSets()
  prepareSets(names)
  const results = []
  for (const set of names) {
    const { base, dimensions } = openSet(set)
    const half = Math.floor(base.length / dimensions / 2)
    for (const quantization of ['sq8', 'none']) {
      const job = { set, quantization, rows: Math.min(rows ?? half, half), batchRows: BATCH_ROWS }
      const fresh = await runJob(JOB, { ...job, fresh: true })
      const churned = await runJob(JOB, { ...job, fresh: false })
      results.push({ ...job, fresh, churned })
      process.stderr.write(`churned ${set} ${quantization}\n`)
    }
  }
  writeSection('churn', {
    machine,
    title: 'Churn',
    notes: [
      `Every record replaced once by a vector it has not held, ${BATCH_ROWS} records an upsert.`,
      'fresh: a collection built from the new vectors alone.',
      `recall@${K}, queries/s and CPU time of a query, by the forced graph at ef 64.`,
      '`bytes`: per vector, as stats() counts them; `resident`: growth of the process per vector.',
      'Both are taken after the writes, before the first search, which takes memory of its own.',
    ],
    tables: [
      { caption: 'After replacing all records', header: HEADER, rows: results.flatMap(rowsOf) },
    ],
    data: { results },
  })
}

const HEADER = [
  'set',
  'codec',
  'state',
  'rows',
  'records/s',
  `recall@${K}`,
  'queries/s',
  'CPU us',
  'bytes',
  'resident',
  'marked',
  'unreachable',
]

function rowsOf({ set, quantization, fresh, churned }) {
  const row = (state, rate, resident, look) => [
    set,
    quantization,
    state,
    number(look.count),
    rate,
    recall(look.search.recall),
    number(look.search.qps),
    number(look.search.cpuUs),
    number(look.bytes.total),
    resident,
    look.deleted,
    look.unreachable,
  ]
  return [
    row('fresh', number(fresh.rate), number(fresh.residentPerVector), fresh),
    row('replaced', number(churned.rate), number(churned.residentPerVector), churned.replaced),
    row('optimized', '-', '-', churned.optimized),
  ]
}
