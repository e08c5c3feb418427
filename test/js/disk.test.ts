// Databases on disk: what comes back after a close and after a kill, who may open, what is refused.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { DB, type Id, type OmenError } from 'omendb'
import { rejected, vectors } from './support.js'

const home = realpathSync(mkdtempSync(path.join(tmpdir(), 'omendb-disk-')))
after(() => rmSync(home, { recursive: true, force: true }))
let made = 0
const fresh = (): string => path.join(home, `db${++made}`)

const keyOf = (id: Id): string => `${typeof id} ${id}`

/** All that a user can read of a collection, by id. */
async function contents(db: DB, name: string): Promise<Map<string, unknown>> {
  const collection = await db.collection(name, { createIfMissing: false })
  const out = new Map<string, unknown>()
  for await (const row of collection.records({ include: ['metadata', 'vector'] })) {
    out.set(keyOf(row.id), [row.metadata, Array.from(row.vector)])
  }
  return out
}

test('what was written is there after a close, bit for bit', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2' })
  const data = vectors(600, 24)
  const ids = await db.addBatch(data)
  await db.upsert({
    ids: ['a', 'b'],
    vectors: data.slice(0, 2),
    metadata: [{ at: new Date(5) }, {}],
  })
  await db.update('a', { metadata: { title: 'é' }, unset: [] })
  await db.update(7, { vector: data[9] as Float32Array, metadata: { moved: true } })
  await db.delete([1, 2, 3])
  await db.update('b', { metadata: { gone: 1 } })
  assert.equal(await db.delete({ filter: { gone: 1 } }), 1)
  const movies = await db.collection('movies', {
    dimensions: 3,
    metric: 'dot',
    quantization: 'none',
    m: 8,
    schema: { year: 'number' },
  })
  await movies.add({ id: 18446744073709551615n, vector: [1, 2, 3], metadata: { year: 1979 } })
  const cleared = await db.collection('cleared')
  await cleared.addBatch([[1], [2], [3]])
  await cleared.clear()
  await db.collection('dropped', { dimensions: 5 })
  assert.equal(await db.dropCollection('dropped'), true)
  await db.collection('empty', { dimensions: 9 })
  const before = [await contents(db, 'default'), await contents(db, 'movies')]
  const hits = await db.search(data[100] as Float32Array, { k: 5, exact: true })
  await db.close()

  const again = await DB.open(where)
  assert.deepEqual(await again.listCollections(), ['cleared', 'default', 'empty', 'movies'])
  assert.deepEqual([await contents(again, 'default'), await contents(again, 'movies')], before)
  assert.deepEqual(await again.search(data[100] as Float32Array, { k: 5, exact: true }), hits)
  assert.deepEqual(await again.get('a'), { id: 'a', metadata: { at: new Date(5), title: 'é' } })
  // Ids that were given once are not given again, also after a clear.
  assert.equal(await again.add({ vector: data[0] as Float32Array }), ids.length)
  assert.equal(await (await again.collection('cleared')).add({ vector: [4] }), 3)
  const stats = await (await again.collection('movies')).stats()
  assert.deepEqual(
    [stats.metric, stats.quantization, stats.m, stats.dimensions, stats.schema],
    ['dot', 'none', 8, 3, { year: { type: 'number', index: true } }],
  )
  assert.equal((await (await again.collection('empty')).stats()).dimensions, 9)
  await rejected(() => again.collection('movies', { metric: 'l2' }), 'ERR_OPTIONS')
  for (const report of await again.check())
    assert.deepEqual([report.ok, report.unreachable], [true, 0])
  const { recovery } = await again.stats()
  assert.ok(recovery !== undefined && recovery.records > 5 && recovery.cutBytes === 0)
  await again.close()
})

test('the Sync twins store as well', async () => {
  const where = fresh()
  const db = DB.openSync(where, { durability: 'periodic', metric: 'l2' })
  db.addSync({ id: 1, vector: [1, 2] })
  db.collectionSync('c').addSync({ id: 2, vector: [3] })
  db.createCollectionSync('d')
  assert.equal(db.dropCollectionSync('d'), true)
  db.flushSync()
  db.closeSync()
  db.closeSync() // Idempotent.
  const again = DB.openSync(where)
  assert.deepEqual(again.listCollectionsSync(), ['c', 'default'])
  assert.deepEqual(again.getSync(1, { include: 'vector' })?.vector, Float32Array.of(1, 2))
  again.closeSync()
})

test('many writes at once, at every durability, and a flush', async () => {
  for (const durability of ['sync', 'periodic', 'os'] as const) {
    const where = fresh()
    const db = await DB.open(where, { durability })
    const data = vectors(300, 16)
    const writes = data.map((vector, id) => db.add({ id, vector, metadata: { id } }))
    await Promise.all(writes)
    await db.flush()
    const before = await contents(db, 'default')
    await db.close()
    const again = await DB.open(where, { durability })
    assert.deepEqual(await contents(again, 'default'), before)
    await again.close()
  }
})

test('handles of one path share one database, in workers too', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2' })
  const other = await DB.open(path.join(where, '.'))
  await db.add({ id: 'x', vector: [1, 2] })
  assert.equal(await other.has('x'), true)
  await rejected(() => DB.open(where, { durability: 'os' }), 'ERR_OPTIONS', undefined, /durability/)
  await other.close()
  const script = `
    const { DB } = require('omendb')
    const { parentPort, workerData } = require('node:worker_threads')
    DB.open(workerData).then(async (db) => {
      await db.add({ id: 'from a worker', vector: [3, 4] })
      await db.close()
      parentPort.postMessage('done')
    })`
  const worker = new Worker(script, { eval: true, workerData: where })
  await once(worker, 'message')
  assert.equal(await db.has('from a worker'), true)
  // A worker that is ended with its database open gives it back.
  const hold = `
    const { DB } = require('omendb')
    const { parentPort, workerData } = require('node:worker_threads')
    DB.open(workerData).then((db) => { globalThis.db = db; parentPort.postMessage('open') })
    setInterval(() => {}, 1000)`
  await db.close()
  const holder = new Worker(hold, { eval: true, workerData: where })
  await once(holder, 'message')
  await holder.terminate()
  const again = await DB.open(where)
  assert.equal(await again.count(), 2)
  await again.close()
})

test('opening right after a close that nobody awaited waits for it', async () => {
  const where = fresh()
  for (let i = 0; i < 20; ++i) {
    const db = await DB.open(where, { metric: 'l2' })
    await db.add({ id: i, vector: [i] })
    void db.close()
  }
  const db = await DB.open(where)
  assert.equal(await db.count(), 20)
  await db.close()
})

function holderOf(where: string): ChildProcess {
  const script = path.join(__dirname, 'disk-child.js')
  return spawn(process.execPath, [script, where], { stdio: ['ignore', 'pipe', 'inherit'] })
}

test('another process that writes keeps out writers, not readers', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2' })
  await db.add({ id: 1, vector: [1] })
  await db.close()
  const holder = holderOf(where)
  await once(holder.stdout as NodeJS.ReadableStream, 'data')
  const error = await rejected(() => DB.open(where), 'ERR_LOCKED', undefined, /readOnly: true/)
  assert.equal(error.details.path, path.join(where, 'LOCK'))
  const reader = await DB.open(where, { readOnly: true })
  assert.equal(await reader.count(), 1)
  for (const write of [
    () => reader.add({ vector: [1] }),
    () => reader.delete(1),
    () => reader.delete({ filter: { a: 1 } }),
    () => reader.update(1, { metadata: { a: 1 } }),
    () => reader.clear(),
    () => reader.dropCollection('default'),
    () => reader.createCollection('new'),
  ]) {
    await rejected(write as () => Promise<unknown>, 'ERR_READ_ONLY')
  }
  assert.equal(await reader.count(), 1)
  await reader.flush()
  await reader.close()
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  await (await DB.open(where)).close() // The lock died with it.
})

test('what cannot be opened says why, and is left as it was', async () => {
  const file = fresh()
  writeFileSync(file, 'text')
  const open =
    (where: string, options = {}) =>
    () =>
      DB.open(where, options)
  await rejected(open(file), 'ERR_FORMAT', undefined, /is a file/)
  const foreign = fresh()
  mkdirSync(foreign)
  writeFileSync(path.join(foreign, 'diary.txt'), 'text')
  await rejected(open(foreign), 'ERR_FORMAT', undefined, /diary\.txt/)
  assert.deepEqual(readdirSync(foreign), ['diary.txt'])
  await rejected(open(fresh(), { createIfMissing: false }), 'ERR_NOT_FOUND')
  await rejected(open(fresh(), { readOnly: true }), 'ERR_NOT_FOUND')
  await rejected(open(path.join(home, 'no', 'where')), 'ERR_NOT_FOUND')
  await rejected(open(path.join(file, 'below')), 'ERR_IO', undefined, /is a file/)
  for (const bad of ['', 'a\0b', 5, null, undefined, {}]) {
    await rejected(open(bad as string), 'ERR_ARGUMENT')
  }
  await rejected(open(fresh(), { durability: 'always' }), 'ERR_ARGUMENT', undefined, /periodic/)
  await rejected(open(fresh(), { readonly: true }), 'ERR_ARGUMENT', undefined, /readonly/)
  await rejected(open(fresh(), { readOnly: 1 }), 'ERR_ARGUMENT')
})

test('options that contradict the stored ones are refused', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2', seed: 3 })
  await db.add({ vector: [1] })
  await db.close()
  await rejected(() => DB.open(where, { metric: 'dot' }), 'ERR_OPTIONS', undefined, /metric/)
  await rejected(() => DB.open(where, { seed: 4 }), 'ERR_OPTIONS', undefined, /seed/)
  await rejected(() => DB.open(where, { dimensions: 2 }), 'ERR_OPTIONS', undefined, /dimensions/)
  await (await DB.open(where, { metric: 'l2', seed: 3, dimensions: 1 })).close()
})

test('damage is reported with the file, and a newer format refused', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2' })
  await db.addBatch(vectors(50, 8))
  await db.add({ id: 'last', vector: vectors(1, 8)[0] as Float32Array })
  await db.close()
  const log = path.join(where, '000001.wal')
  const whole = readFileSync(log)
  const broken = Buffer.from(whole)
  broken[whole.length >> 1] ^= 4
  for (const readOnly of [false, true]) {
    writeFileSync(log, broken)
    const error: OmenError = await rejected(() => DB.open(where, { readOnly }), 'ERR_CORRUPT')
    assert.equal(error.details.path, log)
    assert.match(error.message, /damaged at byte \d+/)
    writeFileSync(log, whole)
    truncateSync(log, whole.length - 100)
    await rejected(() => DB.open(where, { readOnly }), 'ERR_CORRUPT')
    writeFileSync(log, whole)
  }
  const manifest = path.join(where, 'MANIFEST')
  const stored = readFileSync(manifest)
  const newer = Buffer.from(stored)
  newer.writeUInt32LE(2, 8)
  writeFileSync(manifest, newer)
  await rejected(() => DB.open(where), 'ERR_FORMAT', undefined, /newer version/)
  writeFileSync(manifest, stored)
  const again = await DB.open(where)
  assert.equal(await again.count(), 51)
  await again.close()
})

test('paths: not ASCII, URLs, relative ones after a chdir', async () => {
  const named = path.join(home, 'données-データ-🗄')
  const db = await DB.open(named, { metric: 'l2' })
  await db.add({ id: 1, vector: [1] })
  await db.close()
  const byUrl = await DB.open(pathToFileURL(named), { createIfMissing: false })
  assert.equal(await byUrl.count(), 1)
  await byUrl.close()
  const here = process.cwd()
  process.chdir(home)
  try {
    const relative = await DB.open('./relative', { metric: 'l2' })
    process.chdir(here)
    await relative.add({ id: 1, vector: [1] })
    await relative.close()
  } finally {
    process.chdir(here)
  }
  assert.deepEqual(readdirSync(path.join(home, 'relative')).sort(), [
    '000001.wal',
    'LOCK',
    'MANIFEST',
    'RESERVE',
  ])
})

test('a directory that may not be written to', async (t) => {
  if (process.getuid === undefined || process.getuid() === 0)
    return t.skip('root may write anywhere')
  const where = fresh()
  mkdirSync(where)
  chmodSync(where, 0o555)
  await rejected(() => DB.open(where), 'ERR_IO', undefined, /permission denied/)
  chmodSync(where, 0o755)
})

test('memory that is too small for the data refuses to open', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2' })
  await db.addBatch(vectors(3000, 128))
  await db.close()
  await rejected(() => DB.open(where, { maxMemoryBytes: 1 << 18 }), 'ERR_MEMORY')
  const again = await DB.open(where)
  assert.equal(await again.count(), 3000)
  await again.close()
})

test('mapped vectors give the same answers, and stay in their files', async () => {
  const where = fresh()
  const data = vectors(5000, 16)
  const db = await DB.open(where, { metric: 'l2', residency: 'mapped' })
  await db.addBatch(data)
  assert.equal((await db.stats()).collections[0]?.bytes.mapped, 0) // There was nothing to map yet.
  const before = (await db.search(data[7] as Float32Array, { k: 20 })).map(({ id }) => id)
  const all = await contents(db, 'default')
  await db.close()
  const again = await DB.open(where, { residency: 'mapped' })
  const { bytes } = await (await again.collection('default')).stats()
  assert.ok(bytes.mapped >= 5000 * 16 * 4, `${bytes.mapped} bytes are mapped`)
  assert.ok(bytes.vectors < bytes.mapped / 2, `${bytes.vectors} bytes are in memory`)
  const hits = await again.search(data[7] as Float32Array, { k: 20 })
  assert.deepEqual(
    hits.map(({ id }) => id),
    before,
  )
  assert.deepEqual(await contents(again, 'default'), all)
  await again.update(3, { vector: data[4] as Float32Array })
  assert.deepEqual(
    (await again.search(data[4] as Float32Array, { k: 2 })).map(({ id }) => id).sort(),
    [3, 4],
  )
  await rejected(() => DB.open(where, { residency: 'memory' }), 'ERR_OPTIONS')
  await again.close()
  await rejected(() => DB.open(where, { residency: 'disk' as never }), 'ERR_ARGUMENT')
})
