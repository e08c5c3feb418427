// Summary: medians, interpolated speeds at given recalls, and the Markdown page of a run.

import { machineLine } from '../lib/machine.mjs'
import { median, spreadPercent } from '../lib/measure.mjs'
import { markdownTable, number, recall } from '../lib/report.mjs'

export const TARGETS = [0.9, 0.95, 0.99]

/** One engine's entry of the run, reduced to medians. */
export function summarise({ name, builds, sweep, absent }) {
  const result = { name, absent, about: builds[0]?.about, builds: [], sweep: [] }
  for (const threads of new Set(builds.map((build) => build.threads))) {
    const own = builds.filter((build) => build.threads === threads)
    result.builds.push({
      threads,
      rate: median(own.map(({ rate }) => rate)),
      spreadPercent: spreadPercent(own.map(({ rate }) => rate)),
      cpuSeconds: median(own.map(({ cpuSeconds }) => cpuSeconds)),
      resident: median(own.map(({ resident }) => resident)),
    })
  }
  for (const [ef, rounds] of sweep) {
    const of = (figure) => median(rounds.map((round) => round[figure]))
    result.sweep.push({
      ef,
      recall: of('recall'),
      qps: of('qps'),
      spreadPercent: spreadPercent(rounds.map(({ qps }) => qps)),
      p50Us: of('p50Us'),
      p99Us: of('p99Us'),
      cpuUs: of('cpuUs'),
    })
  }
  result.at = Object.fromEntries(TARGETS.map((target) => [target, speedAt(result.sweep, target)]))
  return result
}

/**
 * Queries per second at a recall: between the two points of the sweep around it, linear in recall
 * and in the logarithm of the speed. `atLeast` when even the smallest ef finds more, undefined
 * when the largest finds less.
 */
export function speedAt(sweep, target) {
  const points = [...sweep].sort((a, b) => a.ef - b.ef)
  const above = points.findIndex((point) => point.recall >= target)
  if (above < 0) return undefined
  if (above === 0) return { qps: points[0].qps, atLeast: points[0].recall > target }
  const [low, high] = [points[above - 1], points[above]]
  const share = (target - low.recall) / (high.recall - low.recall)
  const qps = Math.exp(Math.log(low.qps) + share * (Math.log(high.qps) - Math.log(low.qps)))
  return { qps, atLeast: false }
}

/** The first point of the sweep that reaches a recall. */
function firstAt(sweep, target) {
  return sweep.find((point) => point.recall >= target)
}

export function markdown(run, results) {
  const present = results.filter(({ sweep }) => sweep.length > 0)
  const parts = [
    `## Peers: ${run.set}, ${number(run.rows)} rows`,
    machineLine(run.machine),
    markdownTable(
      HEADER,
      present.map((result) => row(result, results)),
    ),
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

const HEADER = [
  'engine',
  'build 1 thread',
  'build 2 threads',
  'CPU s',
  '@0.90',
  '@0.95',
  '@0.99',
  'x hnswlib-node @0.95',
  'p50 us',
  'p99 us',
  'CPU us',
  'bytes/vector',
]

function row(result, results) {
  const { name, builds, sweep, at } = result
  const one = builds.find(({ threads }) => threads === 1)
  const most = builds.find(({ threads }) => threads > 1)
  const rate = (build) =>
    build === undefined ? '-' : `${number(build.rate)} ±${Math.round(build.spreadPercent)}%`
  const point = firstAt(sweep, 0.95)
  const reference = results.find((other) => other.name === 'hnswlib-node')?.at[0.95]?.qps
  const ratio =
    at[0.95] === undefined || reference === undefined ? undefined : at[0.95].qps / reference
  return [
    name,
    rate(one),
    rate(most),
    number((most ?? one)?.cpuSeconds),
    ...TARGETS.map((t) => speed(at[t])),
    number(ratio),
    number(point?.p50Us),
    number(point?.p99Us),
    number(point?.cpuUs),
    number((most ?? one)?.resident),
  ]
}

function speed(value) {
  if (value === undefined) return '-'
  return `${value.atLeast ? '≥ ' : ''}${number(value.qps)}`
}

function method({ rounds, 'build-rounds': buildRounds, m, efConstruction }) {
  return [
    `- Build: vectors per second, median of ${buildRounds} fresh processes ± half the range.`,
    '  CPU s: of the build with the most threads. Some interfaces build on one thread only.',
    `- Speeds: single queries per second on one thread at recall@10 of 0.90, 0.95 and 0.99, k 10,`,
    `  interpolated over the sweep of ef; medians of ${rounds} rounds that alternate the engines.`,
    '- ≥: the smallest ef already finds more. Recall against exact truth, ties count as found.',
    '- p50, p99, CPU us (per query): at the smallest ef of the sweep that reaches 0.95.',
    '- bytes/vector: growth of resident memory during the build, after garbage collection.',
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
