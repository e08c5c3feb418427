// keepVectors: false: codes are the truth once they are trained, and what they tell is marked.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB } from 'omendb'
import { rejected } from './support.js'

const DIMENSIONS = 16
const ROWS = 5000

// A walk on a few circles, so that neighbours are clear.
function rows(count: number): Float32Array {
  const out = new Float32Array(count * DIMENSIONS)
  for (let i = 0; i < out.length; i++) {
    const row = Math.floor(i / DIMENSIONS)
    out[i] = Math.sin(row * 0.013 * ((i % DIMENSIONS) + 1)) + (row % 7)
  }
  return out
}

function squared(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + (x - (b[i] as number)) ** 2, 0)
}

test('originals are kept until codes are trained, and then given back', async () => {
  const db = new DB({ metric: 'l2', dimensions: DIMENSIONS, keepVectors: false })
  const vectors = rows(ROWS)
  const query = vectors.slice(0, DIMENSIONS)
  await db.addBatch({ vectors: vectors.subarray(0, 4000 * DIMENSIONS) })
  let stats = (await db.stats()).collections[0]
  assert.equal(stats?.keepVectors, false)
  assert.equal(stats.trained, false)
  assert.ok(stats.bytes.vectors >= 4000 * DIMENSIONS * 4)
  assert.deepEqual(await db.get(0, { include: 'vector' }), { id: 0, vector: query })
  assert.deepEqual(await db.search(query, { k: 1 }), [{ id: 0, distance: 0, metadata: {} }])
  assert.equal((await db.explain(query)).approximate, false)

  await db.addBatch({ vectors: vectors.subarray(4000 * DIMENSIONS) })
  stats = (await db.stats()).collections[0]
  assert.equal(stats?.trained, true)
  assert.equal(stats.bytes.vectors, 0)
  assert.ok(stats.clamped < ROWS / 10)
  for (const options of [{}, { exact: true }, { exact: false }]) {
    for (const include of ['metadata', 'none', 'vector'] as const) {
      const [hit] = await db.search(query, { ...options, k: 1, include })
      assert.equal(hit?.id, 0)
      assert.equal(hit.approximate, true)
      assert.ok(hit.distance < 0.01)
    }
    assert.equal(db.searchSync(query, { ...options, k: 1 })[0]?.approximate, true)
    assert.equal((await db.searchBatch([query], options)).approximate, true)
    assert.equal((await db.explain(query, options)).approximate, true)
  }
  // A distance is that of the vector which get gives.
  const [hit] = await db.search(query, { exact: true, include: 'vector' })
  assert.ok(Math.abs(squared(query, hit?.vector as Float32Array) - (hit?.distance ?? 0)) < 1e-4)
  // Metadata is no matter of codes.
  assert.deepEqual(await db.get(1), { id: 1, metadata: {} })
  const before = await db.get(1, { include: 'vector' })
  assert.equal(before?.approximate, true)
  await db.update(1, { metadata: { n: 1 } })
  assert.deepEqual(await db.get(1, { include: 'vector' }), before)
  assert.ok((await db.check()).every((report) => report.ok))
  await db.close()
})

test('keepVectors must agree with what is stored, and needs codes', async () => {
  const db = new DB()
  await db.collection('codes', { keepVectors: false })
  await db.collection('codes')
  await rejected(() => db.collection('codes', { keepVectors: true }), 'ERR_OPTIONS')
  await db.collection('plain')
  await rejected(() => db.collection('plain', { keepVectors: false }), 'ERR_OPTIONS')
  const nothing = { keepVectors: false, quantization: 'none' } as const
  await rejected(() => db.collection('nothing', nothing), 'ERR_OPTIONS')
  assert.deepEqual(await db.listCollections(), ['codes', 'plain'])
  await db.close()
})
