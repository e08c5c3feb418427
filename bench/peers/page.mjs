// Page: the Markdown of one run of the peers.

import { machineLine } from '../lib/machine.mjs'
import { markdownTable, number, recall } from '../lib/report.mjs'
import { ratioAt, TARGETS } from './summary.mjs'

const isOurs = ({ name }) => name.startsWith('omendb')

export function markdown(run, results) {
  const present = results.filter(({ sweep }) => sweep.length > 0)
  const parts = [
    `## Peers: ${run.set}, ${number(run.rows)} rows x ${run.dimensions}, ${run.metric}`,
    machineLine(run.machine),
    '### Building',
    markdownTable(BUILD, present.map(buildRow)),
    ...TARGETS.flatMap((target) => [
      `### Searching at recall@10 of ${target.toFixed(2)}`,
      markdownTable(
        SEARCH,
        present.map((result) => searchRow(result, target)),
      ),
    ]),
    ...ratioTables(present),
    method(run),
    '### Versions and parameters',
    markdownTable(
      ['engine', 'version', 'parameters', 'build'],
      present.map(({ name, about }) => [name, about.version, about.parameters, about.build]),
    ),
    '### Sweeps of ef',
    ...present.map(sweepTable),
  ]
  const absent = results.filter((result) => result.absent !== undefined)
  if (absent.length > 0) {
    const lines = absent.map(({ name, absent: why }) => `- ${name}: ${why}`)
    parts.push(['Absent, or failed during the run:', '', ...lines].join('\n'))
  }
  return `${parts.join('\n\n')}\n`
}

const BUILD = ['engine', '1 thread', 'all threads', 'threads', 'CPU s', 'bytes/vector', 'open ms']
const SEARCH = ['engine', 'queries/s', 'p50 us', 'p99 us', 'CPU us']

function buildRow({ name, builds }) {
  const one = builds.find(({ threads }) => threads === 1)
  const most = builds.find(({ threads }) => threads > 1)
  const rate = (build) =>
    build === undefined ? '-' : `${number(build.rate)} ±${Math.round(build.spreadPercent)}%`
  const last = most ?? one
  return [
    name,
    rate(one),
    rate(most),
    last.threads,
    number(last.cpuSeconds),
    number(last.resident),
    number(last.openMs),
  ]
}

function searchRow({ name, at }, target) {
  const figures = at[target]
  if (figures === undefined) return [name, '-', '-', '-', '-']
  const { qps, spreadPercent, p50Us, p99Us, cpuUs, atLeast } = figures
  return [
    name,
    `${atLeast ? '≥ ' : ''}${number(qps)} ±${Math.round(spreadPercent)}%`,
    ...[p50Us, p99Us, cpuUs].map(number),
  ]
}

/** For each of our codecs: how many times as fast as every peer. */
function ratioTables(present) {
  const peers = present.filter((result) => !isOurs(result))
  const codecs = present.filter((result) => isOurs(result) && result.variant === undefined)
  if (peers.length === 0) return []
  return codecs.flatMap((ours) => {
    const rows = peers.map((peer) => [
      peer.name,
      ...TARGETS.map((target) => ratioText(ratioAt(ours, peer, target))),
      ...TARGETS.map((target) => ratioText(ratioAt(ours, peer, target, 'cpuRounds'))),
      buildRatio(ours, peer, (threads) => threads === 1),
      buildRatio(ours, peer, (threads) => threads > 1),
    ])
    const at = TARGETS.map((target) => `@${target.toFixed(2)}`)
    const header = ['peer', ...at, ...at.map((one) => `CPU ${one}`), 'build 1', 'build all']
    return [`### ${ours.name}: times as fast as`, markdownTable(header, rows)]
  })
}

export function ratioText(value) {
  if (value === undefined) return '-'
  const { ratio, spreadPercent, bound, rounds } = value
  return bound + ratio.toFixed(2) + (rounds > 1 ? ` ±${Math.round(spreadPercent)}%` : '')
}

/** On all threads a peer that builds on one is compared with that. */
function buildRatio(ours, theirs, fits) {
  const find = ({ builds }) => builds.find(({ threads }) => fits(threads))
  const [a, b] = [find(ours), find(theirs) ?? theirs.builds[0]]
  return a === undefined || b === undefined ? '-' : (a.rate / b.rate).toFixed(2)
}

function method({ rounds, 'build-rounds': buildRounds, m, efConstruction }) {
  return [
    `- Building: vectors per second, median of ${buildRounds} fresh processes ± half the range.`,
    '  CPU s: of the build with the most threads. Some interfaces build on one thread only.',
    '- bytes/vector: growth of resident memory during the build, after garbage collection.',
    '- open ms: from the saved index to the first answer, in the process that saved it. -: the',
    '  engine, or this interface of it, lives in memory alone.',
    '- Searching: single queries on one thread, k 10, interpolated over the sweep of ef; medians',
    `  of ${rounds} rounds ± half the range. Every round asks the engines in turn for every ef.`,
    '- CPU us: of all threads of the process, for one query. Recall against exact truth, ties',
    '  count as found.',
    '- ≥ before a speed: the smallest ef already finds more. Before a ratio ≥, ≤, ~: ours, the',
    "  peer's, both speeds are such bounds.",
    '- rotated, scaled: the same rows as real floats, and with the dimension of largest variance',
    '  times 100 (truth computed anew, 200 queries).',
    '- times as fast: the quotient within each round, median ± half the range; CPU: of queries for',
    '  each second of CPU time, which other work on the machine disturbs less.',
    `- Graphs: m ${m}, efConstruction ${efConstruction}. On a shared machine compare ratios.`,
  ].join('\n')
}

function sweepTable({ name, sweep }) {
  const rows = sweep.map((point) => [
    point.ef,
    recall(point.recall),
    `${number(point.qps)} ±${Math.round(point.spreadPercent)}%`,
    number(point.p50Us),
    number(point.p99Us),
    number(point.cpuUs),
  ])
  const header = ['ef', 'recall@10', 'queries/s', 'p50 us', 'p99 us', 'CPU us']
  return `#### ${name}\n\n${markdownTable(header, rows)}`
}
