// Growth: what an insert, a search and a vector cost as a collection grows.

import { runJob } from '../lib/child.mjs'
import { availableSets, prepareSets } from '../lib/data.mjs'
import { panels } from '../lib/panels.mjs'
import { number, writeResult, writeSection } from '../lib/report.mjs'

const JOB = new URL('../jobs/growth.mjs', import.meta.url)
const SIZES = {
  sift: [10_000, 50_000, 100_000, 200_000],
  synthetic: [10_000, 100_000, 200_000, 1_000_000],
}

export async function run({ machine, sets, rows = Infinity }) {
  const names = (sets ?? ['sift', 'synthetic']).filter((name) => name in SIZES)
  const results = []
  for (const set of names) {
    if (set === 'sift' && !availableSets().includes('sift')) continue
    if (set === 'sift') prepareSets([set])
    // A bound gives the sizes below it and itself.
    const below = SIZES[set].filter((size) => size < rows)
    const sizes = rows >= SIZES[set].at(-1) ? SIZES[set] : [...below, rows]
    results.push({ set, steps: await runJob(JOB, { set, sizes }) })
  }
  writeSection('growth', {
    machine,
    title: 'Growth',
    notes: [
      'One collection with default options (sq8) that grows, in batches of 1,000 rows.',
      'insert us: of one row among the last 5 % before the size, on all threads; CPU us: of all ' +
        'of them together.',
      'queries/s, p50, p99, CPU: single queries on one thread at recall@10 of 0.95, interpolated ' +
        'over a sweep of ef; exact truth at each size. ≥: the smallest ef finds more.',
      'bytes/vector by stats(): all, and all but the originals.',
      'synthetic: 400 clusters of 12 intrinsic dimensions in 128 (bench/lib/synthetic.mjs).',
    ],
    tables: [{ caption: 'As it grows', header: HEADER, rows: results.flatMap(rowsOf) }],
    data: { results },
  })
  writeResult(
    'growth.svg',
    panels({ title: 'Cost as a collection grows', machine }, plots(results)),
  )
}

const HEADER = [
  'set',
  'rows',
  'insert us',
  'insert CPU us',
  'queries/s @0.95',
  'p50 us',
  'p99 us',
  'CPU us',
  'bytes/vector',
  'but originals',
]

function rowsOf({ set, steps }) {
  return steps.map(({ rows, insertUs, insertCpuUs, at, bytes }) => [
    set,
    number(rows),
    number(insertUs),
    number(insertCpuUs),
    at === undefined ? '-' : `${at.atLeast ? '≥ ' : ''}${number(at.qps)}`,
    number(at?.p50Us),
    number(at?.p99Us),
    number(at?.cpuUs),
    number(bytes.total),
    number(bytes.derived),
  ])
}

/** Four panels, each a line per set (p50 and p99: two). */
function plots(results) {
  const series = (name, value) =>
    results.map(({ set, steps }) => ({
      name: name === '' ? set : `${set} ${name}`,
      points: steps.map((step) => [step.rows, value(step)]).filter(([, y]) => y !== undefined),
    }))
  return [
    { title: 'CPU microseconds of an insert', series: series('', (step) => step.insertCpuUs) },
    { title: 'Queries per second at recall 0.95', series: series('', (step) => step.at?.qps) },
    {
      title: 'Microseconds of a query at recall 0.95',
      series: [
        ...series('p50', (step) => step.at?.p50Us),
        ...series('p99', (step) => step.at?.p99Us),
      ],
    },
    { title: 'Bytes a vector', series: series('', (step) => step.bytes.total) },
  ]
}
