// Databases and collections: opening, options, names, closing, several at once.
import assert from 'node:assert/strict'
import test from 'node:test'
import { type Collection, DB, type LocalCollection } from 'omendb'
import { rejected, vectors } from './support.js'

test('collections by name', async () => {
  const db = new DB()
  assert.deepEqual(await db.listCollections(), [])
  const a = await db.collection('a', { dimensions: 2 })
  const b = db.collectionSync('b')
  assert.equal(a.name, 'a')
  await a.add({ id: 1, vector: [1, 2] })
  await b.add({ id: 1, vector: [1, 2, 3] })
  assert.deepEqual(await db.listCollections(), ['a', 'b'])
  assert.equal(await (await db.collection('a')).count(), 1)
  await rejected(() => db.createCollection('a'), 'ERR_EXISTS')
  await rejected(() => db.collection('c', { createIfMissing: false }), 'ERR_NOT_FOUND')
  assert.equal((await db.createCollection('c')).name, 'c')
  assert.equal(await db.dropCollection('a'), true)
  assert.equal(await db.dropCollection('a'), false)
  await rejected(() => a.count(), 'ERR_NOT_FOUND')
  assert.deepEqual(db.listCollectionsSync(), ['b', 'c'])
  assert.equal(await (await db.collection('a')).count(), 0)
  for (const name of ['', 'a b', 'ä', 'x'.repeat(65), '../a', 5, undefined, null]) {
    await rejected(() => db.collection(name as never), 'ERR_ARGUMENT')
    await rejected(() => db.dropCollection(name as never), 'ERR_ARGUMENT')
  }
  await db.close()
})

test("the database's own methods act on the collection named default", async () => {
  const db = new DB<{ a: number }>({ metric: 'dot', dimensions: 2 })
  await db.add({ id: 1, vector: [1, 2], metadata: { a: 1 } })
  const same: LocalCollection<{ a: number }> = await db.collection('default')
  assert.deepEqual(await same.get(1), { id: 1, metadata: { a: 1 } })
  assert.equal((await same.stats()).metric, 'dot')
  const other = await db.collection('other')
  await other.add({ id: 1, vector: [1, 2, 3] })
  await db.clear()
  assert.deepEqual([await same.count(), await other.count()], [0, 1])
  assert.equal(await db.dropCollection('default'), true)
  assert.equal(await db.count(), 0)
  assert.equal((await db.stats()).collections.find((c) => c.name === 'default')?.metric, 'dot')
  await db.close()
})

test('options are stored: left-out ones take the stored values, others must agree', async () => {
  const db = new DB()
  const given = {
    dimensions: 3,
    metric: 'l2',
    quantization: 'none',
    m: 8,
    efConstruction: 50,
  } as const
  const stats = await (await db.collection('a', given)).stats()
  for (const [key, value] of Object.entries(given)) assert.equal(stats[key as 'm'], value)
  assert.equal(stats.keepVectors, true)
  await db.collection('a')
  await db.collection('a', { metric: 'l2', m: 8 })
  const others = [
    { dimensions: 4 },
    { metric: 'dot' },
    { quantization: 'sq8' },
    { quantization: 'binary' },
    { layout: 'fast' },
    { m: 9 },
    { efConstruction: 51 },
  ]
  for (const other of others) {
    const name = Object.keys(other)[0] as string
    await rejected(
      () => db.collection('a', other as never),
      'ERR_OPTIONS',
      undefined,
      new RegExp(name),
    )
  }
  const defaults = await (await db.collection('b')).stats()
  assert.deepEqual(
    [
      defaults.dimensions,
      defaults.metric,
      defaults.quantization,
      defaults.layout,
      defaults.m,
      defaults.efConstruction,
    ],
    [0, 'cosine', 'sq8', 'compact', 16, 96],
  )
  await db.close()
})

test('options that are none are refused', async () => {
  const db = new DB()
  const bad: unknown[] = [
    { dimensions: 0 },
    { dimensions: 16_385 },
    { dimensions: 1.5 },
    { dimensions: '3' },
    { metric: 'manhattan' },
    { quantization: 'pq' },
    { quantization: 'Binary' },
    { quantization: 1 },
    { layout: 'packed' },
    { layout: true },
    { quantization: ['binary'] },
    { m: 1 },
    { m: 65 },
    { efConstruction: 0 },
    { efConstruction: 2001 },
    { keepVectors: 1 },
    { schema: [] },
    { metirc: 'l2' },
    null,
    'l2',
    [],
  ]
  for (const options of bad) {
    await rejected(() => db.collection('a', options as never), 'ERR_ARGUMENT')
    await rejected(async () => new DB(options as never), 'ERR_ARGUMENT')
  }
  await rejected(() => db.collection('a', { createIfMissing: 1 as never }), 'ERR_ARGUMENT')
  await rejected(async () => new DB({ createIfMissing: true } as never), 'ERR_ARGUMENT')
  for (const options of [
    { maxMemoryBytes: 0 },
    { maxMemoryBytes: -1 },
    { seed: -1 },
    { seed: 1.5 },
    { name: '' },
    { name: 5 },
  ]) {
    await rejected(async () => new DB(options as never), 'ERR_ARGUMENT')
  }
  const nothing = { keepVectors: false, quantization: 'none' } as const
  await rejected(() => db.collection('a', nothing), 'ERR_OPTIONS')
  await rejected(() => db.collection('a', { schema: { year: 'int' as never } }), 'ERR_ARGUMENT')
  assert.deepEqual(await db.listCollections(), [])
  await db.close()
})

test('a schema narrows types', async () => {
  const db = new DB()
  const schema = {
    year: 'number',
    tags: 'string[]',
    body: { type: 'string', index: false },
  } as const
  const c = await db.collection('a', { schema })
  await c.add({ id: 1, vector: [1, 2], metadata: { year: 1999, tags: ['x'], body: 'b', extra: 1 } })
  assert.deepEqual((await c.get(1))?.metadata, { year: 1999, tags: ['x'], body: 'b', extra: 1 })
  await rejected(() => c.add([{ vector: [1, 2], metadata: { year: '1999' } }]), 'ERR_METADATA', {
    row: 0,
    path: 'year',
  })
  await rejected(() => c.count({ body: 'b' }), 'ERR_FILTER', { path: 'body' })
  await rejected(() => c.count({ extra: 1 }), 'ERR_FILTER', { path: 'extra' })
  assert.equal(await c.count({ tags: 'x' }), 1)
  const stored = (await c.stats()).schema
  assert.deepEqual(Object.keys(stored ?? {}).sort(), ['body', 'tags', 'year'])
  await db.collection('a', { schema })
  await rejected(() => db.collection('a', { schema: { year: 'string' } }), 'ERR_OPTIONS')
  await db.close()
})

test('named databases are shared by their handles, others are not', async () => {
  const name = `shared-${process.pid}`
  const a = new DB({ name, metric: 'l2' })
  const b = new DB({ name })
  const own = new DB()
  await a.add({ id: 1, vector: [1, 2] })
  assert.equal(await b.count(), 1)
  assert.equal(await own.count(), 0)
  await rejected(async () => new DB({ name, metric: 'dot' }), 'ERR_OPTIONS')
  await rejected(async () => new DB({ name, maxMemoryBytes: 2 ** 30 }), 'ERR_OPTIONS')
  await a.close()
  assert.equal(await b.count(), 1)
  await b.close()
  const fresh = new DB({ name })
  assert.equal(await fresh.count(), 0)
  for (const db of [fresh, own]) await db.close()
})

test('many databases and collections at once', async () => {
  const dbs = Array.from({ length: 5 }, (_, i) => new DB({ seed: i }))
  const collections: Collection[] = []
  for (const [i, db] of dbs.entries()) {
    for (let j = 0; j < 5; j++) {
      const c = await db.collection(`c${j}`, { metric: 'l2' })
      collections.push(c)
      void i
    }
  }
  const data = vectors(50, 8)
  await Promise.all(collections.map((c, i) => c.addBatch(data.slice(0, 10 + i))))
  const counts = await Promise.all(collections.map((c) => c.count()))
  assert.deepEqual(
    counts,
    collections.map((_, i) => 10 + i),
  )
  await Promise.all(dbs.map((db) => db.close()))
})

test('close refuses new calls, lets running ones finish, and is idempotent', async () => {
  const db = new DB({ metric: 'l2' })
  const c = await db.collection('c')
  const data = vectors(2000, 16)
  await db.addBatch(data)
  const running = [
    db.search(data[0] as Float32Array),
    db.searchBatch(data.slice(0, 50)),
    c.add({ ids: data.map((_, i) => i), vectors: data, metadata: data.map((_, i) => ({ i })) }),
    c.update(5, { metadata: { i: 50 } }),
  ] as const
  const closing = db.close()
  await rejected(() => db.search([1]), 'ERR_CLOSED')
  await rejected(() => c.add({ vector: [1] }), 'ERR_CLOSED')
  const [hits, batch, ids] = await Promise.all(running)
  assert.deepEqual([hits.length, batch.length, ids.length], [10, 50, 2000])
  await closing
  await db.close()
  db.closeSync()
  const calls: (() => unknown)[] = [
    () => db.count(),
    () => db.get(1),
    () => db.has(1),
    () => db.delete(1),
    () => db.clear(),
    () => db.optimize(),
    () => db.update(1, { metadata: {} }),
    () => db.scroll({ limit: 1 }),
    () => db.searchBatch([[1]]),
    () => db.explain([1]),
    () => db.addBatch([[1]]),
    () => db.stats(),
    () => db.check(),
    () => db.flush(),
    () => db.collection('c'),
    () => db.createCollection('d'),
    () => db.listCollections(),
    () => db.dropCollection('c'),
    () => db.backup('x'),
    () => c.stats(),
    () => c.count(),
    () => db.records().next(),
  ]
  for (const call of calls) await rejected(call as () => Promise<unknown>, 'ERR_CLOSED')
  const sync: (() => unknown)[] = [
    () => db.searchSync([1]),
    () => c.searchInto([1], new Float64Array(10), new Float32Array(10)),
    () => c.addSync({ vector: [1] }),
    () => c.statsSync(),
    () => db.statsSync(),
    () => db.checkSync(),
    () => db.collectionSync('c'),
  ]
  for (const call of sync) await rejected(async () => call(), 'ERR_CLOSED')
})

// Writes that were accepted are stored, also those that had not begun to stage.
test('closeSync finishes the writes that wait', async () => {
  const name = `drain-${process.pid}`
  const db = new DB({ name })
  const witness = new DB({ name })
  const data = vectors(3000, 8)
  const writes = [
    db.addBatch(data),
    db.addBatch(data),
    db.add({ id: 'last', vector: data[0] as Float32Array }),
  ]
  db.closeSync()
  await Promise.all(writes)
  assert.equal(await witness.count(), 6001)
  await witness.close()
})

test('asyncDispose closes, where the runtime has it', async (t) => {
  if (typeof Symbol.asyncDispose !== 'symbol') return t.skip('no Symbol.asyncDispose')
  const db = new DB()
  await db[Symbol.asyncDispose]()
  await rejected(() => db.count(), 'ERR_CLOSED')
})

test('there is no backup yet, and nothing to flush in memory', async () => {
  const db = new DB()
  await rejected(() => db.backup('./b'), 'ERR_UNSUPPORTED') // In memory.
  await db.flush()
  await db.close()
})

test('stats and check tell what is there', async () => {
  const db = new DB({ metric: 'l2' })
  await db.addBatch({
    vectors: vectors(500, 32),
    metadata: new Array(500).fill({ a: 1, b: { c: 'x' } }),
  })
  const stats = await db.stats()
  const [c] = stats.collections
  assert.ok(c)
  assert.equal(c.count, 500)
  assert.equal(c.indexedFields, 3) // a, b, b.c
  const { total, ...parts } = c.bytes
  assert.equal(
    Object.values(parts).reduce((a, b) => a + b),
    total,
  )
  assert.ok(c.bytes.vectors >= 500 * 32 * 4)
  assert.ok(stats.bytes >= total && stats.bytesLimit === 0)
  assert.match(stats.simd, /^(scalar|avx2|avx512|neon)$/)
  assert.ok(stats.threads >= 1 && stats.nativeSliceNsMax > 0)
  assert.deepEqual(await db.check(), [
    { name: 'default', ok: true, records: 500, unreachable: 0, problem: '' },
  ])
  assert.deepEqual(db.checkSync(), await db.check())
  await db.close()
})

test('maxMemoryBytes refuses, and nothing is lost', async () => {
  const db = new DB({ maxMemoryBytes: 8 * 2 ** 20, metric: 'l2' })
  await db.add({ id: 1, vector: new Float32Array(128).fill(1) })
  await rejected(
    () => db.addBatch({ vectors: new Float32Array(128 * 100_000).fill(1), dimensions: 128 }),
    'ERR_MEMORY',
  )
  await rejected(
    async () => db.addBatchSync({ vectors: new Float32Array(128 * 100_000).fill(1) }),
    'ERR_MEMORY',
  )
  assert.equal(await db.count(), 1)
  const { bytes, bytesLimit } = await db.stats()
  assert.ok(bytes <= bytesLimit)
  assert.equal(await db.add({ vector: new Float32Array(128).fill(2) }), 2)
  await db.close()
})
