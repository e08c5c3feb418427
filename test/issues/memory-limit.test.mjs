// What is left to do where maxMemoryBytes is reached.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB } from '../../dist/index.mjs'

const DIMENSIONS = 64

const random = (rows) => new Float32Array(rows * DIMENSIONS).map(() => Math.random() - 0.5)

async function fill(db) {
  for (let rows = 200; rows > 0; ) {
    try {
      await db.add({ vectors: random(rows), dimensions: DIMENSIONS })
    } catch (error) {
      assert.equal(error.code, 'ERR_MEMORY', error)
      rows >>= 1
    }
  }
  return db.count()
}

// Records took the last byte: then a search and a check were ERR_MEMORY, and after nine
// of ten records had been deleted still not one found room, for want of 32 KiB to reclaim them.
for (const quantization of ['sq8', 'none', 'binary'])
  test(`a ${quantization} database that is full searches, deletes and takes others`, async () => {
    const db = new DB({ maxMemoryBytes: 4 * 2 ** 20, dimensions: DIMENSIONS, quantization })
    const count = await fill(db)
    assert.ok(count > 4000, `${count} found room`)
    const { bytes, bytesLimit } = await db.stats()
    assert.ok(bytes <= bytesLimit && bytes > 0.8 * bytesLimit, `${bytes} of ${bytesLimit}`)
    assert.equal((await db.search(random(1), { k: 10 })).length, 10)
    assert.equal((await db.searchBatch(random(64), { k: 10 })).length, 64)
    for (const report of await db.check()) assert.ok(report.ok, report.problem)
    const gone = Math.floor(count * 0.9)
    for (let from = 0; from < gone; from += 50)
      await db.delete(Array.from({ length: Math.min(50, gone - from) }, (_, i) => from + i))
    for (const rows of [1, 100, 500])
      await db.add({ vectors: random(rows), dimensions: DIMENSIONS })
    await db.optimize()
    assert.equal(await db.count(), count - gone + 601)
    await db.close()
  })
