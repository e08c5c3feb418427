// Writes the benchmark tables of README.md from bench/results/*.json: node bench/readme-table.mjs
//
// Why: a figure typed by hand grows old unseen. What stands between the two markers below is always
// what the recorded runs say, with the machine and the commit they come from. `--check` writes
// nothing and exits with 1 if the README says something else.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { machineLine, ROOT } from './lib/machine.mjs'
import { markdownTable, number, percent, RESULTS, recall } from './lib/report.mjs'
import { ratioText } from './peers/page.mjs'
import { ratioAt, TARGETS } from './peers/summary.mjs'

const START = '<!-- bench:start (node bench/readme-table.mjs) -->'
const END = '<!-- bench:end -->'
const README = join(ROOT, 'README.md')
const TITLES = { sift: 'SIFT', mnist: 'MNIST', wordnet: 'WordNet' }

function result(name) {
  const path = join(RESULTS, `${name}.json`)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

/** Peers on one set: build rate, speed at three recalls, and how many times as fast we are. */
function peersTable(file, isFirst) {
  const run = result(file)
  if (run === undefined) return []
  const present = run.results.filter(
    ({ sweep, variant }) => sweep.length > 0 && variant === undefined,
  )
  const ours = present.find(({ name }) => name === 'omendb')
  const speed = (value) =>
    value === undefined ? '-' : `${value.atLeast ? '≥ ' : ''}${number(value.qps)}`
  const rows = present.map((one) => {
    const { name, about, builds, at } = one
    const most = builds.at(-1)
    return [
      `${name} ${about.version}`,
      `${number(most.rate)} (${most.threads})`,
      ...TARGETS.map((target) => speed(at[target])),
      number(at[0.95]?.p50Us),
      number(at[0.95]?.p99Us),
      number(most.resident),
      name.startsWith('omendb') || ours === undefined ? '' : ratioText(ratioAt(ours, one, 0.95)),
    ]
  })
  const header = [
    'engine',
    'vectors/s built (threads)',
    ...['queries/s @0.90', '@0.95', '@0.99', 'p50 us @0.95', 'p99 us @0.95'],
    'bytes/vector',
    'omendb is x as fast @0.95',
  ]
  const method =
    'single queries on one thread at recall@10 of 0.90, 0.95 and 0.99, medians of ' +
    `${run.rounds} rounds that alternate the engines. ${machineLine(run.machine)}.`
  return [
    `${TITLES[run.set] ?? run.set}, ${number(run.rows)} vectors of ${run.dimensions} dimensions ` +
      `(${run.metric}), m ${run.m}, efConstruction ${run.efConstruction}; ${method}`,
    markdownTable(header, rows),
    `![Recall against queries per second](bench/results/${file}.svg)`,
    `Parameters, compiler flags and the whole sweeps: [bench/results/${file}.md]` +
      `(bench/results/${file}.md).${isFirst ? ' Run it yourself: `npm run bench:peers`.' : ''}`,
  ]
}

/** Recall and speed of each set with default options. */
function buildTable() {
  const run = result('build')
  if (run === undefined) return []
  const rows = run.results
    .filter(({ order, batchRows, threads }) => order === 'shuffled' && !batchRows && !threads)
    .map((one) => [
      one.set,
      one.variant,
      one.quantization,
      number(one.rows),
      number(one.rate),
      recall(one.byDefault.recall),
      number(one.byDefault.qps),
      number(one.bytes.total),
    ])
  const header = [
    'set',
    'floats',
    'codec',
    'rows',
    'vectors/s',
    'recall@10',
    'queries/s',
    'bytes/vector',
  ]
  return [
    `Default options (ef 64), one query at a time, on all sets. ${machineLine(run.machine)}.`,
    markdownTable(header, rows),
    'rotated: the same data as real floats. scaled: the dimension of largest variance times 100, ' +
      'which a codec must bear; under cosine (wordnet) that leaves little but one dimension, ' +
      'and the graph finds no more on plain floats.',
  ]
}

/** Filtered search as users get it, on the set with the richest metadata. */
function filtersTable() {
  const run = result('filters')
  if (run === undefined) return []
  const inDefault = run.results.filter(({ quantization }) => quantization === 'sq8')
  const shown = inDefault.find(({ set }) => set === 'wordnet') ?? inDefault[0]
  const rows = [shown].flatMap(({ set, cases }) =>
    cases.map(({ field, passing, plan, planned, exact }) => [
      set,
      field,
      number(passing),
      planned.fallback > 0 ? `${plan}, ${percent(planned.fallback)} by scan` : plan,
      recall(planned.recall),
      number(planned.qps),
      number(exact.qps),
    ]),
  )
  const header = [
    'set',
    'filter',
    'records that pass',
    'plan',
    'recall@10',
    'queries/s',
    'exact scan queries/s',
  ]
  return [
    `Filtered search, default options. ${machineLine(run.machine)}.`,
    markdownTable(header, rows),
    'Other sets and codecs: [bench/results/filters.md](bench/results/filters.md).',
  ]
}

const PEERS = ['peers', 'peers-mnist', 'peers-wordnet']
const parts = [
  ...PEERS.flatMap((file, i) => peersTable(file, i === 0)),
  ...buildTable(),
  ...filtersTable(),
]
if (parts.length === 0) {
  console.error(`no results in ${RESULTS}: run "npm run bench" and "npm run bench:peers" first`)
  process.exit(2)
}
const readme = readFileSync(README, 'utf8')
const [start, end] = [readme.indexOf(START), readme.indexOf(END)]
if (start < 0 || end < start) {
  console.error(`README.md needs two lines to write between:\n${START}\n${END}`)
  process.exit(2)
}
const updated = `${readme.slice(0, start)}${START}\n\n${parts.join('\n\n')}\n\n${readme.slice(end)}`
if (process.argv.includes('--check')) {
  if (updated !== readme) console.error('README.md is older than bench/results')
  process.exitCode = updated === readme ? 0 : 1
} else {
  writeFileSync(README, updated)
}
