// Threads: how searches scale over processors, in one batch and in workers that share a database.

import { runJob } from '../lib/child.mjs'
import { availableSets, prepareSets } from '../lib/data.mjs'
import { number, recall, writeSection } from '../lib/report.mjs'

const JOB = new URL('../jobs/threads.mjs', import.meta.url)
const ROWS = 100_000
const EF = 64
const ROUNDS = 7

export async function run({ machine, sets, rows = ROWS }) {
  const names = sets ?? availableSets()
  prepareSets(names)
  const results = []
  for (const set of names) {
    results.push({ set, ...(await runJob(JOB, { set, rows, ef: EF, rounds: ROUNDS })) })
  }
  writeSection('threads', {
    machine,
    title: 'Searches on several threads',
    notes: [
      `At most ${number(rows)} rows of each set, k 10, ef ${EF}, medians of ${ROUNDS} rounds; ` +
        'one thread and all of them in turns. CPU us: of all threads, for one search.',
      'Batch: one searchBatch of all queries on the pool, beside a loop of searchInto.',
      'Workers: each opens the same database by its name and searches one query at a time.',
      'More CPU for a search than one thread needs is what the threads take from each other: ' +
        'shared caches and memory, or a lock.',
    ],
    tables: [
      { caption: 'One batch', header: BATCH, rows: results.map(batchRow) },
      { caption: 'Workers', header: WORKERS, rows: results.flatMap(workerRows) },
    ],
    data: { rows, ef: EF, results },
  })
}

const BATCH = [
  'set',
  'recall@10',
  'one thread q/s',
  'batch q/s',
  'scaling',
  'q/s a core',
  'one thread CPU us',
  'batch CPU us',
]
const WORKERS = [
  ...['set', 'recall@10', 'call', 'workers', 'queries/s', 'scaling', 'p50 us', 'p99 us', 'CPU us'],
]

function batchRow({ set, cores, recall: found, batch }) {
  return [
    set,
    recall(found),
    number(batch.oneQps),
    number(batch.qps),
    batch.scaling.toFixed(2),
    number(batch.qps / cores),
    number(batch.oneCpuUs),
    number(batch.cpuUs),
  ]
}

function workerRows({ set, recall: found, workers }) {
  const row = ({ way }, count, { qps, p50Us, p99Us, cpuUs }, scaling) => [
    ...[set, recall(found), way, count, number(qps), scaling.toFixed(2)],
    ...[p50Us, p99Us, cpuUs].map(number),
  ]
  return workers.flatMap((one) => [
    row(one, 1, one.alone, 1),
    row(one, one.count, one.together, one.scaling),
  ])
}
