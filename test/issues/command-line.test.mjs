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
import { parquetWriteBuffer } from 'hyparquet-writer'
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

let imports = 0
/** Imports a file of this content into a new database. */
async function importing(name, content, ...flags) {
  const file = path.join(home, `${++imports}-${name}`)
  const to = path.join(home, `${imports}.omendb`)
  writeFileSync(file, content)
  const { code, out, err } = await omendb('import', file, '--to', to, ...flags)
  const records = []
  if (code === 0) {
    const db = await DB.open(to, { readOnly: true })
    for await (const record of db.records()) records.push(record)
    await db.close()
  }
  return { code, out, err, records }
}

const line = (object) => `${JSON.stringify(object)}\n`

// Columns are those of the first row: the 7 became metadata, and the row got its number as an id.
test('an id or a vector that only a later line has is no metadata', async () => {
  const ids = line({ vector: [1, 2] }) + line({ id: 7, vector: [3, 4] })
  const { code, err } = await importing('late.jsonl', ids)
  assert.equal(code, 1, err)
  assert.match(err, /ERR_ID: .*row 1 \(line 2\): it has the column 'id', and the first row has not/)
  const chosen = await importing('late.jsonl', ids, '--id', 'none')
  assert.deepEqual(chosen.records[1].metadata, { id: 7 })
  const vectors = line({ id: 1, e: [1, 2] }) + line({ id: 2, e: [3, 4], vector: [5, 6] })
  assert.match((await importing('late.jsonl', vectors)).err, /ERR_VECTOR: .*line 2.*'vector'/)
})

// docs/cli.md says that they are refused, not rounded.
test('integers past 2^53 - 1 are taken whole as ids, and refused as metadata', async () => {
  const big = '9007199254740993'
  const { records, err } = await importing('big.jsonl', `{"id":${big},"vector":[1,${big}]}\n`)
  assert.equal(records[0]?.id, BigInt(big), err)
  const wrong = /ERR_METADATA: .*line [12]\): .*9007199254740993 is past 2\^53/
  for (const sign of ['', '-']) {
    const text = `{"id":1,"vector":[1,2],"s":"${big}","n":[0.12345678901234567,${sign}${big}]}\n`
    assert.match((await importing('big.jsonl', text)).err, wrong)
    const csv = `id,vector,n\n1,"[1,2]",${sign}${big}\n`
    assert.match((await importing('big.csv', csv)).err, wrong)
    const cell = `id,vector,metadata\n1,"[1,2]","{""n"":${sign}${big}}"\n`
    assert.match((await importing('big.csv', cell)).err, wrong)
  }
})

/** A Parquet file of two rows: a vector, and this column. */
function parquet({ name, data, schema: below }) {
  const schema = [
    { name: 'root', num_children: 2 },
    { name: 'vector', type: 'BYTE_ARRAY', converted_type: 'JSON' },
    ...below,
  ]
  const vectors = [
    [1, 2],
    [3, 4],
  ]
  const columnData = [
    { name: 'vector', data: vectors },
    { name, data },
  ]
  return Buffer.from(parquetWriteBuffer({ columnData, schema }))
}

test('a decimal of Parquet is exact, or refused', async () => {
  const schema = [
    { name: 'n', type: 'INT64', converted_type: 'DECIMAL', scale: 2, precision: 18 },
  ].map((element) => ({ ...element, repetition_type: 'OPTIONAL' }))
  const fine = await importing('d.parquet', parquet({ name: 'n', data: [0.07, 1234.56], schema }))
  assert.deepEqual(
    fine.records.map(({ metadata }) => metadata.n),
    [0.07, 1234.56],
    fine.err,
  )
  const data = [0.1, Number('12345678901234567')]
  const { code, err } = await importing('d.parquet', parquet({ name: 'n', data, schema }))
  assert.equal(code, 1)
  assert.match(err, /ERR_METADATA: .*row 1: the decimal in 'n' has more than 15 digits/)
})

test('a list of Parquet that is null is null, as in Arrow', async () => {
  const schema = [
    { name: 'n', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', type: 'INT32', repetition_type: 'OPTIONAL' },
  ]
  const data = [[5], null]
  const { records, err } = await importing('l.parquet', parquet({ name: 'n', data, schema }))
  assert.deepEqual(
    records.map(({ metadata }) => metadata),
    [{ n: [5] }, { n: null }],
    err,
  )
})

// They ended as an internal error, without a code and, with --json, without JSON.
test('what is nested too deep, or no id, is an error with a code', async () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  const big = '9007199254740993'
  for (const more of ['', ',"d":{"$date":"2020-01-01T00:00:00.000Z"}', `,"n":${big}`]) {
    const text = `{"id":1,"vector":[1,2],"a":${deep}${more}}\n`
    const { code, err } = await importing('deep.jsonl', text)
    assert.equal(code, 1)
    assert.match(err, /ERR_(METADATA|FORMAT): .*line 1.* nested/)
    const whole = await importing('deep.jsonl', `{"vector":[1,2],"metadata":{"a":${deep}}${more}}`)
    assert.match(whole.err, /ERR_(METADATA|FORMAT): .*line 1.* nested/)
  }
  const where = await database('ids')
  const { code, err } = await omendb('search', where, '--id', '"\\q"', '--json')
  assert.equal(code, 2)
  assert.equal(JSON.parse(err).error.code, 'USAGE')
})

test('a CSV with another delimiter or CR alone is told', async () => {
  const semicolons = await importing('s.csv', 'id;vector;a\n1;"[1,2]";3\n')
  assert.match(semicolons.err, /ERR_FORMAT: .*'id;vector;a'; use --delimiter ';'/)
  const cr = await importing('cr.csv', 'id,vector,a\r1,"[1,2]",3\r2,"[1,2]",3\r')
  assert.equal(cr.code, 1, cr.out)
  assert.match(cr.err, /ERR_FORMAT: .*CR alone/)
})

// The first files were stored, an hour of work, before the last one's name was tried.
test('a file that is not there is told before any other is imported', async () => {
  const [good, to] = [path.join(home, 'there.jsonl'), path.join(home, 'missing.omendb')]
  writeFileSync(good, line({ id: 1, vector: [1, 2] }))
  const { code, out, err } = await omendb('import', good, 'no-such.jsonl', '--to', to)
  assert.deepEqual([code, out], [1, ''])
  assert.match(err, /^omendb: ERR_NOT_FOUND: no-such\.jsonl: there is no such file/)
  assert.ok(!existsSync(to))
})

test('why a line is no JSON is told in few words', async () => {
  const { code, err } = await importing('nan.jsonl', '{"id":1,"vector":[NaN,2]}\n')
  assert.equal(code, 1)
  assert.match(err, /ERR_FORMAT: .*line 1 is not JSON: [^"]*\n$/)
})

test('--json with --version prints JSON', async () => {
  const { out } = await omendb('--version', '--json')
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  assert.deepEqual(JSON.parse(out), { version })
})
