// A client answers as a database in the process does: the same faults of the same calls, and as
// many queries and ids at once.
import assert from 'node:assert/strict'
import test from 'node:test'
import { Client, DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

async function clientOf(t) {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  const client = new Client(server.url)
  t.after(() => client.close())
  return client
}

const X = 'x'.repeat(600)
const BAD = {
  'add, no numbers': (db) => db.add({ vector: [] }),
  'add, a list of no numbers': (db) => db.add([{ vector: [] }]),
  'add, too many dimensions': (db) => db.add({ vector: new Float32Array(20_000).fill(1) }),
  'add, other dimensions': (db) => db.add({ vector: [1, 2, 3, 4, 5] }),
  'add, text': (db) => db.add({ vector: ['a', 2] }),
  'add, NaN': (db) => db.add({ vector: [Number.NaN, 2] }),
  'add, zero': (db) => db.add({ vector: [0, 0] }),
  'add, null': (db) => db.add(null),
  'add, a list of null': (db) => db.add([null]),
  'add, an id that exists': (db) => db.add({ id: 1, vector: [1, 2] }),
  'add, a negative id': (db) => db.add({ id: -1, vector: [1, 2] }),
  'add, a long id': (db) => db.add({ id: X, vector: [1, 2] }),
  'add, an empty id': (db) => db.add({ id: '', vector: [1, 2] }),
  'add, a key with a dot': (db) => db.add({ vector: [1, 2], metadata: { 'a.b': 1 } }),
  'upsert, no numbers': (db) => db.upsert({ id: 1, vector: [] }),
  'addBatch, no numbers': (db) => db.addBatch([[]]),
  'addBatch, nothing': (db) => db.addBatch([]),
  'addBatch, an empty flat array': (db) => db.addBatch(new Float32Array(0)),
  'addBatch, ids and an empty flat array': (db) =>
    db.addBatch({ ids: [5, 6], vectors: new Float32Array(0) }),
  'addBatch, no whole rows': (db) => db.addBatch({ vectors: new Float32Array(4), dimensions: 3 }),
  'addBatch, ragged': (db) => db.addBatch([[1, 2], [1]]),
  'addBatch, other dimensions': (db) => db.addBatch([[1, 2, 3]]),
  'addBatch, a zero': (db) =>
    db.addBatch([
      [1, 2],
      [0, 0],
    ]),
  'addBatch, one id twice': (db) =>
    db.addBatch({
      ids: [7, 7],
      vectors: [
        [1, 2],
        [1, 2],
      ],
    }),
  'addBatch, a fraction as id': (db) => db.addBatch({ ids: [1.5], vectors: [[1, 2]] }),
  'addBatch, too few ids': (db) =>
    db.addBatch({
      ids: [5],
      vectors: [
        [1, 2],
        [3, 4],
      ],
    }),
  'addBatch, too little metadata': (db) => db.addBatch({ vectors: [[1, 2]], metadata: [] }),
  'addBatch, a tensor of another shape': (db) =>
    db.addBatch({ data: new Float32Array(3), dims: [2, 2] }),
  'addBatch, null': (db) => db.addBatch(null),
  'update, no numbers': (db) => db.update(1, { vector: [] }),
  'update, other dimensions': (db) => db.update(1, { vector: [1] }),
  'update, nobody': (db) => db.update(99, { vector: [1, 0] }),
  'update, nothing': (db) => db.update(1, {}),
  'delete, a negative id': (db) => db.delete([-1]),
  'delete, nothing': (db) => db.delete(),
  'delete, an empty filter': (db) => db.delete({ filter: {} }),
  'get, an empty id': (db) => db.get(''),
  'count, an unknown operator': (db) => db.count({ a: { $foo: 1 } }),
  'count, undefined': (db) => db.count({ a: undefined }),
  'search, no numbers': (db) => db.search([]),
  'search, other dimensions': (db) => db.search([1]),
  'search, NaN': (db) => db.search([Number.NaN, 1]),
  'search, zero': (db) => db.search([0, 0]),
  'search, k of 0': (db) => db.search([1, 2], { k: 0 }),
  'search, an unknown option': (db) => db.search([1, 2], { kk: 1 }),
  'explain, no numbers': (db) => db.explain([]),
  'searchBatch, no numbers': (db) => db.searchBatch([[]]),
  'searchBatch, a flat array of none': (db) => db.searchBatch(new Float32Array(0)),
  'searchBatch, other dimensions': (db) => db.searchBatch([[1, 2, 3]]),
  'searchBatch, ragged': (db) => db.searchBatch([[1, 2], [1]]),
  'searchBatch, NaN': (db) => db.searchBatch([[Number.NaN, 1]]),
  'searchBatch, null': (db) => db.searchBatch(null),
  'scroll, no cursor': (db) => db.scroll({ limit: 10, cursor: 'zzz' }),
  'a name with a slash': (db) => db.collection('a/b'),
  'm of 1': (db) => db.collection('a', { m: 1 }),
  'a collection that is not there': (db) => db.collection('zz', { createIfMissing: false }),
}

async function outcome(call, db) {
  try {
    const result = await call(db)
    return { result: Array.isArray(result) ? result.length : typeof result }
  } catch ({ code, message, details }) {
    return { code, message, details }
  }
}

for (const state of ['empty', 'of two dimensions']) {
  test(`bad calls have one code and one message: ${state}`, async (t) => {
    const client = await clientOf(t)
    for (const [name, call] of Object.entries(BAD)) {
      const db = new DB()
      await client.dropCollection('default')
      if (state !== 'empty') {
        for (const each of [db, client]) await each.add({ id: 1, vector: [1, 0] })
      }
      assert.deepEqual(await outcome(call, client), await outcome(call, db), name)
      await db.close()
    }
  })
}

// A server takes 10 000 queries, ids, and a million hits in one request.
test('searchBatch of more than a request takes answers in the order of its queries', async (t) => {
  const client = await clientOf(t)
  const db = new DB({ metric: 'l2' })
  const c = await client.collection('c', { metric: 'l2' })
  const vectors = Array.from({ length: 300 }, (_, i) => [i, i % 7])
  // Some ids fit a Float64Array, as those do that the first queries find, and some do not.
  const ids = vectors.map((_, i) => (i < 100 ? i : `s${i}`))
  for (const each of [db, c]) await each.addBatch({ ids, vectors })
  const queries = Float32Array.from({ length: 2 * 25_000 }, (_, i) =>
    i % 2 === 0 ? (i < 24_000 ? (i / 2) % 50 : 100 + ((i / 2) % 200)) : 3,
  )
  for (const k of [1, 110]) {
    const given = k === 1 ? queries : queries.subarray(0, 2 * 9500)
    const options = { k, exact: true }
    const [mine, wanted] = [
      await c.searchBatch(given, options),
      await db.searchBatch(given, options),
    ]
    assert.equal(mine.length, given.length / 2)
    assert.deepEqual(mine.distances, wanted.distances)
    assert.deepEqual(mine.counts, wanted.counts)
    for (let i = 0; i < mine.length; i += 97) assert.deepEqual(mine.hits(i), wanted.hits(i))
  }
  // All of integers, the arrays of ids are too.
  await c.delete(ids.slice(100))
  const found = await c.searchBatch(queries.fill(5), { k: 1, exact: true })
  assert.deepEqual([found.ids.length, found.ids[0], found.ids[24_999]], [25_000, 5, 5])
  await db.close()
})

// 600 queries of 16 384 dimensions are 39 MB, and a message has 32 MiB.
test('searchBatch of large queries is sent in parts too', async (t) => {
  const client = await clientOf(t)
  await client.add({ id: 1, vector: new Float32Array(16_384).fill(1) })
  const found = await client.searchBatch(new Float32Array(600 * 16_384).fill(1), { k: 1 })
  assert.deepEqual([found.length, found.id(0, 0), found.id(599, 0)], [600, 1, 1])
})

test('get takes any number of ids, delete as many as are deleted at once', async (t) => {
  const client = await clientOf(t)
  await client.addBatch([
    [1, 0],
    [0, 1],
  ])
  const ids = Array.from({ length: 25_000 }, (_, i) => i)
  const rows = await client.get(ids.reverse())
  assert.deepEqual(
    [rows.length, rows.filter((row) => row !== undefined).length, rows.at(-1).id, rows.at(-2).id],
    [25_000, 2, 0, 1],
  )
  const refused = { code: 'ERR_LIMIT', message: /25000, and this server deletes at most 10000/ }
  await assert.rejects(client.delete(ids), refused)
  assert.equal(await client.count(), 2)
  assert.equal(await client.delete(ids.slice(-10_000)), 2)
})
