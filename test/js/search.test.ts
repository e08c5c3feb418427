// search and its siblings: what they find, in which form, and that all forms agree.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, type Id } from 'omendb'
import { detach, flatVectors, rejected, vectors } from './support.js'

const rows = 300
const dimensions = 16
const data = vectors(rows, dimensions)
const query = vectors(1, dimensions, 99)[0] as Float32Array

async function filled(metric: 'l2' | 'cosine' | 'dot' = 'l2') {
  const db = new DB({ metric })
  const metadata = data.map((_, i) => ({ n: i, parity: i % 2 === 0 ? 'even' : 'odd' }))
  await db.add({ ids: data.map((_, i) => i), vectors: data, metadata })
  return db
}

function distance(metric: string, a: Float32Array, b: Float32Array): number {
  let dot = 0
  let l2 = 0
  let aa = 0
  let bb = 0
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number]
    dot += x * y
    l2 += (x - y) ** 2
    aa += x * x
    bb += y * y
  }
  if (metric === 'l2') return l2
  return metric === 'dot' ? -dot : 1 - dot / Math.sqrt(aa * bb)
}

// The meaning of distance, and the order, against arithmetic in this file.
test('hits are the nearest, with the distance of the metric', async () => {
  for (const metric of ['l2', 'cosine', 'dot'] as const) {
    const db = await filled(metric)
    const truth = data
      .map((v, id) => ({ id, distance: distance(metric, query, v) }))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, 10)
    const hits = await db.search(query, { exact: true, include: 'none' })
    assert.deepEqual(
      hits.map((h) => h.id),
      truth.map((h) => h.id),
    )
    for (const [i, hit] of hits.entries()) {
      const expected = truth[i]?.distance as number
      assert.ok(Math.abs(hit.distance - expected) <= 1e-4 * Math.max(1, Math.abs(expected)))
    }
    await db.close()
  }
})

test('all forms of a search agree', async () => {
  const db = await filled()
  for (const options of [
    {},
    { k: 3 },
    { k: 25, ef: 200 },
    { exact: true },
    { exact: false, ef: 300 },
    { filter: { parity: 'odd' }, k: 7 },
    { maxDistance: 9 },
  ]) {
    const hits = await db.search(query, options)
    assert.deepEqual(db.searchSync(query, options), hits)
    const k = options.k ?? 10
    const ids = new Float64Array(k)
    const distances = new Float32Array(k)
    const count = db.searchInto(query, ids, distances, options)
    assert.deepEqual(
      Array.from(ids.slice(0, count)),
      hits.map((h) => h.id),
    )
    assert.deepEqual(
      Array.from(distances.slice(0, count)),
      hits.map((h) => h.distance),
    )
    for (const batch of [
      await db.searchBatch([query, query], options),
      db.searchBatchSync(new Float32Array([...query, ...query]), options),
    ]) {
      assert.deepEqual([batch.length, batch.k, Array.from(batch.counts)], [2, k, [count, count]])
      const bare = hits.map(({ id, distance }) => ({ id, distance }))
      assert.deepEqual([...batch], [bare, bare])
      assert.deepEqual(batch.hits(1), bare)
      if (count < k) assert.ok(Number.isNaN(batch.distances[count]))
      assert.equal(batch.id(0, count), undefined)
    }
  }
  await db.close()
})

test('include says what hits bring along', async () => {
  const db = await filled()
  const [none] = await db.search(query, { k: 1, include: 'none' })
  const id = none?.id as number
  const metadata = { n: id, parity: id % 2 === 0 ? 'even' : 'odd' }
  const vector = data[id]
  assert.deepEqual(Object.keys(none ?? {}), ['id', 'distance'])
  for (const search of [
    async (include: never) => (await db.search(query, { k: 1, include }))[0],
    async (include: never) => db.searchSync(query, { k: 1, include })[0],
    async (include: never) => ({
      distance: none?.distance,
      ...((await db.get(id, { include })) as object),
    }),
    async (include: never) => {
      const page = await db.scroll({ limit: 1, filter: { $id: id }, include })
      return { distance: none?.distance, ...(page.records[0] as object) }
    },
  ]) {
    assert.deepEqual(await search('none' as never), none)
    assert.deepEqual(await search([] as never), none)
    assert.deepEqual(await search(undefined as never), { ...none, metadata })
    assert.deepEqual(await search('metadata' as never), { ...none, metadata })
    assert.deepEqual(await search('vector' as never), { ...none, vector })
    assert.deepEqual(await search(['vector', 'metadata'] as never), { ...none, metadata, vector })
  }
  await db.close()
})

test('k above the count gives all; maxDistance cuts', async () => {
  const db = await filled()
  const all = await db.search(query, { k: 10_000 })
  assert.equal(all.length, rows)
  assert.equal(db.searchSync(query, { k: 10_000 }).length, rows)
  const middle = all[rows / 2]?.distance as number
  const near = await db.search(query, { k: 10_000, maxDistance: middle, exact: true })
  assert.equal(near.length, all.filter((h) => h.distance <= middle).length)
  assert.deepEqual(await db.search(query, { maxDistance: -1 }), [])
  await db.close()
})

// An empty collection has nothing near: that is no error, with and without dimensions.
test('a search in an empty collection finds nothing', async () => {
  for (const options of [{}, { dimensions: 3 }]) {
    const db = new DB(options)
    const q = [1, 2, 3]
    assert.deepEqual(await db.search(q), [])
    assert.deepEqual(db.searchSync(q, { filter: { a: 1 }, exact: false }), [])
    assert.equal(db.searchInto(q, new Float64Array(10), new Float32Array(10)), 0)
    const batch = await db.searchBatch([q, q])
    assert.deepEqual(Array.from(batch.counts), [0, 0])
    assert.deepEqual(batch.hits(0), [])
    assert.equal((await db.explain(q)).plan, 'empty')
    assert.equal(await db.count({ a: 1 }), 0)
    await db.close()
  }
})

test('equal distances come in insertion order', async () => {
  const db = new DB({ metric: 'l2' })
  const ids: Id[] = [7, 'b', 3, 'a', 5]
  await db.add({ ids, vectors: ids.map(() => [1, 2, 3]) })
  for (const exact of [true, false]) {
    const hits = await db.search([1, 2, 3], { exact })
    assert.deepEqual(
      hits.map((h) => h.id),
      ids,
    )
  }
  await db.close()
})

test('ef below k is raised; ef and exact are seen in the plan', async () => {
  const db = await filled()
  assert.equal((await db.search(query, { k: 50, ef: 1, exact: false })).length, 50)
  const plan = await db.explain(query, { k: 50, ef: 1, exact: false })
  assert.equal(plan.plan, 'graph')
  assert.ok(plan.ef >= 50)
  const exact = db.explainSync(query, { exact: true, filter: { parity: 'odd' } })
  assert.equal(exact.plan, 'exact')
  assert.deepEqual([exact.matches, exact.selectivity], [rows / 2, 0.5])
  assert.ok(exact.rowsScored >= rows / 2 && exact.nativeNs > 0)
  const filtered = await db.explain(query, { exact: false, filter: { parity: 'odd' } })
  assert.ok(['filtered-graph', 'graph'].includes(filtered.plan))
  await db.close()
})

// The query is taken at the call: what happens to the array afterwards changes nothing.
test('an async search copies its query', async () => {
  const db = await filled()
  const expected = await db.search(query)
  const reused = query.slice()
  const pending = db.search(reused)
  reused.fill(Number.NaN)
  assert.deepEqual(await pending, expected)
  const flat = new Float32Array([...query, ...query])
  const batch = db.searchBatch(flat)
  detach(flat)
  assert.deepEqual(
    (await batch).hits(1).map((h) => h.id),
    expected.map((h) => h.id),
  )
  await db.close()
})

// A getter among the options may search too: the shared buffer must not be mixed up.
test('searches may be nested in options', async () => {
  const db = await filled()
  const expected = db.searchSync(query, { k: 4 })
  let inner: unknown
  const hits = db.searchSync(query, {
    get k() {
      inner = db.searchSync(data[0] as Float32Array, { k: 20 })
      return 4
    },
  })
  assert.deepEqual(hits, expected)
  assert.equal((inner as unknown[]).length, 20)
  await db.close()
})

test('searchInto checks the room it is given', async () => {
  const db = await filled()
  const room = new Float64Array(10)
  const short = [
    [new Float64Array(9), new Float32Array(10)],
    [room, new Float32Array(9)],
    [new Float32Array(10), new Float32Array(10)],
    [room, new Float64Array(10)],
    [[], []],
    [room, undefined],
  ]
  for (const [ids, distances] of short) {
    await rejected(
      async () => db.searchInto(query, ids as never, distances as never),
      'ERR_ARGUMENT',
    )
  }
  assert.ok(room.every((id) => id === 0))
  await db.close()
})

test('batches of queries in every shape', async () => {
  const db = await filled()
  const queries = vectors(5, dimensions, 3)
  const flat = flatVectors(5, dimensions, 3)
  const expected = queries.map((q) => db.searchSync(q, { k: 4, include: 'none' }))
  for (const shape of [
    queries,
    flat,
    new Float64Array(flat),
    queries.map((q) => [...q]),
    { data: flat, dims: [5, dimensions] },
  ]) {
    assert.deepEqual([...(await db.searchBatch(shape, { k: 4 }))], expected)
    assert.deepEqual([...db.searchBatchSync(shape, { k: 4 })], expected)
  }
  assert.equal((await db.searchBatch([])).length, 0)
  assert.deepEqual([...(await db.searchBatch(new Float32Array(0)))], [])
  await rejected(() => db.searchBatch(flat.subarray(1)), 'ERR_DIMENSIONS')
  await db.close()
})
