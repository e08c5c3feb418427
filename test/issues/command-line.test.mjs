// Bugs found in the commands `omendb` and `omendb-server`, each with what a user would have seen.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DB } from '../../dist/index.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const home = mkdtempSync(path.join(tmpdir(), 'omendb-issues-'))
after(() => rmSync(home, { recursive: true, force: true }))
const isWindows = process.platform === 'win32'

/** Runs a command of the package to its end. */
function run(program, args, env = {}) {
  const file = path.join(root, 'dist/lib', program, 'main.js')
  const options = { cwd: home, env: { ...process.env, ...env }, timeout: 30_000 }
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], options, (error, out, err) => {
      resolve({ code: error === null ? 0 : error.code, out, err })
    })
  })
}
const omendb = (...args) => run('cli', args)
const free = ['--port', '0', '--grpc-port', 'none']
const serve = (args, env) => run('server', [...free, ...args], env)

/** A start that is refused: one line that says why. */
async function refused(args, env, pattern) {
  const { code, err } = await serve(args, env)
  assert.equal(code, 2, err)
  assert.match(err, pattern)
  assert.equal(err.trimEnd().split('\n').length, 1, err)
}

async function database(name) {
  const where = path.join(home, name)
  const db = await DB.open(where)
  await db.add({ id: 1, vector: [1, 2], metadata: { a: 1 } })
  await db.close()
  return where
}

// The file was renamed over whatever was there: a device or a FIFO became a regular file.
test('an export into a FIFO leaves it a FIFO', { skip: isWindows }, async () => {
  const where = await database('fifo')
  const fifo = path.join(home, 'records.jsonl')
  execFileSync('mkfifo', [fifo])
  const read = new Promise((resolve) => {
    execFile('cat', [fifo], { timeout: 30_000 }, (_, out) => resolve(out))
  })
  const { code, err } = await omendb('export', where, '--out', fifo)
  assert.ok(lstatSync(fifo).isFIFO())
  assert.equal(code, 0, err)
  assert.match(await read, /^\{"id":1,"vector":\[1,2\]/)
  assert.deepEqual(
    readdirSync(home).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('an export through a symbolic link replaces the file, not the link', async (t) => {
  if (isWindows) return t.skip('links need rights')
  const where = await database('links')
  mkdirSync(path.join(home, 'apart'))
  for (const there of [true, false]) {
    const target = path.join(home, `apart/${there}.jsonl`)
    const link = path.join(home, `link-${there}.jsonl`)
    if (there) writeFileSync(target, 'old')
    symlinkSync(`apart/${there}.jsonl`, link)
    const { code, err } = await omendb('export', where, '--out', link)
    assert.equal(code, 0, err)
    assert.ok(lstatSync(link).isSymbolicLink())
    assert.match(readFileSync(target, 'utf8'), /^\{"id":1/)
  }
})

test('an export into a directory is refused, and leaves nothing beside it', async () => {
  const where = await database('into')
  const out = path.join(home, 'folder.jsonl')
  mkdirSync(out)
  const { code, err } = await omendb('export', where, '--out', out)
  assert.equal(code, 1)
  assert.match(err, /^omendb: ERR_IO: .*folder\.jsonl is a directory/)
  assert.deepEqual(readdirSync(out), [])
})

// The server started without any authentication.
test('a variable for keys that is set and empty is refused', async () => {
  const open = ['--host', '0.0.0.0', '--insecure']
  await refused(
    open,
    { OMENDB_API_KEY: '' },
    /ERR_ARGUMENT: OMENDB_API_KEY is set and holds no key/,
  )
  await refused(open, { OMENDB_READ_ONLY_API_KEY: ',' }, /OMENDB_READ_ONLY_API_KEY is set/)
  await refused([...open, '--api-key', ','], {}, /--api-key is set and holds no key/)
})

test('a variable that is almost the name of an option is refused', async () => {
  const key = 'key-0123456789abcdef'
  await refused([], { OMENDB_API_KEYS: key }, /OMENDB_API_KEYS .*; OMENDB_API_KEY is/)
  await refused([], { OMENDB_READONLY: '1' }, /OMENDB_READONLY .*; OMENDB_READ_ONLY is/)
  await refused([], { OMENDB_SECRET_KEY: key }, /OMENDB_SECRET_KEY is no option/)
  // Neither the library's own nor an orchestrator's keep a server from starting.
  const env = { OMENDB_SIMD: 'scalar', OMENDB_SERVICE_HOST: '10.0.0.1' }
  const { code, err } = await serve(['--port', '99999'], env)
  assert.equal(code, 2)
  assert.match(
    err,
    /^omendb-server: OMENDB_SERVICE_HOST is no option of the server, and is ignored/,
  )
  assert.match(err, /ERR_ARGUMENT: port is an integer/)
})

// `--api-key a,b` was one key with a comma, which nobody knew.
test('a flag is split at commas as its variable is', async () => {
  const three = 'key-0123456789abcdef,key-1123456789abcdef,key-2123456789abcdef'
  await refused(['--api-key', three], {}, /at most 2 keys/)
  await refused([], { OMENDB_API_KEY: three }, /at most 2 keys/)
})

test('a server that is to read alone needs a database to read', async () => {
  await refused(['--read-only'], {}, /ERR_ARGUMENT: readOnly \(--read-only\) needs `data`/)
})

// The database was opened, and so made, before the ports were bound.
test('a start that fails at its port or its certificate makes no database', async (t) => {
  const data = path.join(home, 'unmade')
  const other = net.createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const port = String(other.address().port)
  await refused(['--data', data, '--port', port], {}, /another process listens there/)
  assert.ok(!existsSync(data))
  await refused(['--data', data, '--grpc-port', port], {}, /another process listens there/)
  assert.ok(!existsSync(data))
  const bad = path.join(home, 'bad.pem')
  writeFileSync(bad, 'no certificate')
  const tls = ['--tls-cert', bad, '--tls-key', bad]
  await refused(['--data', data, ...tls], {}, /tls: .*bad\.pem with the key .*bad\.pem cannot be/)
  assert.ok(!existsSync(data))
})

test('a file of options may begin with a mark of UTF-8', async () => {
  const file = path.join(home, 'options.json')
  writeFileSync(file, '\ufeff{"logLevel":"loud"}')
  await refused(['--config', file], {}, /logLevel is one of fatal/)
})
