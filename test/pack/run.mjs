// npm run test:pack: packs the package as it is published, and uses it as a stranger would.
//
// The tarball is installed in an empty folder outside the repository, with no compiler on PATH and
// no install scripts: once from the file, once from a registry that lives in this process. What
// must hold is in docs/decisions; each step below is one of those facts.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { startRegistry } from './registry.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const here = path.join(root, 'test/pack')
const work = realpathSync(mkdtempSync(path.join(tmpdir(), 'omendb-pack-')))
const npmCli = findNpm()
// What a machine without a compiler has: node, and nothing else.
const bin = path.join(work, 'bin')
mkdirSync(bin)
symlinkSync(process.execPath, path.join(bin, 'node'))
const bareEnv = { PATH: bin, HOME: work, npm_config_cache: path.join(work, 'cache') }

let passed = 0
async function step(name, body) {
  const note = await body()
  passed += 1
  console.log(`ok - ${name}${note ? `: ${note}` : ''}`)
}

function findNpm() {
  if (process.env.npm_execpath?.endsWith('npm-cli.js')) return process.env.npm_execpath
  const folders = process.env.PATH.split(path.delimiter)
  const found = folders.find((d) => readdirOr(d).includes('npm'))
  return realpathSync(path.join(found, 'npm'))
}

function readdirOr(directory) {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** Runs a node script and returns its stdout; the event loop stays free for the registry. */
async function node(args, cwd, env) {
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const out = []
  const err = []
  child.stdout.on('data', (d) => out.push(d))
  child.stderr.on('data', (d) => err.push(d))
  const [code, signal] = await once(child, 'close')
  const text = Buffer.concat(out).toString()
  assert.equal(code, 0, `node ${args.join(' ')}: ${signal ?? code}\n${text}${Buffer.concat(err)}`)
  return text
}
const npm = (args, cwd, env) => node([npmCli, ...args], cwd, env)

/** An empty project with `what` installed, and the smoke test beside it. */
async function install(folder, what, ...options) {
  const project = path.join(work, folder)
  mkdirSync(project)
  writeFileSync(path.join(project, 'package.json'), '{"name":"stranger","private":true}')
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--omit=dev', ...options]
  await npm(['install', what, ...flags], project, bareEnv)
  for (const file of ['smoke.cjs', 'smoke.mjs']) {
    copyFileSync(path.join(here, file), path.join(project, file))
  }
  return project
}

async function smoke(project) {
  const prebuilds = path.join(project, 'node_modules/omendb/prebuilds')
  const env = { ...bareEnv, OMENDB_EXPECT_UNDER: prebuilds }
  await node(['smoke.cjs'], project, env)
  await node(['smoke.mjs'], project, env)
  await node(['smoke.cjs', 'worker'], project, env)
  return `loaded from ${path.relative(project, prebuilds)} by require, import and in a worker`
}

const packageJson = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
const dependency = JSON.parse(
  readFileSync(path.join(root, 'node_modules/node-gyp-build/package.json'), 'utf8'),
)
// In the foreground, what the scripts print would stand before the JSON.
const pack = async (cwd, ...options) => {
  const args = ['pack', '--json', '--foreground-scripts=false', '--pack-destination', work]
  const listed = JSON.parse(await npm([...args, ...options], cwd, process.env))
  const [{ filename, files }] = Array.isArray(listed) ? listed : Object.values(listed)
  return { tarball: path.join(work, filename), files: files.map((f) => f.path) }
}

// With its scripts, as the maintainer packs it: prepack builds, and puts the binary into place.
const prebuilds = path.join(root, 'prebuilds')
rmSync(prebuilds, { recursive: true, force: true })
const { tarball, files } = await pack(root)
const binaries = readdirSync(prebuilds, { recursive: true }).filter((f) => f.endsWith('.node'))
assert.equal(binaries.length, 1, `prepack leaves one binary in ${prebuilds}, not: ${binaries}`)
const prebuilt = path.join(prebuilds, binaries[0])

await step('the tarball holds what users need and nothing to build', () => {
  const wanted = ['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json']
  for (const kind of ['cjs', 'mjs', 'd.cts', 'd.mts'])
    for (const name of ['index', 'client', 'server']) wanted.push(`dist/${name}.${kind}`)
  wanted.push(path.relative(root, prebuilt), 'dist/client.browser.mjs')
  for (const file of ['index.html', 'console.js', 'worker.js', 'console.css', 'icon.svg'])
    wanted.push(`dist/console/${file}`)
  for (const file of wanted) assert.ok(files.includes(file), `${file} is missing`)
  const wrong = files.filter((f) => !/^(dist\/|prebuilds\/|[A-Z]+(\.md)?$|package\.json$)/.test(f))
  assert.deepEqual(wrong, [])
  return `${files.length} files, ${(readFileSync(tarball).length / 1e6).toFixed(2)} MB packed`
})

await step('the binary carries its C++ runtime', () => {
  if (process.platform !== 'linux') return 'not checked on this platform'
  const needed = execFileSync('objdump', ['-p', prebuilt]).toString()
  assert.doesNotMatch(needed, /NEEDED.*(libstdc\+\+|libgcc_s|libc\+\+)/)
  const symbols = execFileSync('objdump', ['-T', prebuilt]).toString()
  assert.doesNotMatch(symbols, /GLIBCXX_|CXXABI_/)
  const versions = [...new Set(symbols.match(/GLIBC_[\d.]+/g))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  )
  // The C library that it asks for is what the README tells its readers to have.
  const newest = versions.at(-1).slice('GLIBC_'.length)
  const page = readFileSync(path.join(root, 'README.md'), 'utf8')
  const stated = [...page.matchAll(/glibc (\d+\.\d+)/g)].map(([, version]) => version)
  assert.ok(stated.length > 0, 'README.md states the oldest glibc')
  for (const version of stated) {
    const isEnough = version.localeCompare(newest, 'en', { numeric: true }) >= 0
    assert.ok(isEnough, `README.md says glibc ${version}, the binary asks for ${newest}`)
  }
  return `asks for ${versions.join(' ')}; README.md says ${stated.join(', ')}`
})

const fromFile = await install('from-file', tarball)
await step('two packages are installed, without a compiler and without scripts', () => {
  const installed = readdirSync(path.join(fromFile, 'node_modules')).filter((n) => n[0] !== '.')
  assert.deepEqual(installed.sort(), ['node-gyp-build', 'omendb'])
  return installed.join(' and ')
})
await step('it works, installed from the file', () => smoke(fromFile))
await step('the command line is installed with it', async () => {
  const command = path.join(fromFile, 'node_modules/.bin/omendb')
  const version = await node([command, '--version'], fromFile, bareEnv)
  assert.equal(version.trim(), packageJson.version)
  const server = path.join(fromFile, 'node_modules/.bin/omendb-server')
  assert.equal((await node([server, '--version'], fromFile, bareEnv)).trim(), packageJson.version)
  return `omendb and omendb-server ${version.trim()}`
})
await step('a server serves a client, by require and import', async () => {
  const body = `async ({ createServer }, { Client }) => {
    const server = await createServer({ port: 0, grpcPort: 0, logLevel: 'silent' })
    const client = new Client(server.url)
    await client.add({ id: 'a', vector: [1, 2] })
    if ((await client.search([1, 2]))[0].id !== 'a') throw new Error('not found')
    const console = await (await fetch(server.url)).text()
    if (!console.includes('src="console/console.js"')) throw new Error('there is no console')
    await client.close()
    await server.close()
  }`
  const required = `(${body})(require('omendb/server'), require('omendb/client'))`
  await node(['-e', required], fromFile, bareEnv)
  const imported = `(${body})(await import('omendb/server'), await import('omendb/client'))`
  await node(['--input-type=module', '-e', `await ${imported}`], fromFile, bareEnv)
  return 'omendb/server and omendb/client'
})

await step('its Parquet library is bundled; what Arrow needs is told', async () => {
  const command = path.join(fromFile, 'node_modules/.bin/omendb')
  const omendb = (...args) => node([command, ...args, '--json'], fromFile, bareEnv)
  writeFileSync(path.join(fromFile, 'a.jsonl'), '{"id":"a","vector":[1,2],"metadata":{"n":1}}\n')
  await omendb('import', 'a.jsonl', '--to', 'a.omendb')
  await omendb('export', 'a.omendb', '--out', 'a.parquet')
  const imported = JSON.parse(await omendb('import', 'a.parquet', '--to', 'b.omendb'))
  assert.equal(imported.count, 1)
  await assert.rejects(
    omendb('export', 'a.omendb', '--out', 'a.arrow'),
    /ERR_UNSUPPORTED.*npm install apache-arrow/,
  )
  const licences = files.filter((f) => f.endsWith('.LICENSES.txt'))
  assert.equal(licences.length, 1)
  return licences.join(', ')
})

await step('it works, published to a registry and installed from there', async () => {
  const gypBuild = await pack(path.join(root, 'node_modules/node-gyp-build'), '--ignore-scripts')
  const bytes = readFileSync(gypBuild.tarball)
  const registry = await startRegistry([{ manifest: dependency, bytes }])
  try {
    const auth = `--${registry.url.slice('http:'.length)}/:_authToken=none`
    const at = ['--registry', registry.url]
    await npm(['publish', tarball, ...at, auth, '--ignore-scripts'], work, bareEnv)
    const manifest = registry.published('omendb')
    assert.equal(manifest.scripts?.install, undefined)
    assert.equal(manifest.scripts?.preinstall, undefined)
    assert.equal(manifest.scripts?.postinstall, undefined)
    assert.notEqual(manifest.gypfile, true)
    assert.deepEqual(Object.keys(manifest.dependencies), ['node-gyp-build'])
    const installed = await install('from-registry', `omendb@${packageJson.version}`, ...at)
    return `no scripts.install, no gypfile; ${await smoke(installed)}`
  } finally {
    registry.close()
  }
})

const tools = path.join(root, 'node_modules')
await step('types are right under every resolution', async () => {
  const cli = path.join(tools, '@arethetypeswrong/cli/dist/index.js')
  // Not as before Node 12.17, which knew no subpaths: `omendb/client` has no file of that name.
  const args = ['--format', 'ascii', '--profile', 'node16']
  await node([cli, tarball, ...args], root, process.env)
  return 'attw'
})
await step('package.json says the truth about its files', async () => {
  await node(
    [path.join(tools, 'publint/src/cli.js'), 'run', tarball, '--strict'],
    root,
    process.env,
  )
  return 'publint'
})

rmSync(work, { recursive: true, force: true })
console.log(`${passed} passed, 0 failed`)
