// npm run test:durability: what is promised about data, put to the test for hours.
//
//   npm run test:durability                        every section, at full counts
//   npm run test:durability -- kills tmpfs         only these
//   npm run test:durability -- planted --quick     at the counts of CI
//   npm run test:durability -- damage --no-build   what is built already
// Each section prints a line of the table and "N passed, N failed". Counts are environment
// variables, listed in docs/testing.md; those that are set win over the full ones below. The slices
// of CI are in `npm test` and .ci/slices.sh.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import * as crash from './crash.mjs'
import * as fuzz from './fuzz.mjs'
import * as planted from './planted.mjs'
import * as suites from './suites.mjs'
import * as windows from './windows.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

// In the order in which they run: name, what it tells, native targets, what runs it, full counts.
const sections = {
  planted: {
    title: 'bugs made on purpose, each caught by its test',
    targets: planted.targets,
    run: planted.run,
  },
  kills: {
    title: 'processes killed while they write and while they recover',
    javascript: true,
    run: suites.javascript('kills'),
    full: { OMENDB_KILLS: '667' }, // At each of three durabilities.
  },
  tmpfs: {
    title: 'a disk that is full, again and again',
    javascript: true,
    run: suites.javascript('tmpfs'),
    full: { OMENDB_FULL_DISKS: '20' },
  },
  exits: {
    title: 'environments that end in the middle of every operation',
    javascript: true,
    targets: ['omendb_node'],
    run: suites.javascript('exits'),
    full: { OMENDB_REPEAT: '20' },
  },
  crash: {
    title: 'what a crash may leave, after every change',
    targets: ['db_crash_test', 'db_disk_test', 'log_crash_test', 'storage_test'],
    run: crash.run,
    full: { OMEN_CRASH_WORKLOADS: '100', OMEN_CRASH_DRAWS: '200', OMEN_CRASH_STATES: '1000000' },
  },
  damage: {
    title: 'every bit flipped, every length, damage at random',
    targets: ['db_damage_test'],
    run: suites.native('db_damage_test'),
    full: { OMEN_DAMAGE_STEP: '1', OMEN_DAMAGE_RANDOM: '20000' },
  },
  fuzz: {
    title: 'any bytes at all, under libFuzzer',
    run: fuzz.run,
    full: { OMEN_FUZZ_RUNS: '10000000' },
  },
  windows: {
    title: 'the engine compiled for Windows',
    run: windows.run,
  },
}

const options = process.argv.slice(2).filter((a) => a.startsWith('--'))
const names = process.argv.slice(2).filter((a) => !a.startsWith('--'))
const known = new Set(['--quick', '--no-build'])
for (const wrong of [
  ...options.filter((o) => !known.has(o)),
  ...names.filter((n) => sections[n] === undefined),
]) {
  console.log(`unknown: ${wrong}; sections: ${Object.keys(sections).join(' ')}; --quick --no-build`)
  process.exit(2)
}
const quick = options.includes('--quick')
const chosen = names.length > 0 ? names : Object.keys(sections)

function must(...args) {
  const { status, error } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

function build() {
  const targets = [...new Set(chosen.flatMap((name) => sections[name].targets ?? []))]
  if (targets.length > 0)
    must('.ci/native.mjs', 'test-points', '--build-only', `--target=${targets.join(',')}`)
  if (chosen.some((name) => sections[name].javascript)) must('.ci/js-tests.mjs', '--compile-only')
}

const isTerminal = process.stdout.isTTY === true
let told = Date.now()
function progress(text) {
  if (isTerminal) process.stdout.write(`\r\x1b[K${text}`)
  else if (Date.now() - told > 20_000) console.log(`  ${text}`)
  else return
  told = Date.now()
}

if (!options.includes('--no-build')) build()
const table = []
let passed = 0
let failed = 0
for (const name of chosen) {
  const { title, run, full } = sections[name]
  console.log(`=== ${name}: ${title}`)
  const start = Date.now()
  const env = { ...(quick ? {} : full), ...process.env }
  const result = await run({ root, env, quick, progress })
  const seconds = Math.round((Date.now() - start) / 1000)
  if (isTerminal) process.stdout.write('\r\x1b[K')
  for (const failure of result.failures) console.log(`not ok - ${name}: ${failure}`)
  passed += result.passed
  failed += result.failures.length
  table.push(`${name.padEnd(8)} ${String(seconds).padStart(6)} s  ${result.counts}`)
  console.log(table.at(-1))
}
console.log(`\n${table.join('\n')}`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
