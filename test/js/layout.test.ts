// layout 'fast': which collections may have it, and that they answer as others do.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB } from 'omendb'
import { random, refused, rejected } from './support.js'

const fast = { quantization: 'binary', layout: 'fast' } as const
const dimensions = 24
const rows = 6000

/** Rows around 30 centres: a graph of noise alone has no near neighbours to find. */
function clustered(count: number, seed: number): Float32Array {
  const centres = random(7)
  const centre = Array.from({ length: 30 * dimensions }, () => centres() * 8 - 4)
  const next = random(seed)
  return Float32Array.from({ length: count * dimensions }, (_, i) => {
    const cluster = (Math.floor(i / dimensions) * 17) % 30
    return (centre[cluster * dimensions + (i % dimensions)] as number) + next() * 2 - 1
  })
}

test('fast goes with binary alone, is stored, and must agree', async () => {
  const db = new DB()
  for (const quantization of ['sq8', 'none', undefined] as const) {
    const options = { quantization, layout: 'fast' } as const
    await rejected(() => db.collection('a', options), 'ERR_OPTIONS', undefined, /'binary'/)
    await refused(() => new DB(options), 'ERR_OPTIONS', undefined, /'binary'/)
  }
  const c = await db.collection('a', fast)
  assert.equal((await c.stats()).layout, 'fast')
  await db.collection('a')
  await db.collection('a', { layout: 'fast' })
  const other = () => db.collection('a', { layout: 'compact' })
  await rejected(other, 'ERR_OPTIONS', undefined, /with layout: 'fast'/)
  await db.collection('b', { quantization: 'binary' })
  await rejected(() => db.collection('b', fast), 'ERR_OPTIONS', undefined, /with layout: 'compact'/)
  await db.close()
})

test('fast finds what compact finds, filtered, in batches and after writes', async () => {
  for (const metric of ['l2', 'cosine', 'dot'] as const) {
    const db = new DB({ metric, dimensions, ...fast })
    const vectors = clustered(rows, 3)
    await db.addBatch({
      vectors,
      metadata: Array.from({ length: rows }, (_, i) => ({ tenth: i % 10 })),
    })
    await db.delete(Array.from({ length: 500 }, (_, i) => i * 3))
    await db.upsert({ id: 1, vector: vectors.slice(0, dimensions), metadata: { tenth: 1 } })
    const stats = await db.stats()
    const { bytes, trained } = stats.collections[0] as (typeof stats.collections)[0]
    assert.equal(trained, true)
    assert.ok(bytes.codes > rows * 32 * 8, 'packed codes are counted')
    const queries = clustered(40, 5)
    for (const filter of [undefined, { tenth: 1 }]) {
      let found = 0
      for (let q = 0; q < 40; q++) {
        const query = queries.slice(q * dimensions, (q + 1) * dimensions)
        const truth = await db.search(query, { exact: true, filter })
        const hits = await db.search(query, { exact: false, filter })
        assert.equal(hits.length, 10)
        const ids = new Set(truth.map((hit) => hit.id))
        found += hits.filter((hit) => ids.has(hit.id)).length
      }
      assert.ok(found >= 380, `${metric}: ${found} of 400`)
    }
    const batch = await db.searchBatch(queries, { exact: false })
    const single = await db.search(queries.slice(0, dimensions), { exact: false })
    assert.deepEqual(
      Array.from(batch.ids.slice(0, 10), Number),
      single.map((hit) => Number(hit.id)),
    )
    await db.close()
  }
})
