// Memory of many small collections: they must not each pay for huge pages, scratch and tables.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB } from '../../dist/index.mjs'

const COLLECTIONS = 1000
const ROWS = 10
const DIMENSIONS = 128

test('1 000 collections of 10 rows stay under 300 MB, counted and resident', async () => {
  const before = process.memoryUsage().rss
  const db = new DB()
  const row = (i) => Float32Array.from({ length: DIMENSIONS }, (_, d) => Math.sin(i * 7 + d) + 0.1)
  for (let c = 0; c < COLLECTIONS; c++) {
    const collection = await db.collection(`c${c}`, { dimensions: DIMENSIONS })
    await collection.addBatch(Array.from({ length: ROWS }, (_, i) => row(c * ROWS + i)))
    const hits = await collection.search(row(c * ROWS + 3), { k: 1 })
    assert.equal(hits[0].id, 3)
  }
  const stats = await db.stats()
  assert.ok(stats.bytes < 300e6, `${stats.bytes} bytes counted`)
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 300e6, `${grown} bytes resident`)
  const { total, ...parts } = stats.collections[0].bytes
  assert.equal(
    Object.values(parts).reduce((sum, bytes) => sum + bytes, 0),
    total,
  )
  await db.close()
})
