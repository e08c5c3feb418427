// An import that goes on with a file knows whether the file is still what it was where its rows are
// stored: an edited one is told, never taken for done. And one that stored nothing leaves nothing
// that the next one contradicts.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as arrow from 'apache-arrow'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { DB } from '../../dist/index.mjs'

const home = mkdtempSync(path.join(tmpdir(), 'omendb-edited-'))
after(() => rmSync(home, { recursive: true, force: true }))
const main = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url))

/** Runs the command; `input` is its standard input. */
function omendb(args, input) {
  return new Promise((resolve) => {
    const options = { cwd: home, timeout: 60_000 }
    const child = execFile(process.execPath, [main, ...args], options, (error, out, err) => {
      resolve({ code: error === null ? 0 : error.code, out, err })
    })
    child.stdin.on('error', () => {}) // It may end before it has read everything.
    child.stdin.end(input)
  })
}

async function done(args, input) {
  const { code, out, err } = await omendb(args, input)
  assert.equal(code, 0, err)
  return { out, err }
}

/** First numbers of the vectors, by id. */
async function contents(where) {
  const db = await DB.open(where, { readOnly: true })
  const out = {}
  for await (const { id, vector } of db.records({ include: ['vector'] })) out[id] = vector[0]
  await db.close()
  return out
}

// More rows than what a file is known by: 64 KiB, with 16 numbers in each.
const ROWS = 3000
const DIMENSIONS = 16
const firsts = () => Array.from({ length: ROWS }, (_, i) => i + 1)
// What does not pack well: parquet, too, is to be larger than that.
const vectorOf = (first) =>
  Array.from({ length: DIMENSIONS }, (_, k) => (k === 0 ? first : Math.fround(Math.sin(first + k))))
const hasId = { jsonl: true, csv: true, parquet: true, arrow: true, arrows: true }

const jsonLine = (first, i) => JSON.stringify({ id: `r${i}`, vector: vectorOf(first) })
function table(values) {
  const type = new arrow.FixedSizeList(DIMENSIONS, new arrow.Field('item', new arrow.Float32()))
  const batches = []
  for (let i = 0; i < values.length; i += 500) {
    const part = values.slice(i, i + 500)
    const ids = part.map((_, k) => `r${i + k}`)
    const vector = arrow.vectorFromArray(part.map(vectorOf), type)
    const id = arrow.vectorFromArray(ids, new arrow.Utf8())
    batches.push(...new arrow.Table({ id, vector }).batches)
  }
  return new arrow.Table(batches)
}

function floats(values) {
  return Buffer.from(Float32Array.from(values.flatMap(vectorOf)).buffer)
}

const encoders = {
  jsonl: (values) => Buffer.from(`${values.map(jsonLine).join('\n')}\n`),
  csv: (values) => {
    const lines = values.map((first, i) => `r${i},"${JSON.stringify(vectorOf(first))}"`)
    return Buffer.from(`\ufeffid,vector\r\n${lines.join('\r\n')}\r\n`)
  },
  fvecs: (values) =>
    Buffer.concat(
      values.map((first) => {
        const head = Buffer.alloc(4)
        head.writeInt32LE(DIMENSIONS)
        return Buffer.concat([head, floats([first])])
      }),
    ),
  npy: (values) => {
    const shape = `(${values.length}, ${DIMENSIONS})`
    const header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`.padEnd(117)
    const prefix = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, 118, 0])
    return Buffer.concat([prefix, Buffer.from(`${header}\n`), floats(values)])
  },
  parquet: (values) => {
    const columnData = [
      { name: 'id', data: values.map((_, i) => `r${i}`), type: 'STRING' },
      { name: 'vector', data: values.map(vectorOf), type: 'JSON' },
    ]
    return Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: 500 }))
  },
  arrow: (values) => Buffer.from(arrow.tableToIPC(table(values), 'file')),
  arrows: (values) => Buffer.from(arrow.tableToIPC(table(values), 'stream')),
}

for (const [format, encode] of Object.entries(encoders)) {
  const [file, to] = [path.join(home, `e.${format}`), path.join(home, `${format}.omendb`)]
  const key = hasId[format] ? (i) => `r${i}` : (i) => i
  const args = ['import', file, '--to', to, '--metric', 'l2', '--batch', '450']

  // "0 rows stored, 3000 were there from an earlier run".
  test(`a ${format} file that was edited where rows are stored is told`, async () => {
    const values = firsts()
    writeFileSync(file, encode(values))
    await done([...args, '--limit', '2400'])
    // Behind the stored rows it may change: a bad row is mended.
    values[2700] = -7
    writeFileSync(file, encode(values))
    await done([...args, '--limit', '2600'])
    // Before them it may not.
    values[2100] = -8
    writeFileSync(file, encode(values))
    for (const more of [[], ['--limit', '2600'], ['--limit', '100']]) {
      const { code, err } = await omendb([...args, ...more])
      assert.equal(code, 1, err)
      assert.match(err, /ERR_EXISTS: .*2600 rows of it .* were imported, and it was edited there/)
      const advice = hasId[format] ? /with --upsert all rows/ : /with --restart all rows .* new ids/
      assert.match(err, advice)
    }
    assert.equal((await contents(to))[key(2100)], 2101)
    if (!hasId[format]) return
    // All rows again, and no position of a file that is no more.
    const { out, err } = await done([...args, '--upsert'])
    assert.match(err, /^omendb: .* was edited since 2600 rows of it were imported: all of its rows/)
    assert.match(out, /: 3000 rows stored/)
    const found = await contents(to)
    assert.deepEqual([found.r2100, found.r2700, found.r2999], [-8, -7, 3000])
    // As it is now it is known: whole, and not once more.
    assert.match((await done([...args, '--upsert'])).out, /0 rows stored, 3000 were there/)
    values[2100] = -9
    writeFileSync(file, encode(values))
    const json = JSON.parse((await done([...args, '--upsert', '--json'])).out)
    const [{ stored, alreadyStored, wasEdited }] = json.files
    assert.deepEqual([stored, alreadyStored, wasEdited], [3000, 0, true])
    assert.equal((await contents(to)).r2100, -9)
  })
}

for (const format of ['jsonl', 'csv', 'fvecs']) {
  test(`a ${format} file that grew is imported from there on`, async () => {
    const [file, to] = [path.join(home, `g.${format}`), path.join(home, `g-${format}.omendb`)]
    const args = ['import', file, '--to', to, '--metric', 'l2']
    const whole = encoders[format](firsts())
    const part = encoders[format](firsts().slice(0, 2000))
    // Also where the last line had no end yet.
    writeFileSync(file, format === 'fvecs' ? part : part.subarray(0, part.lastIndexOf('\n')))
    await done(args)
    writeFileSync(file, whole)
    assert.match((await done(args)).out, /1000 rows stored .*, 2000 were there/)
    assert.equal(Object.keys(await contents(to)).length, ROWS)
  })
}

test('a pipe that brings something else is told, with --upsert too', async () => {
  const to = path.join(home, 'pipe.omendb')
  const args = ['import', '-', '--format', 'jsonl', '--to', to, '--metric', 'l2', '--upsert']
  const values = firsts()
  await done([...args, '--limit', '2500'], encoders.jsonl(values))
  values[2100] = -8
  const { code, err } = await omendb(args, encoders.jsonl(values))
  assert.equal(code, 1)
  assert.match(err, /ERR_EXISTS: standard input: 2500 rows .*; give it once more with --restart/)
  await done([...args, '--restart'], encoders.jsonl(values))
  assert.equal((await contents(to)).r2100, -8)
})

// The second try was ERR_OPTIONS, of a collection that nobody had made.
test('an import that stored nothing leaves no collection behind', async () => {
  const [file, to] = [path.join(home, 'bad.jsonl'), path.join(home, 'bad.omendb')]
  const good = `${jsonLine(1, 0)}\n`
  for (const name of ['default', 'films']) {
    writeFileSync(file, `${good}{"id":1,"vector":[1,2]}\n`)
    const args = ['import', file, '--to', to, '-c', name]
    const first = await omendb([...args, '--metric', 'l2', '--quantization', 'none'])
    assert.equal(first.code, 1)
    assert.match(first.err, /ERR_DIMENSIONS/)
    assert.deepEqual(JSON.parse((await done(['stats', to, '--json'])).out).collections, [])
    writeFileSync(file, good)
    await done([...args, '--metric', 'dot'])
    const { collections } = JSON.parse((await done(['stats', to, '--json'])).out)
    assert.deepEqual([collections[0].name, collections[0].metric], [name, 'dot'])
    rmSync(to, { recursive: true })
  }
})

test('a collection that was there, if empty, stays after an import that failed', async () => {
  const [file, to] = [path.join(home, 'bad2.jsonl'), path.join(home, 'bad2.omendb')]
  const db = await DB.open(to)
  await db.createCollection('films', { metric: 'dot' })
  await db.close()
  writeFileSync(file, '{"id":1,"vector":[]}\n')
  assert.equal((await omendb(['import', file, '--to', to, '-c', 'films'])).code, 1)
  const { collections } = JSON.parse((await done(['stats', to, '--json'])).out)
  assert.deepEqual(
    collections.map(({ name }) => name),
    ['films'],
  )
})

test('an import that failed after rows were stored says so, and goes on once mended', async () => {
  const [file, to] = [path.join(home, 'half.jsonl'), path.join(home, 'half.omendb')]
  const lines = firsts().slice(0, 30).map(jsonLine)
  lines[25] = jsonLine(1e39, 25)
  writeFileSync(file, lines.join('\n'))
  const args = ['import', file, '--to', to, '--metric', 'l2', '--batch', '10']
  const { code, err } = await omendb(args)
  assert.equal(code, 1)
  assert.match(
    err,
    /row 25 \(line 26\).*; 20 rows before are stored: once this is mended, the same/,
  )
  const { error } = JSON.parse((await omendb([...args, '--json'])).err)
  assert.match(error.message, /20 rows before are stored/)
  assert.equal(error.row, 25)
  lines[25] = jsonLine(26, 25)
  writeFileSync(file, lines.join('\n'))
  assert.match((await done(args)).out, /: 10 rows stored .*, 20 were there from an earlier run/)
  assert.equal(Object.keys(await contents(to)).length, 30)
  assert.ok(readFileSync(file).length < 65_536)
})
