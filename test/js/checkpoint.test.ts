// Snapshots and backups through the public interface, on real files.
import assert from 'node:assert/strict'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { DB } from 'omendb'
import { random, rejected, vectors } from './support.js'

const home = realpathSync(mkdtempSync(path.join(tmpdir(), 'omendb-checkpoint-')))
after(() => rmSync(home, { recursive: true, force: true }))
let made = 0
const fresh = (): string => path.join(home, `db${++made}`)

const bytesOf = (directory: string): number =>
  readdirSync(directory).reduce((sum, f) => sum + statSync(path.join(directory, f)).size, 0)

/** Files may go between the list and a look at one. */
const bytesThere = (directory: string): number =>
  readdirSync(directory).reduce(
    (sum, f) => sum + (statSync(path.join(directory, f), { throwIfNoEntry: false })?.size ?? 0),
    0,
  )

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

/** Opens it, and what onProgress was told. */
async function openWatched(where: string): Promise<{ db: DB; told: [number, number][] }> {
  const told: [number, number][] = []
  const onProgress = ({ done, total }: { done: number; total: number }): void => {
    told.push([done, total])
  }
  return { db: await DB.open(where, { onProgress }), told }
}

function checkTold(told: readonly [number, number][], total: number): void {
  assert.deepEqual(told.at(-1), [total, total])
  told.forEach(([done, of], i) => {
    assert.equal(of, total)
    assert.ok(done >= (told[i - 1]?.[0] ?? 0))
  })
}

test('an opening that links records tells how far it is', async () => {
  const where = fresh()
  const db = await DB.open(where, { metric: 'l2', durability: 'os' })
  await db.add({ ids: rows.map((_, i) => i), vectors: rows })
  // As after a crash: all of it is in the log.
  const copy = fresh()
  cpSync(where, copy, { recursive: true })
  await db.close()
  const replayed = await openWatched(copy)
  checkTold(replayed.told, rows.length)
  assert.equal((await replayed.db.stats()).recovery?.records, 2)
  await replayed.db.close()
  // A whole snapshot leaves nothing to tell.
  const whole = await openWatched(where)
  assert.deepEqual(whole.told, [])
  await whole.db.close()

  let rebuilt = 0
  for (const file of readdirSync(where).filter((f) => f.endsWith('.seg'))) {
    const damaged = fresh()
    cpSync(where, damaged, { recursive: true })
    const bytes = readFileSync(path.join(damaged, file))
    const middle = bytes.length >> 1
    bytes[middle] = (bytes[middle] as number) ^ 1
    writeFileSync(path.join(damaged, file), bytes)
    const opened = await openWatched(damaged).catch((error: { code: string }) => error)
    if ('code' in opened) {
      assert.equal(opened.code, 'ERR_CORRUPT') // Records, or the table: no graph.
      continue
    }
    assert.equal((await opened.db.stats()).recovery?.rebuiltGraphs, 1)
    checkTold(opened.told, rows.length)
    rebuilt += 1
    await opened.db.close()
  }
  assert.equal(rebuilt, 1)
  const never = { onProgress: 7 as unknown as () => void }
  await rejected(() => DB.open(where, never), 'ERR_ARGUMENT')
  const sync = { onProgress: () => {} } as object
  assert.throws(() => DB.openSync(where, sync), { code: 'ERR_ARGUMENT' })
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

// By itself: no checkpointBytes. Half of the records are replaced at random, ten times.
test('the files stay bounded while records are replaced', async () => {
  const where = fresh()
  const dimensions = 128
  const count = 6000
  const ids = Array.from({ length: count }, (_, id) => id)
  let db = await DB.open(where, { metric: 'l2', durability: 'os' })
  await db.add({ ids, vectors: vectors(count, dimensions) })
  await db.close()
  const live = bytesOf(where)
  assert.ok(live > 4 << 20)
  db = await DB.open(where, { durability: 'os' })
  const seen: number[] = []
  const timer = setInterval(() => seen.push(bytesThere(where) / live), 5)
  const next = random(7)
  for (let round = 0; round < 60; round += 1) {
    const some = [...new Set(Array.from({ length: 500 }, () => Math.floor(next() * count)))]
    await db.upsert({ ids: some, vectors: vectors(some.length, dimensions, round) })
  }
  clearInterval(timer)
  const checkpoints = (await db.stats()).storage?.checkpoints ?? 0
  await db.close()
  assert.ok(
    checkpoints >= 3 && seen.length >= 20,
    `${checkpoints} checkpoints, ${seen.length} looks`,
  )
  seen.sort((a, b) => a - b)
  const most = seen.at(-1) as number
  assert.ok(most < 3.5, `${most} times the live data`)
  assert.ok((seen[Math.floor(seen.length / 2)] as number) < 2.5)
  assert.ok(bytesOf(where) / live < 2.5)
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
