// The command line: what it prints, and what the process answers.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { DB } from 'omendb'
import { vectors } from './support.js'

const root = path.resolve(__dirname, '../..')
const packageJson = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
const main = path.join(root, packageJson.bin.omendb)
const home = realpathSync(mkdtempSync(path.join(tmpdir(), 'omendb-cli-')))
after(() => rmSync(home, { recursive: true, force: true }))
let made = 0
const fresh = (): string => path.join(home, `db${++made}`)

function omendb(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd: home,
    encoding: 'utf8',
  })
  return { code: status, out: stdout, err: stderr }
}

const rows = vectors(600, 16)

/** A database with two collections; with a snapshot, and a log behind it. */
async function makeDatabase(): Promise<string> {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2', checkpointBytes: 20_000 })
  await db.add({ ids: rows.map((_, i) => i), vectors: rows, metadata: rows.map((_, i) => ({ i })) })
  const named = await db.collection('named', { metric: 'dot' })
  await named.add({ ids: ['a', 'b'], vectors: rows.slice(0, 2) })
  await db.close()
  const again = await DB.open(where)
  await again.delete([1, 2, 3])
  await again.close()
  return where
}

const segments = (where: string): string[] =>
  readdirSync(where)
    .filter((f) => f.endsWith('.seg'))
    .map((f) => path.join(where, f))

/** The others hold graphs and codes, which an opening makes anew. */
function segmentOfRecords(where: string): string {
  const vector = Buffer.from((rows[9] as Float32Array).buffer)
  return segments(where).find((file) => readFileSync(file).includes(vector)) as string
}

/** Flips a bit of a file. */
function damage(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] as number) ^ 0x10
  writeFileSync(file, bytes)
}

test('help, version, and calls that cannot be understood', () => {
  assert.match(omendb('--help').out, /^Usage: omendb COMMAND/)
  assert.match(omendb('check', '--help').out, /^Usage: omendb check PATH/)
  assert.equal(omendb('check', '-h').code, 0)
  assert.deepEqual(omendb('--version'), { code: 0, out: `${packageJson.version}\n`, err: '' })
  for (const args of [
    [],
    ['chekc', 'x'],
    ['check'],
    ['check', 'a', 'b'],
    ['check', '--jsn', 'a'],
  ]) {
    const { code, out, err } = omendb(...args)
    assert.deepEqual([code, out], [2, ''], args.join(' '))
    const help = args[0] === 'check' ? 'help check' : '--help'
    assert.ok(/^omendb: [^\n]*\n$/.test(err) && err.endsWith(`; see omendb ${help}\n`), err)
  }
})

test('a whole database is told as a table and as JSON', async () => {
  const where = await makeDatabase()
  const before = readdirSync(where)
  const { code, out, err } = omendb('check', where)
  assert.deepEqual([code, err], [0, ''])
  assert.match(out, /^collection +records +unreachable +problem\ndefault +597 +0 +none\n/)
  assert.match(
    out,
    /named +2 +0 +none\nOpened 60[02] records of the snapshot, then replayed \d entr/,
  )
  assert.match(out, / is whole\.\n$/)
  const json = JSON.parse(omendb('check', where, '--json').out)
  assert.deepEqual([json.path, json.ok, json.collections.length], [where, true, 2])
  assert.ok(json.recovery.snapshotRecords >= 600)
  assert.deepEqual(readdirSync(where), before)
})

test('a database that is in use can be checked', async () => {
  const where = fresh()
  const db = await DB.open(where)
  await db.add({ id: 1, vector: [1, 2] })
  assert.equal(omendb('check', where).code, 0)
  await db.close()
})

test('damage names the file and the byte', async () => {
  const where = await makeDatabase()
  damage(segmentOfRecords(where), 70)
  const { code, out, err } = omendb('check', where)
  assert.deepEqual([code, out], [1, ''], err)
  assert.match(err, /^omendb: ERR_CORRUPT: .*\.seg is damaged at byte \d+: .*\n.*backup/)
  const json = omendb('check', where, '--json')
  assert.equal(json.code, 1)
  const { ok, error } = JSON.parse(json.out)
  assert.deepEqual([ok, error.code], [false, 'ERR_CORRUPT'])
  const other = await makeDatabase()
  damage(path.join(other, 'MANIFEST'), 2)
  assert.match(omendb('check', other).err, /ERR_FORMAT: .*MANIFEST/)
  assert.equal(omendb('check', other).code, 1)
})

test('what is no database is no damage', () => {
  const file = fresh()
  writeFileSync(file, 'text')
  const foreign = fresh()
  mkdirSync(foreign)
  writeFileSync(path.join(foreign, 'diary.txt'), 'text')
  for (const where of [fresh(), file, foreign, path.join(home, 'no', 'where')]) {
    const { code, out, err } = omendb('check', where)
    assert.deepEqual([code, out], [2, ''], where)
    assert.match(err, /^omendb: ERR_(NOT_FOUND|FORMAT|IO): .*\n$/)
  }
})

/** All that a user can read. */
async function contents(where: string): Promise<Map<unknown, unknown>> {
  const db = await DB.open(where, { readOnly: true })
  const out = new Map<unknown, unknown>()
  for (const name of await db.listCollections()) {
    const collection = await db.collection(name)
    for await (const row of collection.records({ include: ['metadata', 'vector'] })) {
      out.set(`${name} ${row.id}`, [row.metadata, Array.from(row.vector)])
    }
  }
  await db.close()
  return out
}

const filesOf = (where: string): Record<string, string> =>
  Object.fromEntries(readdirSync(where).map((f) => [f, readFileSync(path.join(where, f), 'hex')]))

test('salvage brings a whole database back, also without its manifest', async () => {
  const where = await makeDatabase()
  const expected = await contents(where)
  for (const has of [true, false]) {
    if (!has) rmSync(path.join(where, 'MANIFEST'))
    const before = filesOf(where)
    const out = fresh()
    const { code, out: text, err } = omendb('check', where, '--salvage', out)
    assert.deepEqual([code, err], [0, ''])
    assert.match(text, /^collection +records +options\ndefault +597 +as stored\nnamed +2 +as/)
    assert.match(text, /Nothing is known to be lost\./)
    assert.deepEqual(await contents(out), expected)
    assert.deepEqual(filesOf(where), before)
    assert.equal(omendb('check', out).code, 0)
  }
})

test('salvage tells what is lost, and brings all else', async () => {
  const where = await makeDatabase()
  const expected = await contents(where)
  damage(segmentOfRecords(where), 70)
  assert.match(omendb('check', where).err, /omendb check \/.* --salvage OUT\n$/)
  const out = fresh()
  const { code, out: text } = omendb('check', where, '--salvage', out)
  assert.equal(code, 1)
  assert.match(text, /- \/.*\.seg is damaged at byte \d+: /)
  assert.match(text, /Lost: 1 extent /)
  const found = await contents(out)
  assert.ok(found.size > 0 && found.size < expected.size)
  for (const [key, value] of found) assert.deepEqual(value, expected.get(key))
  const json = omendb('check', where, '--salvage', fresh(), '--json')
  assert.equal(json.code, 1)
  const report = JSON.parse(json.out)
  assert.deepEqual([report.isWhole, report.lost.extents, report.problems.length], [false, 1, 1])
})

test('salvage writes to a new place alone', async () => {
  const where = await makeDatabase()
  const foreign = fresh()
  mkdirSync(foreign)
  writeFileSync(path.join(foreign, 'diary.txt'), 'text')
  const codes: [string, string, RegExp][] = [
    [where, where, /ERR_ARGUMENT/],
    [where, path.join(where, 'below'), /ERR_ARGUMENT/],
    [where, foreign, /ERR_EXISTS/],
    [foreign, fresh(), /ERR_NOT_FOUND/],
    [fresh(), fresh(), /ERR_NOT_FOUND/],
    [where, path.join(home, 'no', 'where'), /ERR_NOT_FOUND/],
    [where, '', /--salvage needs a value/],
  ]
  for (const [from, out, expected] of codes) {
    const { code, out: text, err } = omendb('check', from, '--salvage', out)
    assert.deepEqual([code, text], [2, ''], out)
    assert.match(err, expected)
  }
  assert.deepEqual(readdirSync(foreign), ['diary.txt'])
})
