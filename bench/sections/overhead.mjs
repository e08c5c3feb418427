// Overhead: what JavaScript adds to a search. Native time is that of the same search on the same
// graph by a C++ program that takes turns with this one (bench/native/calls_bench.cc).

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { runJob } from '../lib/child.mjs'
import { availableSets, prepareSets } from '../lib/data.mjs'
import { ROOT } from '../lib/machine.mjs'
import { number, recall, writeSection } from '../lib/report.mjs'

const CALLS = new URL('../jobs/calls.mjs', import.meta.url)
const AWAITED = new URL('../jobs/awaited.mjs', import.meta.url)
const ROWS = 20_000
const EFS = [10, 64] // The cheapest search makes the overhead stand out; the other is the default.
const ROUNDS = 21

/** Builds the C++ side with CMake. */
function compile() {
  const cmake = (...args) => {
    const { status, stderr } = spawnSync('cmake', args, { cwd: ROOT, encoding: 'utf8' })
    if (status !== 0) throw new Error(`cmake ${args.join(' ')} failed:\n${stderr}`)
  }
  cmake('--preset', 'release')
  cmake('--build', '--preset', 'release', '--target', 'calls_bench', '-j2')
  return join(ROOT, 'out', 'release', 'calls_bench')
}

export async function run({ machine, sets, rows = ROWS }) {
  const set = sets?.[0] ?? availableSets()[0]
  prepareSets([set])
  const program = compile()
  const job = { set, rows, efs: EFS, rounds: ROUNDS }
  // One thread links, so that both sides have the same graph.
  const calls = await runJob(CALLS, { ...job, program }, { OMENDB_THREADS: '1' })
  const awaited = await runJob(AWAITED, job)
  writeSection('overhead', {
    machine,
    title: 'Overhead of JavaScript',
    notes: [
      `${set}, ${number(rows)} rows with metadata, k 10; rounds of ${calls.queryCount} queries, ` +
        `${ROUNDS} rounds, JavaScript and C++ in turns.`,
      'CPU: of the process for one call, no clock around each. overhead, ratio: medians over ' +
        'rounds of the difference and the quotient of CPU, ± half the range of the ratios.',
      'p50, p99: of one call, by a clock around each.',
      calls.sameGraph
        ? 'Both sides score the same rows: their graphs are the same.'
        : 'The two graphs differ: the differences hold that too.',
      'Awaited searches without metadata, on a pool as wide as the machine. at once: so many ' +
        'outstanding. CPU us: of all threads, for one search.',
    ],
    tables: [
      {
        caption: 'One call, microseconds',
        header: CALL_HEADER,
        rows: calls.results.map(callRow),
      },
      {
        caption: 'An awaited search, microseconds',
        header: [
          'ef',
          'recall@10',
          'searchSync p50',
          'await p50',
          'added',
          'searchSync p99',
          'await p99',
        ],
        rows: awaited.map((one) => [
          one.ef,
          recall(one.recall),
          number(one.syncP50Us),
          number(one.awaitP50Us),
          number(one.addedUs),
          number(one.syncP99Us),
          number(one.awaitP99Us),
        ]),
      },
      {
        caption: 'Searches per second',
        header: ['ef', 'recall@10', 'way', 'queries/s', 'x searchSync', 'CPU us'],
        rows: awaited.flatMap(rateRows),
      },
    ],
    data: { set, rows, efs: EFS, ...calls, awaited },
  })
}

const CALL_HEADER = [
  ...['call', 'ef', 'recall@10', 'CPU', 'native CPU', 'overhead', 'ratio'],
  ...['p50', 'native p50', 'p99', 'native p99'],
]

function callRow(one) {
  const us = (ns) => number(ns === null ? null : ns / 1000)
  const ratio = `${one.ratio.toFixed(3)} ±${Math.round(one.spread)}%`
  const cpu = [one.cpuNs, one.nativeCpuNs, one.overheadNs]
  const clock = [one.p50Ns, one.nativeP50Ns, one.p99Ns, one.nativeP99Ns]
  return [one.call, one.ef, recall(one.recall), ...cpu.map(us), ratio, ...clock.map(us)]
}

function rateRows({ ef, recall: found, rates }) {
  const sync = rates.find(({ way }) => way === 'sync')
  return rates.map(({ way, qps, cpuUs }) => [
    ef,
    recall(found),
    way === 'sync' ? 'searchSync in a loop' : `search, ${way} at once`,
    number(qps),
    (qps / sync.qps).toFixed(2),
    number(cpuUs),
  ])
}
