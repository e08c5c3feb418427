// Compiles test/js to out/js-test and runs it, and every *.test.mjs, under node:test.
//
//   node .ci/js-tests.mjs [start of a file's name]... [--no-compile] [--node-option]...
//   node .ci/js-tests.mjs --compile-only
// Only files whose name starts with one of the arguments run; what starts with -- goes to node,
// except the two options above. Files run beside each other, but for those that measure how long
// the event loop is held. A file that hangs ends after ten minutes, as failed: --test-timeout=MS
// chooses otherwise. OMENDB_ADDON=FILE chooses another addon than build/Release's, and
// OMENDB_NODE another Node. Tests of interruption load out/test-points/omendb.node, which has the
// pause points.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const FILE_MS = 10 * 60_000 // The longest takes one.

const root = fileURLToPath(new URL('..', import.meta.url))
const out = path.join(root, 'out/js-test')

function run(command, args, env = process.env) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env })
  if (error) throw error
  return status ?? 1
}

const options = process.argv.slice(2).filter((a) => a.startsWith('--'))
const parts = process.argv.slice(2).filter((a) => !a.startsWith('--'))
if (!options.includes('--no-compile')) {
  rmSync(out, { recursive: true, force: true })
  const typescript = createRequire(import.meta.url).resolve('typescript/package.json')
  const tsc = path.join(path.dirname(typescript), 'bin/tsc')
  const status = run(process.execPath, [tsc, '-p', 'test/js'])
  if (status !== 0 || options.includes('--compile-only')) process.exit(status)
}
const files = ['out/js-test', 'test/js', 'test/issues']
  .flatMap((d) =>
    existsSync(path.join(root, d)) ? readdirSync(path.join(root, d)).map((f) => `${d}/${f}`) : [],
  )
  .filter((f) => /\.test\.m?js$/.test(f))
  .filter((f) => parts.length === 0 || parts.some((p) => path.basename(f).startsWith(p)))
if (files.length === 0)
  throw new Error(`no test in test/js has a name that starts with ${parts.join(' or ')}`)
const env = { ...process.env }
if (env.OMENDB_ADDON) env.OMENDB_ADDON = path.resolve(root, env.OMENDB_ADDON)
mkdirSync(out, { recursive: true })

// Runs files and answers what node's report counted.
function runFiles(name, files, concurrency) {
  const report = path.join(out, `${name}.tap`)
  rmSync(report, { force: true })
  const nodeArgs = [
    '--expose-gc',
    '--test',
    `--test-concurrency=${concurrency}`,
    // Another Node may not know the option: 20.3 does not.
    ...(env.OMENDB_NODE ? [] : [`--test-timeout=${FILE_MS}`]),
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    `--test-reporter-destination=${report}`,
    ...options.filter((o) => o !== '--no-compile'),
  ]
  const status = run(env.OMENDB_NODE ?? process.execPath, [...nodeArgs, ...files.sort()], env)
  const text = existsSync(report) ? readFileSync(report, 'utf8') : ''
  for (const [, test] of text.matchAll(/^\s*ok \d+ - (.* # (?:SKIP|TO[D]O)\b.*)$/gm))
    console.log(`ok - ${test}`)
  const count = (what) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  const failed = count('fail') + count('cancelled')
  return {
    status,
    passed: count('pass') + count('skipped'),
    failed: failed || (status === 0 ? 0 : 1),
  }
}

const isMeasured = (file) => path.basename(file).startsWith('event-loop.')
const groups = [
  ['beside', files.filter((f) => !isMeasured(f)), availableParallelism()],
  ['alone', files.filter(isMeasured), 1],
].filter(([, some]) => some.length > 0)
const results = groups.map(([name, some, concurrency]) => runFiles(name, some, concurrency))

// Totals in the one form that .ci/run reads.
const sum = (what) => results.reduce((n, result) => n + result[what], 0)
console.log(`${sum('passed')} passed, ${sum('failed')} failed`)
process.exit(Math.max(...results.map(({ status }) => status)))
