// npm run bench:peers: OmenDB beside other embedded engines for Node, alternating in one run.
//
// Options: --set sift,mnist,wordnet (all there are), --rows N at most (100 000), --rounds N of
// searches (5), --build-rounds N (3), --threads N (2), --engines omendb,hnswlib-node.
// The peers are a package of their own (bench/peers/package.json), installed by the first run with
// `npm ci`; users of omendb never get them. An engine that does not install or fails is a line in
// the table, not the end of the run.
// Method: every build is a fresh process; all engines build once per round, one after the other.
// Then the processes stay, and each round asks every engine in turn for every ef. Medians over
// rounds.

import { parseArgs } from 'node:util'
import { availableSets, openSet, prepareSets } from '../lib/data.mjs'
import { describeMachine } from '../lib/machine.mjs'
import { writeResult } from '../lib/report.mjs'
import { Engine } from './engine.mjs'
import { installNative, installPeers } from './install.mjs'
import { markdown } from './page.mjs'
import { plot } from './plot.mjs'
import { summarise } from './summary.mjs'

const M = 16
const EF_CONSTRUCTION = 128
const EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
const QUERIES_EXACT = 50

const ENGINES = [
  { name: 'omendb', module: 'omendb', options: { quantization: 'sq8' } },
  { name: 'omendb none', module: 'omendb', options: { quantization: 'none' } },
  { name: 'omendb binary', module: 'omendb', options: { quantization: 'binary' } },
  { name: 'hnswlib-node', module: 'hnswlib', options: {} },
  { name: 'hnswlib-node native', module: 'hnswlib', options: { native: true } },
  { name: 'usearch f32', module: 'usearch', options: { quantization: 'f32' } },
  { name: 'usearch f16', module: 'usearch', options: { quantization: 'f16' } },
  { name: 'zvec', module: 'zvec', options: {} },
  { name: 'sqlite-vec', module: 'sqlite-vec', options: {} },
  // Our codecs on the same rows as other floats (lib/data.mjs): integers may flatter them.
  ...['rotated', 'scaled'].flatMap((variant) =>
    ['sq8', 'binary'].map((quantization) => ({
      name: `omendb ${quantization} ${variant}`,
      module: 'omendb',
      options: { quantization },
      variant,
    })),
  ),
]

const ONE_THREAD = new Set(['hnswlib', 'sqlite-vec']) // Their interfaces build on one thread only.
const EXACT = new Set(['sqlite-vec']) // No ef to sweep, and slow: fewer queries.

const { values } = parseArgs({
  options: {
    set: { type: 'string' },
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    'build-rounds': { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    engines: { type: 'string' },
  },
})

/** Builds one engine in a fresh process; keeps the process when `keep` says so. */
async function build({ name, module, options, variant }, base, { threads, keep }) {
  const env = module === 'omendb' ? { OMENDB_THREADS: String(threads) } : {}
  const engine = await Engine.start({ ...base, module, options, variant, threads }, env)
  try {
    const figures = await engine.ask({ do: 'build' })
    process.stderr.write(`${name}, ${threads} threads: ${Math.round(figures.rate)} vectors/s\n`)
    if (keep) return { figures, engine }
    await engine.close()
    return { figures }
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** All builds, round by round. Returns one entry per engine, with its living process. */
async function buildAll(engines, base, { rounds, threads }) {
  const entries = engines.map((engine) => ({ ...engine, builds: [], sweep: new Map() }))
  for (let round = 0; round < rounds; ++round) {
    for (const entry of entries) {
      const counts = [...new Set(ONE_THREAD.has(entry.module) ? [1] : [1, threads])]
      for (const count of counts) {
        if (entry.absent !== undefined) break
        const keep = round === rounds - 1 && count === counts.at(-1)
        try {
          const { figures, engine } = await build(entry, base, { threads: count, keep })
          entry.builds.push({ threads: count, ...figures })
          entry.engine = engine
        } catch (error) {
          entry.absent = String(error.message).split('\n')[0]
          process.stderr.write(`${entry.name}: ${error.message}\n`)
        }
      }
    }
  }
  return entries
}

/** Every round asks every engine for every ef; what fails drops out. */
async function searchAll(entries, rounds) {
  for (let round = 0; round < rounds; ++round) {
    for (const ef of EFS) {
      for (const entry of entries) {
        if (entry.absent !== undefined) continue
        const isExact = EXACT.has(entry.module)
        if (isExact && ef !== EFS[0]) continue
        try {
          const count = isExact ? QUERIES_EXACT : undefined
          const figures = await entry.engine.ask({ do: 'search', ef, count })
          const points = entry.sweep.get(ef) ?? []
          entry.sweep.set(ef, [...points, figures])
        } catch (error) {
          entry.absent = String(error.message).split('\n')[0]
        }
      }
    }
    process.stderr.write(`search round ${round + 1} of ${rounds}\n`)
  }
}

async function main() {
  const wanted = values.engines?.split(',')
  const engines = ENGINES.filter(({ name }) => wanted === undefined || wanted.includes(name))
  const numbers = Object.fromEntries(
    ['rows', 'rounds', 'build-rounds', 'threads'].map((name) => [name, Number(values[name])]),
  )
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isInteger(value) || value < 1)
      throw new Error(`--${name} must be a positive integer`)
  }
  installPeers()
  if (engines.some(({ options }) => options.native)) installNative()
  for (const set of values.set?.split(',') ?? availableSets()) await compare(set, engines, numbers)
}

/** All engines on one set, and its page. */
async function compare(set, engines, { rows: rowsMax, ...numbers }) {
  prepareSets([set], [...new Set(engines.map(({ variant = 'plain' }) => variant))])
  const machine = describeMachine() // Before the run: the checkout may move on meanwhile.
  const { base: floats, dimensions, metric } = openSet(set)
  const rows = Math.min(rowsMax, floats.length / dimensions)
  const base = { set, rows, m: M, efConstruction: EF_CONSTRUCTION }
  const entries = await buildAll(engines, base, {
    rounds: numbers['build-rounds'],
    threads: numbers.threads,
  })
  await searchAll(entries, numbers.rounds)
  await Promise.all(entries.map((entry) => entry.engine?.close()))

  const run = { ...base, dimensions, metric, ...numbers, machine }
  const results = entries.map(summarise)
  const name = set === 'sift' ? 'peers' : `peers-${set}`
  const text = markdown(run, results)
  const json = JSON.stringify({ section: 'peers', ...run, results }, null, 2)
  writeResult(`${name}.json`, `${json}\n`)
  writeResult(`${name}.md`, text)
  writeResult(`${name}.svg`, plot(run, results))
  console.log(text)
}

await main()
