// A disk that is really full, again and again: a small file system of memory, mounted for the test.
// A write that finds no space is refused whole; reading and deleting go on; what was deleted
// stays deleted; and whatever was accepted is there after the next opening, which works however
// full the disk is then.
//
// OMENDB_FULL_DISKS: how often it is filled (2; npm run test:durability: 20).
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DB, OmenError } from 'omendb'
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
    const ids = Array.from({ length: rows }, () => `i${Math.floor(next() * 4000)}`)
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

test('a full disk refuses whole, and goes on when there is room', async (t) => {
  const disk = mkdtempSync(path.join(tmpdir(), 'omendb-full-'))
  if (!mounted(disk, DISK)) {
    rmdirSync(disk)
    return t.skip('a tmpfs can be mounted by root alone')
  }
  t.after(() => {
    spawnSync('umount', ['-l', disk])
    rmdirSync(disk)
  })
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
