// add, upsert, addBatch, update, delete, clear: what they store, return and refuse.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, type Id } from 'omendb'
import { flatVectors, rejected, vectors } from './support.js'

interface Movie {
  title: string
  year?: number
  released?: Date
  tags?: string[]
}

async function movies() {
  const db = new DB()
  return { db, movies: await db.collection<Movie>('movies', { dimensions: 4, metric: 'l2' }) }
}

test('one record, a list of records, a batch', async () => {
  const { db, movies: m } = await movies()
  const [a, b, c] = vectors(3, 4) as [Float32Array, Float32Array, Float32Array]
  assert.equal(await m.add({ id: 'a', vector: a, metadata: { title: 'A', year: 1999 } }), 'a')
  assert.deepEqual(await m.add([{ id: 'b', vector: b, metadata: { title: 'B' } }]), ['b'])
  const metadata = [{ title: 'C', released: new Date(1) }]
  assert.deepEqual(await m.add({ ids: ['c'], vectors: c, metadata }), ['c'])
  assert.deepEqual(await m.get(['c', 'x', 'a', 'b'], { include: ['metadata', 'vector'] }), [
    { id: 'c', metadata: { title: 'C', released: new Date(1) }, vector: c },
    undefined,
    { id: 'a', metadata: { title: 'A', year: 1999 }, vector: a },
    { id: 'b', metadata: { title: 'B' }, vector: b },
  ])
  await db.close()
})

// The two ways in must not differ in anything.
test('Sync twins do the same', async () => {
  const { db, movies: m } = await movies()
  const [a, b] = vectors(2, 4) as [Float32Array, Float32Array]
  assert.equal(m.addSync({ id: 1, vector: a, metadata: { title: 'A' } }), 1)
  assert.deepEqual(m.upsertSync([{ id: 1, vector: b, metadata: { title: 'B' } }]), [1])
  assert.deepEqual(m.getSync(1, { include: ['vector', 'metadata'] }), {
    id: 1,
    metadata: { title: 'B' },
    vector: b,
  })
  m.updateSync(1, { metadata: { year: 5 } })
  assert.deepEqual(m.getSync([1, 2]), [{ id: 1, metadata: { title: 'B', year: 5 } }, undefined])
  assert.deepEqual(m.addBatchSync([a, b]), [2, 3])
  assert.equal(m.deleteSync([1, 2, 9]), 2)
  assert.equal(m.hasSync(3), true)
  assert.equal(m.countSync(), 1)
  m.optimizeSync()
  m.clearSync()
  assert.equal(m.countSync(), 0)
  db.closeSync()
})

test('upsert replaces whole records; left-out metadata is {}', async () => {
  const { db, movies: m } = await movies()
  const [a, b] = vectors(2, 4) as [Float32Array, Float32Array]
  await m.upsert({ id: 1, vector: a, metadata: { title: 'A', year: 1 } })
  assert.deepEqual(
    await m.upsert([
      { id: 1, vector: b },
      { id: 2, vector: a },
    ]),
    [1, 2],
  )
  assert.deepEqual(await m.get(1, { include: ['metadata', 'vector'] }), {
    id: 1,
    metadata: {},
    vector: b,
  })
  assert.equal(await m.count(), 2)
  assert.equal((await m.search(a, { k: 5 })).length, 2)
  await db.close()
})

test('update merges top-level keys, removes others, replaces the vector', async () => {
  const { db, movies: m } = await movies()
  const [a, b] = vectors(2, 4) as [Float32Array, Float32Array]
  await m.add({ id: 1, vector: a, metadata: { title: 'A', year: 1, tags: ['x', 'y'] } })
  await m.update(1, { metadata: { year: 2, tags: ['z'] } })
  assert.deepEqual((await m.get(1))?.metadata, { title: 'A', year: 2, tags: ['z'] })
  await m.update(1, { unset: ['year'], metadata: { released: new Date(5) } })
  assert.deepEqual((await m.get(1))?.metadata, { title: 'A', tags: ['z'], released: new Date(5) })
  await m.update(1, { vector: b })
  assert.deepEqual(await m.get(1, { include: 'vector' }), { id: 1, vector: b })
  assert.equal((await m.search(b, { k: 1 }))[0]?.distance, 0)
  assert.deepEqual((await m.get(1))?.metadata, { title: 'A', tags: ['z'], released: new Date(5) })
  await rejected(() => m.update(2, { metadata: { year: 1 } }), 'ERR_NOT_FOUND', { id: 2 })
  await rejected(() => m.update(1, {}), 'ERR_ARGUMENT')
  await rejected(() => m.update(1, { metadate: {} } as never), 'ERR_ARGUMENT')
  await rejected(() => m.update(1, { unset: 'year' as never }), 'ERR_ARGUMENT')
  await db.close()
})

test('delete counts what it deleted', async () => {
  const { db, movies: m } = await movies()
  const metadata = Array.from({ length: 20 }, (_, i) => ({ title: `t${i}`, year: i }))
  await m.add({ ids: metadata.map((_, i) => i), vectors: flatVectors(20, 4), metadata })
  assert.equal(await m.delete(3), 1)
  assert.equal(await m.delete(3), 0)
  assert.equal(await m.delete([3, 4, 4, 5, 'no']), 2)
  assert.equal(await m.delete([]), 0)
  assert.equal(await m.delete({ filter: { year: { $gte: 15 } } }), 5)
  assert.equal(m.deleteSync({ filter: { title: 'no' } }), 0)
  assert.equal(await m.count(), 12)
  for (const which of [{}, { filter: {} }, { filter: undefined }]) {
    await rejected(() => m.delete(which as never), 'ERR_FILTER', {}, /clear\(\)/)
  }
  assert.equal(await m.count(), 12)
  assert.equal(await m.get(3), undefined)
  await db.close()
})

test('clear empties, keeps options, dimensions and the generator of ids', async () => {
  const { db, movies: m } = await movies()
  const other = await db.collection('other')
  await other.addBatch([[1, 2]])
  const [id] = await m.addBatch(vectors(5, 4))
  await m.clear()
  assert.equal(await m.count(), 0)
  assert.deepEqual(await m.search([1, 2, 3, 4]), [])
  assert.equal(await other.count(), 1)
  const { dimensions, metric } = await m.stats()
  assert.deepEqual([dimensions, metric], [4, 'l2'])
  assert.equal(await m.add({ vector: [1, 2, 3, 4] }), (id as number) + 5)
  await db.close()
})

// A batch is stored whole or not at all, and the error tells the row.
test('add refuses ids that exist, and repeats', async () => {
  const { db, movies: m } = await movies()
  const [a, b] = vectors(2, 4) as [Float32Array, Float32Array]
  await m.add({ id: 1, vector: a })
  await rejected(
    () =>
      m.add([
        { id: 0, vector: a },
        { id: 1, vector: b },
      ]),
    'ERR_EXISTS',
    { row: 1, id: 1 },
  )
  await rejected(() => m.add({ ids: ['x', 'y', 'x'], vectors: [a, b, a] }), 'ERR_DUPLICATE', {
    row: 2,
    id: 'x',
  })
  await rejected(() => m.upsert({ ids: [7, 7], vectors: [a, b] }), 'ERR_DUPLICATE', {
    row: 1,
    id: 7,
  })
  await rejected(() => m.add([{ id: 5, vector: a }, { vector: b }]), 'ERR_ID', { row: 1 })
  await rejected(() => m.add([{ vector: a }, { id: 5, vector: b }]), 'ERR_ID', { row: 1 })
  assert.equal(await m.count(), 1)
  await db.close()
})

test('empty input stores nothing and returns nothing', async () => {
  const { db, movies: m } = await movies()
  assert.deepEqual(await m.add([]), [])
  assert.deepEqual(await m.addBatch([]), [])
  assert.deepEqual(await m.addBatch({ ids: [], vectors: new Float32Array(0) }), [])
  assert.deepEqual(m.upsertSync([]), [])
  assert.deepEqual(await m.get([]), [])
  await db.close()
})

// Without awaiting in between: commits follow the order of the calls.
test('writes of one handle commit in call order', async () => {
  const { db, movies: m } = await movies()
  const rows = 3000
  const ids = Array.from({ length: rows }, (_, i) => i)
  const metadata = ids.map((i) => ({ title: `t${i}` }))
  const calls: Promise<unknown>[] = [
    m.upsert({ ids, vectors: flatVectors(rows, 4), metadata }),
    m.update(5, { metadata: { title: 'changed' } }),
    m.delete([6, 7]),
    m.add({ id: 6, vector: [1, 2, 3, 4], metadata: { title: 'again' } }),
    m.clear(),
    m.add({ id: 8, vector: [1, 2, 3, 4] }),
  ]
  const results = await Promise.all(calls)
  assert.deepEqual([results[2], results[3], results[5]], [2, 6, 8])
  assert.equal(await m.count(), 1)
  await db.close()
})

test('batch after batch goes into the same collection', async () => {
  const db = new DB({ metric: 'l2' })
  const all: Id[] = []
  const data = vectors(600, 8)
  for (let i = 0; i < 600; i += 100) all.push(...(await db.addBatch(data.slice(i, i + 100))))
  assert.equal(new Set(all).size, 600)
  const hits = await db.searchBatch(data, { k: 1, exact: true })
  assert.deepEqual(Array.from(hits.ids), all)
  await db.close()
})
