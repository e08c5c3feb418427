// Compiles test/js to out/js-test and runs it under node:test: node .ci/js-tests.mjs [part of a name]...
//
// Only files whose name contains one of the arguments run; what starts with -- goes to node, except
// --no-compile. OMENDB_PREBUILD=out/<preset> chooses another addon than build/Release's, and
// OMENDB_NODE another Node. Tests of interruption load out/test-points, which has the pause points.
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = path.join(root, 'out/js-test')

function run(command, args, env = process.env) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

const options = process.argv.slice(2).filter((a) => a.startsWith('--'))
const parts = process.argv.slice(2).filter((a) => !a.startsWith('--'))
if (!options.includes('--no-compile')) {
  rmSync(out, { recursive: true, force: true })
  const typescript = createRequire(import.meta.url).resolve('typescript/package.json')
  run(process.execPath, [path.join(path.dirname(typescript), 'bin/tsc'), '-p', 'test/js'])
}
const files = readdirSync(out)
  .filter((f) => f.endsWith('.test.js') && (parts.length === 0 || parts.some((p) => f.includes(p))))
  .map((f) => path.join('out/js-test', f))
if (files.length === 0) throw new Error(`no test in test/js has a name with ${parts.join(' or ')}`)
const env = { ...process.env }
if (env.OMENDB_PREBUILD) env.OMENDB_PREBUILD = path.resolve(root, env.OMENDB_PREBUILD)
const nodeArgs = ['--expose-gc', '--test', ...options.filter((o) => o !== '--no-compile')]
run(env.OMENDB_NODE ?? process.execPath, [...nodeArgs, ...files.sort()], env)
