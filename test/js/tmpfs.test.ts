// A disk that is really full, again and again: a small file system of memory, mounted for the test.
// A write that finds no space is refused whole; reading and deleting go on; what was deleted
// stays deleted; and whatever was accepted is there after the next opening, which works however
// full the disk is then. And one that the database fills up by itself, of which it keeps enough to
// bring its log into order: all of it can be deleted, record by record. And a medium that is
// read-only.
//
// OMENDB_FULL_DISKS: how often it is filled (2; npm run test:durability: 20).
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Collection, DB, OmenError } from 'omendb'
import { random } from './support.js'

const CYCLES = Number(process.env.OMENDB_FULL_DISKS ?? 2)
const DISK = 2 << 20
const ROOM = 512 << 10 // By which it grows each time, as if somebody had freed so much.
const DIMENSIONS = 64

type Model = Map<string, [vector: string, metadata: string]>

const bytesOf = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('latin1')

function mounted(where: string, bytes: number, how = ''): boolean {
  const args = ['-t', 'tmpfs', '-o', `${how}size=${bytes}`, 'tmpfs', where]
  return spawnSync('mount', args).status === 0
}

// A checkpoint that is under way holds both the old files and the new ones.
async function shrinks(disk: string, bytes: number): Promise<void> {
  for (const deadline = Date.now() + 20_000; !mounted(disk, bytes, 'remount,'); await sleep(20))
    assert.ok(Date.now() < deadline, `more than ${bytes} bytes stay in use`)
}

async function hasSpace(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write()
    return true
  } catch (error) {
    assert.ok(error instanceof OmenError && error.code === 'ERR_NO_SPACE', String(error))
    return false
  }
}

async function equals(db: DB, model: Model): Promise<void> {
  const found: Model = new Map()
  for await (const row of db.records({ include: ['metadata', 'vector'] }))
    found.set(String(row.id), [bytesOf(row.vector), JSON.stringify(row.metadata)])
  assert.equal(found.size, model.size)
  for (const [id, row] of model) assert.deepEqual(found.get(id), row, id)
  for (const report of await db.check()) assert.ok(report.ok, report.problem)
  if (model.size === 0) return
  const [id] = model.keys() as unknown as [string]
  const row = await db.get(id, { include: 'vector' })
  const hits = await db.search(row?.vector as Float32Array, { k: 1, exact: true })
  assert.equal(hits[0]?.id, id)
}

/** Fills the disk, and deletes in spite of that. */
async function fill(db: DB, model: Model, next: () => number): Promise<void> {
  for (let full = 0; full < 6; ) {
    const rows = 1 + Math.floor(next() * 60 * 2 ** -full) // The last gaps by smaller writes.
    const ids = Array.from({ length: rows }, () => `i${Math.floor(next() * 100_000)}`)
    const unique = [...new Set(ids)]
    const vectors = unique.map(() => Float32Array.from({ length: DIMENSIONS }, () => next() - 0.5))
    const metadata = unique.map((id) => ({ id, n: Math.floor(next() * 10) }))
    if (await hasSpace(() => db.upsert({ ids: unique, vectors, metadata }))) {
      for (const [i, id] of unique.entries())
        model.set(id, [bytesOf(vectors[i] as Float32Array), JSON.stringify(metadata[i])])
    } else {
      full += 1
    }
  }
  await equals(db, model)
  for (const id of [...model.keys()].slice(0, 40)) {
    await db.delete(id)
    model.delete(id)
  }
  await equals(db, model)
}

/** A disk of its own for the test, or undefined where none can be mounted. */
function mount(t: TestContext, bytes: number): string | undefined {
  const disk = mkdtempSync(path.join(tmpdir(), 'omendb-full-'))
  if (!mounted(disk, bytes)) {
    rmdirSync(disk)
    t.skip('a tmpfs can be mounted by root alone')
    return undefined
  }
  t.after(() => {
    spawnSync('umount', ['-l', disk])
    rmdirSync(disk)
  })
  return disk
}

test('a full disk refuses whole, and goes on when there is room', async (t) => {
  const disk = mount(t, DISK)
  if (disk === undefined) return
  const where = path.join(disk, 'db')
  mkdirSync(where)
  const next = random()
  const model: Model = new Map()
  let db = await DB.open(where, { metric: 'l2', checkpointBytes: 200_000 })
  for (let cycle = 1; cycle <= CYCLES; ++cycle) {
    await fill(db, model, next)
    // Closed, and opened while it is full.
    await db.close()
    const reader = await DB.open(where, { readOnly: true })
    await equals(reader, model)
    await reader.close()
    db = await DB.open(where, { checkpointBytes: 200_000 })
    await equals(db, model)
    await shrinks(disk, DISK + ROOM * cycle)
    const vector = Float32Array.from({ length: DIMENSIONS }, next)
    await db.add({ id: `after ${cycle}`, vector })
    model.set(`after ${cycle}`, [bytesOf(vector), '{}'])
    await equals(db, model)
  }
  await db.close()
})

/** Adds batches until even small ones find no room; how many records there are. */
async function fillUp(db: Pick<Collection, 'add' | 'count'>, next: () => number): Promise<number> {
  for (let rows = 500; rows > 0; ) {
    const vectors = Float32Array.from({ length: rows * DIMENSIONS }, next)
    if (await hasSpace(() => db.add({ vectors }))) continue
    await sleep(20) // The checkpoint that the refusal asked for.
    if (!(await hasSpace(() => db.add({ vectors })))) rows >>= 1
  }
  return db.count()
}

const freeBytes = (disk: string): number => {
  const { bavail, bsize } = statfsSync(disk)
  return bavail * bsize
}

async function hasFree(disk: string, bytes: number): Promise<void> {
  for (const deadline = Date.now() + 20_000; freeBytes(disk) < bytes; await sleep(20))
    assert.ok(Date.now() < deadline, `${freeBytes(disk)} bytes are free`)
}

test('what a database filled up by itself can be deleted, one by one and at once', async (t) => {
  const size = 6 << 20
  const disk = mount(t, size)
  if (disk === undefined) return
  const next = random()
  const db = await DB.open(path.join(disk, 'db'), { dimensions: DIMENSIONS, durability: 'os' })
  t.after(() => db.close())
  const count = await fillUp(db, next)
  assert.ok(freeBytes(disk) < size / 8, `${freeBytes(disk)} bytes stayed free`)
  assert.ok(count > 10_000, `${count} records found room`)
  // Ids are those that the database gave: 0, 1 and so on.
  for (let id = 0; id < count; id += 1) await db.delete(id)
  assert.equal(await db.count(), 0)
  assert.ok(await hasSpace(() => db.add({ vectors: new Float32Array(500 * DIMENSIONS).fill(1) })))
  // Both ask for a checkpoint, where a write was refused.
  await fillUp(db, next)
  await db.clear()
  await hasFree(disk, size - (1 << 20))
  await fillUp(await db.createCollection('other', { dimensions: DIMENSIONS }), next)
  await db.dropCollection('other')
  await hasFree(disk, size - (1 << 20))
  for (const report of await db.check()) assert.ok(report.ok, report.problem)
})

test('a read-only medium refuses writers, says what to do, and serves readers', async (t) => {
  const disk = mount(t, DISK)
  if (disk === undefined) return
  const where = path.join(disk, 'db')
  const next = random()
  const db = await DB.open(where, { metric: 'l2' })
  const vectors = Array.from({ length: 300 }, () => Float32Array.from({ length: 8 }, next))
  await db.add({ vectors, metadata: vectors.map((_, n) => ({ n })) })
  await db.backup(path.join(disk, 'closed'))
  await db.close()
  assert.equal(spawnSync('mount', ['-o', 'remount,ro', disk]).status, 0)
  for (const at of [where, path.join(disk, 'closed')]) {
    for (const open of [() => DB.open(at), async () => DB.openSync(at)])
      await assert.rejects(open, (error: OmenError) => {
        assert.equal(error.code, 'ERR_READ_ONLY', String(error))
        assert.ok(error.message.includes(at) && error.message.includes('readOnly'), error.message)
        return true
      })
    const reader = await DB.open(at, { readOnly: true })
    assert.equal(await reader.count({ n: { $gte: 100 } }), 200)
    const hits = await reader.search(vectors[7] as Float32Array, { k: 1 })
    assert.equal(hits[0]?.id, 7)
    for (const report of await reader.check()) assert.ok(report.ok, report.problem)
    const code = { code: 'ERR_READ_ONLY' }
    await assert.rejects(reader.add({ vector: vectors[0] as Float32Array }), code)
    await reader.close()
  }
  // What is none yet cannot be made there.
  await assert.rejects(DB.open(path.join(disk, 'new')), { code: 'ERR_READ_ONLY' })
  await assert.rejects(DB.open(path.join(disk, 'new'), { readOnly: true }), {
    code: 'ERR_NOT_FOUND',
  })
})
