// Bugs found in closing a database, each with what a user would have seen.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { DB } from '../../dist/index.mjs'

function isLocked() {
  return readdirSync('/proc/self/fd').some((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).endsWith('/LOCK')
    } catch {
      return false // The descriptor that the listing itself had.
    }
  })
}

async function lockedAfter(close) {
  const directory = mkdtempSync(path.join(tmpdir(), 'omendb-close-'))
  let held = 0
  for (let i = 0; i < 60; i++) {
    const db = await DB.open(path.join(directory, `d${i}`), { metric: 'l2' })
    await close(db)
    if (isLocked()) held++
    while (isLocked()) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  rmSync(directory, { recursive: true })
  return held
}

const skip = process.platform !== 'linux'

// The lock was given back on the pool some 20 ms later: another process got ERR_LOCKED until then.
test('closeSync after an awaited write returns with the lock given back', { skip }, async () => {
  const held = await lockedAfter(async (db) => {
    await db.upsert({ id: 1, vector: [1, 2] })
    db.closeSync()
  })
  assert.equal(held, 0)
})

// A write whose promise had not been settled held the database until the event loop turned.
test('closeSync gives the lock back while promises of writes wait', { skip }, async () => {
  const held = await lockedAfter((db) => {
    db.upsert({ id: 1, vector: [1, 2] })
    db.closeSync()
  })
  assert.equal(held, 0)
})

test('close after an awaited write ends with the lock given back', { skip }, async () => {
  const held = await lockedAfter(async (db) => {
    await db.upsert({ id: 1, vector: [1, 2] })
    await db.close()
  })
  assert.equal(held, 0)
})
