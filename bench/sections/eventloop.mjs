// Event loop: how long it stands still while many rows are added, above an equal CPU load without
// OmenDB.

import { runJob } from '../lib/child.mjs'
import { availableSets, prepareSets } from '../lib/data.mjs'
import { median } from '../lib/measure.mjs'
import { number, writeSection } from '../lib/report.mjs'

const JOB = new URL('../jobs/eventloop.mjs', import.meta.url)
const ROUNDS = 5
const ROWS = { sift: 100_000, mnist: 20_000, synthetic: 50_000 }

export async function run({ machine, sets, rows }) {
  const names = sets ?? availableSets().filter((name) => name in ROWS)
  prepareSets(names)
  const results = []
  for (const set of names) {
    const job = { set, rows: rows ?? ROWS[set] ?? 20_000 }
    const rounds = []
    for (let round = 0; round < ROUNDS; ++round) {
      const adding = await runJob(JOB, job)
      rounds.push({ adding, control: await runJob(JOB, { ...job, controlMs: adding.ms }) })
    }
    results.push({ ...job, rounds })
  }
  writeSection('eventloop', {
    machine,
    title: 'Event loop',
    notes: [
      '`monitorEventLoopDelay` (resolution 1 ms) during one `addBatch` with metadata.',
      'control: one spinning worker per core for the same time, without OmenDB.',
      `Each in its own process, alternating; medians of ${ROUNDS}.`,
      'longest slice: the longest single stay in native code on the JavaScript thread.',
    ],
    tables: [{ caption: 'Delay while adding', header: HEADER, rows: results.map(row) }],
    data: { results },
  })
}

const HEADER = [
  'set',
  'rows',
  'adding ms',
  'max ms',
  'control max ms',
  'difference ms',
  'p99 ms',
  'control p99 ms',
  'longest slice ms',
]

function row({ set, rows, rounds }) {
  const of = (kind, figure) => median(rounds.map((round) => round[kind][figure]))
  return [
    set,
    number(rows),
    number(of('adding', 'ms')),
    number(of('adding', 'maxMs')),
    number(of('control', 'maxMs')),
    number(of('adding', 'maxMs') - of('control', 'maxMs')),
    number(of('adding', 'p99Ms')),
    number(of('control', 'p99Ms')),
    number(of('adding', 'longestSliceMs')),
  ]
}
