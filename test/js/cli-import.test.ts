// omendb import and export, as processes: what is stored, what is told, what is refused.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { DB } from 'omendb'
import { contents, done, fresh, fvecs, home, main, npy, npyHeader, omendb } from './cli-support.js'
import { flatVectors, vectors } from './support.js'

const rows = vectors(500, 8)

/** A file below home with this text. */
function file(name: string, content: Uint8Array | string): string {
  const where = fresh(name)
  writeFileSync(where, content)
  return where
}

test('fvecs: row numbers are ids; another file goes on behind, the same one not', async () => {
  const [a, b, to] = [
    file('a.fvecs', fvecs(rows)),
    file('b.fvecs', fvecs(rows.slice(9, 20))),
    fresh(),
  ]
  assert.match(await done(['import', a, '--to', to, '--metric', 'l2']), /: 500 rows stored in /)
  const json = JSON.parse(await done(['import', a, b, '--to', to, '--json']))
  assert.deepEqual(
    json.files.map((f: { stored: number; alreadyStored: number }) => [f.stored, f.alreadyStored]),
    [
      [0, 500],
      [11, 0],
    ],
  )
  assert.equal(json.count, 511)
  const found = await contents(to)
  for (let i = 0; i < 500; i++) assert.deepEqual(found.get(i)?.vector, Array.from(rows[i]))
  assert.deepEqual(found.get(510)?.vector, Array.from(rows[19]))
  assert.match(await done(['import', a, '--to', to]), /0 rows stored, 500 were there.*--restart/)
  assert.match(await done(['import', a, '--to', to, '--restart']), /500 rows stored/)
  assert.equal((await contents(to)).size, 1011)
})

test('tables: columns by default and by choice; limit, skip and what follows', async () => {
  const lines = rows.slice(0, 20).map((v, i) =>
    JSON.stringify({
      key: `k${i}`,
      n: i,
      emb: Array.from(v),
      at: { $date: '2020-01-01T00:00:00.000Z' },
    }),
  )
  const jsonl = file('a.jsonl', `${lines.join('\n')}\n`)
  const to = fresh()
  const common = ['import', jsonl, '--to', to, '-c', 'c', '--id', 'key', '--metadata', 'n']
  assert.match(await done([...common, '--limit', '5']), /5 rows stored/)
  assert.match(await done(common), /15 rows stored.*5 were there/)
  const found = await contents(to, 'c')
  assert.deepEqual(found.get('k7'), { vector: Array.from(rows[7]), metadata: { n: 7 } })
  assert.match(await done([...common, '--skip', '18', '--upsert']), /2 rows stored/)
  assert.equal((await contents(to, 'c')).size, 20)
  // Appended to, it goes on where it ended.
  appendFileSync(jsonl, `${lines[0].replace('k0', 'new')}\n`)
  assert.match(await done(common), /1 row stored.*20 were there/)
  const whole = fresh()
  await done(['import', jsonl, '--to', whole, '--id', 'none'])
  const first = (await contents(whole)).get(0)
  assert.deepEqual(first?.metadata, { key: 'k0', n: 0, at: new Date('2020-01-01') })
})

test('standard input, with its format; twice the same is stored once', async () => {
  const to = fresh()
  const input = fvecs(rows)
  const args = ['import', '-', '--format', 'fvecs', '--to', to]
  assert.match(await done(args, input), /^standard input: 500 rows stored/)
  assert.match(await done(args, input), /0 rows stored, 500 were there/)
  const f4 = Buffer.from(flatVectors(3, 4).buffer)
  const stream = npy(npyHeader('<f4', '(3, 4)'), f4)
  assert.match(await done(['import', '-', '-f', 'npy', '--to', fresh()], stream), /3 rows stored/)
  for (const [given, message] of [
    [npy(npyHeader('<f4', '(4, 4)'), f4), /ends at row 3 of 4/],
    [npy(npyHeader('<f4', '(2, 4)'), f4), /bytes behind the 2 rows/],
  ] as const) {
    const { code, err } = await omendb(['import', '-', '-f', 'npy', '--to', fresh()], given)
    assert.equal(code, 1)
    assert.match(err, message)
  }
  const parquet = await omendb(['import', '-', '-f', 'parquet', '--to', fresh()], 'PAR1')
  assert.match(parquet.err, /ERR_UNSUPPORTED: .*give a file/)
})

test('a fault names file, row and line, and stores nothing of its batch', async () => {
  const bad = file('bad.jsonl', '{"id":1,"vector":[1,2]}\n\n{"id":2,"vector":[1e39,0]}\n')
  const to = fresh()
  const { code, out, err } = await omendb(['import', bad, '--to', to])
  assert.deepEqual([code, out], [1, ''])
  assert.match(err, /^omendb: ERR_VECTOR: .*bad\.jsonl: row 1 \(line 3\): [^\n]*\n$/)
  await assert.rejects(contents(to), { code: 'ERR_NOT_FOUND' }) // No collection is left either.
  const json = await omendb(['import', bad, '--to', to, '--json'])
  const { error } = JSON.parse(json.err)
  assert.deepEqual([json.code, error.code, error.row], [1, 'ERR_VECTOR', 1])
  // Corrected, the import goes on; by batches of one, what is before the fault is stored.
  assert.equal((await omendb(['import', bad, '--to', to, '--batch', '1'])).code, 1)
  assert.equal((await contents(to)).size, 1)
  writeFileSync(bad, readFileSync(bad, 'utf8').replace('1e39', '1e3'))
  assert.match(await done(['import', bad, '--to', to]), /1 row stored.*, 1 was there/)
  assert.equal((await contents(to)).size, 2)
  // Edited where rows are stored, within what it is known by: another file.
  writeFileSync(bad, readFileSync(bad, 'utf8').replace('[1,2]', '[1,3]'))
  const again = await omendb(['import', bad, '--to', to])
  assert.match(again.err, /ERR_EXISTS/)
  await done(['import', bad, '--to', to, '--upsert'])
  assert.deepEqual((await contents(to)).get(1)?.vector, [1, 3])
})

test('upsert takes the last of repeated ids; add refuses them', async () => {
  const repeated = file('r.jsonl', [1, 2, 3].map((v) => `{"id":"a","vector":[${v}]}`).join('\n'))
  const to = fresh()
  await done(['import', repeated, '--to', to, '--upsert', '--metric', 'l2'])
  assert.deepEqual([...(await contents(to))], [['a', { vector: [3], metadata: {} }]])
  assert.match((await omendb(['import', repeated, '--to', fresh()])).err, /ERR_DUPLICATE.*row 1/)
  const plain = file('u.fvecs', fvecs([[1]]))
  assert.match((await omendb(['import', plain, '--to', to, '--upsert'])).err, /--upsert needs ids/)
})

test('a file that begins alike and a changed collection are not imported over', async () => {
  const to = fresh()
  const name = file('s.fvecs', fvecs(rows))
  await done(['import', name, '--to', to, '--limit', '300', '--metric', 'l2'])
  const db = await DB.open(to)
  await db.upsert({ id: 299, vector: Array.from(rows[0]) })
  await db.close()
  const changed = await omendb(['import', name, '--to', to])
  assert.equal(changed.code, 1)
  assert.match(changed.err, /ERR_EXISTS: .*record 299 is not what row 299 says.*--restart/)
  // Emptied: it begins anew.
  const emptied = await DB.open(to)
  await emptied.clear()
  await emptied.close()
  assert.match(await done(['import', name, '--to', to]), /500 rows stored/)
  // Records added meanwhile keep their ids; the rest goes behind them.
  const other = fresh()
  await done(['import', name, '--to', other, '--limit', '300', '--metric', 'l2'])
  const beside = await DB.open(other)
  await beside.add({ vector: Array.from(rows[0]), metadata: { mine: true } })
  await beside.close()
  assert.match(await done(['import', name, '--to', other]), /200 rows stored.*, 300 were there/)
  const found = await contents(other)
  assert.deepEqual([found.size, found.get(300)?.metadata], [501, { mine: true }])
  assert.deepEqual(found.get(500)?.vector, Array.from(rows[499]))
})

test('options of a new collection, and such as do not fit', async () => {
  const to = fresh()
  const name = file('o.fvecs', fvecs(rows))
  const options = ['--metric', 'dot', '--quantization', 'none', '--dimensions', '8']
  await done(['import', name, '--to', to, ...options, '--schema', '{"year":"number"}'])
  const stats = JSON.parse(await done(['stats', to, '--json']))
  const [c] = stats.collections
  assert.deepEqual(
    [c.metric, c.quantization, c.dimensions, c.schema],
    ['dot', 'none', 8, { year: { type: 'number', index: true } }],
  )
  const other = file('p.fvecs', fvecs([[1, 2]]))
  assert.match((await omendb(['import', other, '--to', to])).err, /ERR_DIMENSIONS/)
  assert.match((await omendb(['import', other, '--to', to, '--metric', 'l2'])).err, /ERR_OPTIONS/)
  const usage: string[][] = [
    ['import', name],
    ['import', '--to', to],
    ['import', name, '--to', to, '--metric', 'l3'],
    ['import', name, '--to', to, '--limit', '-1'],
    ['import', name, '--to', to, '--schema', '{'],
    ['import', name, '--to', to, '--id', 'x'],
    ['import', 'x.unknown', '--to', to],
    ['import', '-', '--to', to],
  ]
  for (const args of usage) {
    const { code, out, err } = await omendb(args)
    assert.deepEqual([code, out], [2, ''], args.join(' '))
    assert.match(err, /^omendb: [^\n]*; see omendb help import\n$/)
  }
  const none = fresh()
  const missing = await omendb(['import', 'no-such.fvecs', '--to', none])
  assert.deepEqual([missing.code, existsSync(none)], [1, false])
  assert.match(missing.err, /^omendb: ERR_NOT_FOUND: no-such\.fvecs: [^\n]*\n$/)
})

test('export and import bring everything back, through every table format', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2' })
  const metadata = (i: number) => ({
    i,
    at: new Date(i * 1e9),
    deep: { a: [1, { b: null }], s: 'é"\n,' },
  })
  await db.add({
    ids: rows.map((_, i) => i * 3),
    vectors: rows,
    metadata: rows.map((_, i) => metadata(i)),
  })
  const mixed = await db.collection('mixed', { metric: 'dot' })
  await mixed.add({ ids: ['5', 5, 2n ** 60n, 'a'], vectors: rows.slice(0, 4) })
  await db.close()
  const expected = await contents(where)
  const trip = async (format: string, name: string) => {
    const [out, to] = [fresh(`out.${format}`), fresh()]
    await done(['export', where, '-c', name, '--out', out, '-q'])
    await done(['import', out, '--to', to, '--metric', 'l2', '-q'])
    return contents(to)
  }
  await Promise.all(
    ['jsonl', 'tsv', 'parquet', 'arrow'].map(async (format) => {
      assert.deepEqual(await trip(format, 'default'), expected, format)
    }),
  )
  assert.deepEqual(await trip('csv', 'mixed'), await contents(where, 'mixed'))
  for (const [format, name, message] of [
    ['parquet', 'mixed', /ids of both kinds; use jsonl or csv/],
    ['arrow', 'mixed', /ids of both kinds/],
    ['npy', 'default', /holds no ids other than 0, 1, 2 ... and no metadata.*--drop ids,metadata/],
    ['fvecs', 'mixed', /holds no ids other.*--drop ids\n/],
  ] as const) {
    const out = fresh(`lossy.${format}`)
    const { code, err } = await omendb(['export', where, '-c', name, '--out', out])
    assert.deepEqual([code, existsSync(out)], [1, false])
    assert.match(err, message)
  }
  const dropped = fresh('dropped.npy')
  await done(['export', where, '--out', dropped, '--drop', 'ids,metadata'])
  assert.equal(readFileSync(dropped).length, 128 + 500 * 8 * 4)
  const nothing = await omendb(['export', where, '-c', 'none', '--out', fresh('x.jsonl')])
  assert.match(nothing.err, /ERR_NOT_FOUND/)
  const leftovers = readdirSync(home).filter((f) => f.endsWith('.tmp'))
  assert.deepEqual(leftovers, [])
})

test('export to a reader that goes away ends quietly; a missing directory is told', async () => {
  const where = fresh()
  const db = await DB.open(where)
  await db.addBatch(vectors(20_000, 8))
  await db.close()
  const args = ['export', where, '--out', '-', '--format', 'jsonl']
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let err = ''
  child.stderr.on('data', (d: Buffer) => {
    err += d
  })
  await once(child.stdout, 'data')
  child.stdout.destroy()
  const [code] = await once(child, 'close')
  assert.deepEqual([code, err], [141, ''])
  const nowhere = await omendb(['export', where, '--out', path.join(home, 'no', 'x.jsonl')])
  assert.match(nowhere.err, /^omendb: ERR_NOT_FOUND: [^\n]*x\.jsonl[^\n]*\n$/)
  const whole = await done(args)
  assert.equal(whole.trim().split('\n').length, 20_000)
})
