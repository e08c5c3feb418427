// Ids of every kind: what is one id, what comes back, what is generated.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, type Id } from 'omendb'
import { rejected } from './support.js'

const vector = (x: number) => new Float32Array([x, 1])

test('ids come back as number where they fit, else as bigint or string', async () => {
  const db = new DB({ metric: 'l2' })
  const ids: Id[] = [
    0,
    5,
    2 ** 53 - 1,
    2n ** 53n,
    2n ** 64n - 1n,
    '5',
    'é\u{1F600}',
    'x'.repeat(512),
  ]
  const vectors = ids.map((_, i) => vector(i))
  assert.deepEqual(await db.upsert({ ids, vectors }), ids)
  for (const [i, id] of ids.entries()) {
    const [hit] = await db.search(vectors[i] as Float32Array, { k: 1 })
    assert.deepEqual(hit, { id, distance: 0, metadata: {} })
    assert.deepEqual(db.searchSync(vectors[i] as Float32Array, { k: 1 })[0], hit)
    assert.deepEqual(await db.get(id), { id, metadata: {} })
    assert.ok(await db.has(id))
  }
  const seen: Id[] = []
  for await (const { id } of db.records()) seen.push(id)
  assert.deepEqual(new Set(seen), new Set(ids))
  await db.close()
})

test("5 and 5n are one id, '5' is another", async () => {
  const db = new DB()
  await db.add({ id: 5n, vector: vector(1) })
  await rejected(() => db.add({ id: 5, vector: vector(1) }), 'ERR_EXISTS', { id: 5 })
  assert.equal(await db.add({ id: '5', vector: vector(1) }), '5')
  assert.equal(await db.count(), 2)
  assert.equal(await db.delete([5n, 5, '5']), 2)
  await db.close()
})

test('typed arrays of ids', async () => {
  const db = new DB()
  const three = [vector(1), vector(2), vector(3)]
  assert.deepEqual(await db.add({ ids: new Uint32Array([1, 2, 2 ** 32 - 1]), vectors: three }), [
    1,
    2,
    2 ** 32 - 1,
  ])
  assert.deepEqual(await db.add({ ids: new Float64Array([11, 12, 2 ** 40]), vectors: three }), [
    11,
    12,
    2 ** 40,
  ])
  const big = new BigUint64Array([21n, 22n, 2n ** 63n])
  assert.deepEqual(await db.add({ ids: big, vectors: three }), [21, 22, 2n ** 63n])
  assert.deepEqual(
    (await db.get(big)).map((row) => row?.id),
    [21, 22, 2n ** 63n],
  )
  assert.equal(await db.delete(new Uint32Array([1, 2, 3])), 2)
  assert.equal(db.deleteSync(big), 3)
  await rejected(() => db.get(new Float64Array([1.5])), 'ERR_ID', { row: 0 })
  await db.close()
})

// Generated ids are one past the largest integer ever stored, and never come again.
test('generated ids', async () => {
  const db = new DB()
  const [first, second] = await db.addBatch([vector(1), vector(2)])
  assert.equal(typeof first, 'number')
  assert.equal(second, (first as number) + 1)
  await db.add({ id: 100, vector: vector(3) })
  assert.equal(await db.add({ vector: vector(4) }), 101)
  await db.add({ id: 'text', vector: vector(5) })
  assert.equal(db.addSync({ vector: vector(6) }), 102)
  await db.delete(102)
  assert.deepEqual(await db.upsert([{ vector: vector(7) }, { vector: vector(8) }]), [103, 104])
  await db.clear()
  assert.equal(await db.add({ vector: vector(9) }), 105)
  assert.equal((await db.stats()).collections[0]?.nextId, 106)
  await db.close()
})

test('typed-array results refuse ids that do not fit', async () => {
  const db = new DB({ metric: 'l2' })
  const distances = new Float32Array(1)
  await db.add([
    { id: 2n ** 53n, vector: vector(0) },
    { id: 'a', vector: vector(10) },
  ])
  await rejected(
    async () => db.searchInto(vector(0), new Float64Array(1), distances, { k: 1 }),
    'ERR_ID',
  )
  const ids = new BigUint64Array(1)
  assert.equal(db.searchInto(vector(0), ids, distances, { k: 1 }), 1)
  assert.equal(ids[0], 2n ** 53n)
  await rejected(async () => db.searchInto(vector(10), ids, distances, { k: 1 }), 'ERR_ID')
  const batch = await db.searchBatch([vector(0), vector(10)], { k: 1 })
  assert.deepEqual([batch.id(0, 0), batch.id(1, 0), batch.id(1, 1)], [2n ** 53n, 'a', undefined])
  await rejected(async () => batch.ids, 'ERR_ID')
  await db.close()
})

test('what is no id is refused', async () => {
  const db = new DB()
  const bad: unknown[] = [
    -1,
    1.5,
    Number.NaN,
    2 ** 53,
    -1n,
    2n ** 64n,
    '',
    'x'.repeat(513),
    'é'.repeat(257),
  ]
  bad.push('\ud800', 'a\udc00', null, true, {}, Symbol('s'))
  for (const id of bad) {
    await rejected(() => db.add({ id: id as Id, vector: vector(1) }), 'ERR_ID')
    await rejected(
      () =>
        db.add([
          { id: 1, vector: vector(1) },
          { id: id as Id, vector: vector(2) },
        ]),
      'ERR_ID',
      {
        row: 1,
      },
    )
    await rejected(() => db.has(id as Id), 'ERR_ID')
    await rejected(() => db.update(id as Id, { metadata: {} }), 'ERR_ID')
    if (typeof id !== 'object' || id === null) {
      await rejected(() => db.get(id as Id), 'ERR_ID')
      await rejected(() => db.delete(id as Id), 'ERR_ID')
    }
    await rejected(() => db.get([1, id as Id]), 'ERR_ID', { row: 1 })
    await rejected(() => db.delete([1, id as Id]), 'ERR_ID', { row: 1 })
  }
  assert.equal(await db.count(), 0)
  await db.close()
})
