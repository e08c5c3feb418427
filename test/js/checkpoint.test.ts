// Snapshots and backups through the public interface, on real files.
import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { DB } from 'omendb'
import { rejected, vectors } from './support.js'

const home = realpathSync(mkdtempSync(path.join(tmpdir(), 'omendb-checkpoint-')))
after(() => rmSync(home, { recursive: true, force: true }))
let made = 0
const fresh = (): string => path.join(home, `db${++made}`)

const bytesOf = (directory: string): number =>
  readdirSync(directory).reduce((sum, f) => sum + statSync(path.join(directory, f)).size, 0)

const rows = vectors(6000, 16)
const metadata = rows.map((_, i) => ({ i, tag: `t${i % 5}` }))

test('a large database opens from its snapshot, with its graph', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2', durability: 'os' })
  await db.add({ ids: rows.map((_, i) => i), vectors: rows, metadata })
  await db.delete({ filter: { tag: 't3' } })
  const query = rows[17] as Float32Array
  const hits = await db.search(query, { k: 10, filter: { tag: 't2' } })
  await db.close()

  const again = await DB.open(where)
  const { recovery, storage } = await again.stats()
  assert.equal(recovery?.snapshotRecords, 4800)
  assert.equal(recovery?.rebuiltGraphs, 0)
  assert.ok(storage !== undefined && storage.snapshotBytes > 4800 * 64)
  assert.equal(storage.checkpointError, '')
  assert.deepEqual(await again.search(query, { k: 10, filter: { tag: 't2' } }), hits)
  assert.equal(await again.count({ i: { $lt: 100 } }), 80)
  // What comes after a snapshot is stored too.
  await again.upsert({ id: 3, vector: query, metadata: { tag: 'new' } })
  await again.close()
  const third = await DB.open(where, { readOnly: true })
  assert.equal(await third.count(), 4801)
  assert.deepEqual((await third.get(3))?.metadata, { tag: 'new' })
  for (const report of await third.check())
    assert.deepEqual([report.ok, report.problem], [true, ''])
  await third.close()
})

test('snapshots are written while writes go on, and keep the log short', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2', durability: 'os', checkpointBytes: 100_000 })
  for (let round = 0; round < 30; round++) {
    const first = (round * 400) % 5600
    const ids = Array.from({ length: 400 }, (_, i) => first + i)
    await db.upsert({ ids, vectors: rows.slice(first, first + 400) })
  }
  const before = await db.count()
  await db.close()
  const live = before * (16 * 4 + 300)
  assert.ok(bytesOf(where) < 3.5 * live, `${bytesOf(where)} bytes for ${before} records`)
  const again = await DB.open(where)
  assert.equal(await again.count(), before)
  assert.ok(((await again.stats()).recovery?.snapshotRecords ?? 0) > 0)
  await again.close()
})

test('a backup is a database of its own', async () => {
  const where = fresh()
  const to = fresh()
  const db = await DB.open(where, { metric: 'l2' })
  await db.add({ ids: rows.map((_, i) => `r${i}`), vectors: rows, metadata })
  const writes = [] // Go on meanwhile.
  for (let i = 0; i < 50; i++) writes.push(db.add({ id: i, vector: rows[i] as Float32Array }))
  await db.backup(to)
  await Promise.all(writes)
  await rejected(() => db.backup(to), 'ERR_EXISTS')
  const copy = await DB.open(to)
  const count = await copy.count()
  assert.ok(count >= 6000 && count <= 6050)
  assert.deepEqual(await copy.get('r42'), await db.get('r42'))
  await copy.add({ id: 'only here', vector: rows[0] as Float32Array })
  assert.equal(await db.has('only here'), false)
  await copy.close()
  await db.close()
})

test('what cannot be a backup says why, and nothing is left', async () => {
  const memory = new DB()
  await rejected(() => memory.backup(fresh()), 'ERR_UNSUPPORTED')
  await memory.close()
  const where = fresh()
  const db = await DB.open(where)
  await db.add({ id: 1, vector: [1, 2] })
  await rejected(() => db.backup(where), 'ERR_EXISTS')
  const full = fresh()
  mkdirSync(full)
  writeFileSync(path.join(full, 'note.txt'), 'mine')
  await rejected(() => db.backup(full), 'ERR_EXISTS')
  assert.deepEqual(readdirSync(full), ['note.txt'])
  await rejected(() => db.backup(path.join(home, 'no', 'such', 'parent')), 'ERR_NOT_FOUND')
  await rejected(() => db.backup(''), 'ERR_ARGUMENT')
  await rejected(() => db.backup(5 as unknown as string), 'ERR_ARGUMENT')
  const url = fresh()
  db.backupSync(new URL(`file://${url}`))
  await db.close()
  await rejected(() => db.backup(fresh()), 'ERR_CLOSED')
  const reader = await DB.open(url, { readOnly: true })
  assert.equal(await reader.count(), 1)
  await rejected(() => reader.backup(fresh()), 'ERR_READ_ONLY')
  await reader.close()
})
