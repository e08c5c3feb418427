// keepVectors: false: codes are the truth once they are trained, and what they tell is marked.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
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

test('on disk codes take the place of vectors, and tell the same after an opening', async () => {
  const home = mkdtempSync(path.join(tmpdir(), 'omendb-codes-'))
  const vectors = rows(ROWS)
  const query = vectors.slice(0, DIMENSIONS)
  const bytes: number[] = []
  for (const keepVectors of [true, false]) {
    const where = path.join(home, String(keepVectors))
    const db = await DB.open(where, { metric: 'l2', keepVectors, durability: 'os' })
    await db.addBatch({ vectors, dimensions: DIMENSIONS })
    const row = await db.get(7, { include: 'vector' })
    const hits = await db.search(query, { k: 5, exact: true })
    await db.close()
    bytes.push(
      readdirSync(where)
        .filter((file) => file.endsWith('.seg'))
        .reduce((sum, file) => sum + statSync(path.join(where, file)).size, 0),
    )
    const again = await DB.open(where)
    assert.equal((await again.stats()).collections[0]?.keepVectors, keepVectors)
    assert.deepEqual(await again.get(7, { include: 'vector' }), row)
    assert.deepEqual(await again.search(query, { k: 5, exact: true }), hits)
    assert.equal(hits[0]?.approximate, keepVectors ? undefined : true)
    await again.update(7, { metadata: { seen: true } })
    for (const report of await again.check()) assert.ok(report.ok, report.problem)
    await again.close()
    await rejected(() => DB.open(where, { keepVectors: !keepVectors }), 'ERR_OPTIONS')
  }
  // Floats are not there, nor are codes there twice.
  const [all, codes] = bytes as [number, number]
  assert.ok(all - codes > ROWS * DIMENSIONS * 4, `${all} bytes, and ${codes} without vectors`)
  rmSync(home, { recursive: true })
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
