// The shapes that vectors may have, and what is refused in them.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, type Vector, type Vectors } from 'omendb'
import { rejected } from './support.js'

const rows = [
  [1, 2, 3],
  [4, 5, 6],
]
const flat = rows.flat()

test('every shape of many vectors stores the same', async () => {
  const shapes: Vectors[] = [
    rows,
    rows.map((r) => new Float32Array(r)),
    rows.map((r) => new Float64Array(r)),
    rows.map((r) => new Int8Array(r)),
    [rows[0] as number[], new Float32Array(rows[1] as number[])],
    rows.map((r) => ({ data: new Float32Array(r), dims: [1, 3] })),
    new Float32Array(flat),
    new Float64Array(flat),
    new Uint8Array(flat),
    flat,
    { data: new Float32Array(flat), dims: [2, 3] },
    new Float32Array(new SharedArrayBuffer(24)).fill(0).map((_, i) => flat[i] as number),
  ]
  const shared = new Float32Array(new SharedArrayBuffer(24))
  shared.set(flat)
  shapes.push(shared)
  for (const vectors of shapes) {
    for (const isSync of [true, false]) {
      const db = new DB({ dimensions: 3 })
      const batch = { ids: ['a', 'b'], vectors }
      if (isSync) db.addBatchSync(batch)
      else await db.addBatch(batch)
      if (isSync) db.addBatchSync(vectors)
      else await db.addBatch(vectors)
      const read = await db.get(['a', 'b', 0, 1], { include: 'vector' })
      assert.deepEqual(
        read.map((row) => Array.from(row?.vector ?? [])),
        [...rows, ...rows],
      )
      await db.close()
    }
  }
})

test('every shape of one vector finds the same', async () => {
  const db = new DB({ metric: 'l2' })
  await db.addBatch(rows)
  const shared = new Float32Array(new SharedArrayBuffer(12))
  shared.set([4, 5, 6])
  const resizable = Reflect.construct(ArrayBuffer, [12, { maxByteLength: 64 }]) as ArrayBuffer
  const grown = new Float32Array(resizable)
  grown.set([4, 5, 6])
  const queries: Vector[] = [
    [4, 5, 6],
    new Float32Array([4, 5, 6]),
    new Float64Array([4, 5, 6]),
    new Uint8Array([4, 5, 6]),
    { data: [4, 5, 6], dims: [3] },
    new Float32Array([0, 4, 5, 6, 0]).subarray(1, 4),
    shared,
    grown,
  ]
  for (const query of queries) {
    assert.deepEqual((await db.search(query, { k: 1, include: 'none' }))[0], { id: 1, distance: 0 })
    assert.deepEqual(db.searchSync(query, { k: 1, include: 'none' })[0], { id: 1, distance: 0 })
  }
  await db.close()
})

// Dimensions are fixed by the first vectors, by each of the documented rules.
test('dimensions come from the first vectors', async () => {
  const dimensionsOf = (db: DB) => db.statsSync().collections[0]?.dimensions
  const byList = new DB()
  await byList.addBatch(rows)
  assert.equal(dimensionsOf(byList), 3)
  const byIds = new DB()
  await byIds.addBatch({ ids: [1, 2, 3], vectors: new Float32Array(flat) })
  assert.equal(dimensionsOf(byIds), 2)
  const given = new DB()
  await given.addBatch({ vectors: new Float32Array(flat), dimensions: 2 })
  assert.equal(await given.count(), 3)
  const unknown = new DB()
  await rejected(() => unknown.addBatch(new Float32Array(flat)), 'ERR_DIMENSIONS')
  await rejected(
    () => unknown.addBatch({ ids: [1, 2, 3, 4], vectors: new Float32Array(flat) }),
    'ERR_DIMENSIONS',
  )
  assert.equal(await unknown.count(), 0)
  for (const db of [byList, byIds, given, unknown]) await db.close()
})

test('vectors read back bit for bit, under cosine too', async () => {
  const odd = new Float32Array([Math.fround(0.1), -0, 1e-40, 3e38 / 1e20, Math.fround(1 / 3)])
  for (const metric of ['cosine', 'l2', 'dot'] as const) {
    for (const quantization of ['sq8', 'none', 'binary'] as const) {
      const db = new DB({ metric, quantization })
      await db.add({ id: 1, vector: odd })
      const row = await db.get(1, { include: 'vector' })
      assert.deepEqual(
        new Uint32Array((row as { vector: Float32Array }).vector.buffer),
        new Uint32Array(odd.buffer),
      )
      await db.close()
    }
  }
})

test('numbers that no vector may hold are refused, naming the row', async () => {
  const db = new DB({ metric: 'cosine' })
  const bad: Vector[] = [
    [1, Number.NaN, 3],
    [1, Number.POSITIVE_INFINITY, 3],
    [0, 0, 0],
    [1e30, 1e30, 1e30],
    [1, '2', 3] as never,
    [1, null, 3] as never,
    [1, undefined, 3] as never,
    new Float64Array([1, 1e300, 3]),
  ]
  for (const vector of bad) {
    await rejected(() => db.add({ vector }), 'ERR_VECTOR')
    await rejected(() => db.addBatch([...rows, vector]), 'ERR_VECTOR', { row: 2 }, /row 2/)
    await rejected(async () => db.addBatchSync([...rows, vector]), 'ERR_VECTOR', { row: 2 })
    if (!Array.isArray(vector) || typeof vector[1] === 'number') {
      const flatBad = new Float32Array([...flat, ...(vector as number[])])
      await rejected(() => db.addBatch({ vectors: flatBad, dimensions: 3 }), 'ERR_VECTOR', {
        row: 2,
      })
    }
  }
  assert.equal(await db.count(), 0)
  await db.add({ id: 1, vector: [1, 2, 3] })
  for (const vector of bad) {
    await rejected(() => db.search(vector), 'ERR_VECTOR')
    await rejected(async () => db.searchSync(vector), 'ERR_VECTOR')
    await rejected(() => db.update(1, { vector }), 'ERR_VECTOR')
  }
  for (const vector of [[1, 2], [1, 2, 3, 4], [], new Float32Array(0)]) {
    await rejected(() => db.add({ vector }), 'ERR_DIMENSIONS')
    await rejected(() => db.addBatch([...rows, vector]), 'ERR_DIMENSIONS', { row: 2 })
    await rejected(() => db.search(vector), 'ERR_DIMENSIONS')
    await rejected(() => db.update(1, { vector }), 'ERR_DIMENSIONS')
    await rejected(() => db.searchBatch([[1, 2, 3], vector]), 'ERR_DIMENSIONS', { row: 1 })
  }
  for (const vector of ['abc', 5, null, undefined, {}, new BigInt64Array(3), () => 1, new Map()]) {
    await rejected(() => db.add({ vector: vector as never }), 'ERR_VECTOR')
    await rejected(() => db.search(vector as never), 'ERR_VECTOR')
  }
  assert.equal(await db.count(), 1)
  await db.close()
})
