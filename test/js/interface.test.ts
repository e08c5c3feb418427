// One interface, whatever is behind it: the same cases against DB, and against a server over
// Connect (Client), REST and gRPC. Code written against one runs on the others.
import assert from 'node:assert/strict'
import test from 'node:test'
import { type CallOptions, type Client, type DB, OmenError } from 'omendb'
import { open, WAYS, type Way } from './server-support.js'
import { flatVectors, rejected, vectors } from './support.js'

type Case = (db: DB | Client, way: Way) => Promise<void>

function everywhere(name: string, options: Parameters<typeof open>[2], run: Case): void {
  for (const way of WAYS) {
    test(`${way}: ${name}`, { timeout: 60_000 }, async (t) => run(await open(t, way, options), way))
  }
}

everywhere('collections are made, opened, listed and dropped', {}, async (db) => {
  assert.deepEqual(await db.listCollections(), [])
  const made = await db.createCollection('b', { dimensions: 2, metric: 'l2' })
  assert.equal(made.name, 'b')
  await rejected(() => db.createCollection('b'), 'ERR_EXISTS')
  await rejected(() => db.collection('b', { metric: 'dot' }), 'ERR_OPTIONS')
  await rejected(() => db.collection('c', { createIfMissing: false }), 'ERR_NOT_FOUND')
  await rejected(() => db.collection('no/name'), 'ERR_ARGUMENT')
  await rejected(() => db.collection('b', { m: 1 }), 'ERR_ARGUMENT')
  await rejected(() => db.collection('q', { layout: 'fast' }), 'ERR_OPTIONS')
  await db.collection('a', { schema: { year: 'number', title: { type: 'string', index: false } } })
  assert.deepEqual(await db.listCollections(), ['a', 'b'])
  const { schema } = await (await db.collection('a')).stats()
  const year = { type: 'number', index: true }
  assert.deepEqual(schema, { year, title: { type: 'string', index: false } })
  assert.equal(await db.dropCollection('b'), true)
  assert.equal(await db.dropCollection('b'), false)
  await rejected(() => made.count(), 'ERR_NOT_FOUND')
})

everywhere('records of every id come back as they were', { metric: 'l2' }, async (db, way) => {
  const minus = way === 'REST' ? 0 : -0 // JSON has one zero.

  const big = 2n ** 64n - 1n
  const at = new Date(1234567890123)
  assert.equal(await db.add({ id: 'a', vector: [1, 2], metadata: { at, n: [1, 2.5] } }), 'a')
  assert.deepEqual(
    await db.add([
      { id: 7, vector: [3, 4] },
      { id: big, vector: [5, 6], metadata: { deep: { er: null }, text: 'ä\u2028"\\' } },
      { id: '7', vector: [7, 8] },
      { id: 5n, vector: [0.1, -0] },
    ]),
    [7, big, '7', 5],
  )
  const rows = await db.get(['a', 7, big, '7', 5, 'nobody'], { include: ['metadata', 'vector'] })
  assert.deepEqual(rows, [
    { id: 'a', metadata: { at, n: [1, 2.5] }, vector: new Float32Array([1, 2]) },
    { id: 7, metadata: {}, vector: new Float32Array([3, 4]) },
    {
      id: big,
      metadata: { deep: { er: null }, text: 'ä\u2028"\\' },
      vector: new Float32Array([5, 6]),
    },
    { id: '7', metadata: {}, vector: new Float32Array([7, 8]) },
    { id: 5, metadata: {}, vector: new Float32Array([0.1, minus]) },
    undefined,
  ])
  assert.deepEqual(await db.get('a', { include: 'none' }), { id: 'a' })
  assert.deepEqual(await db.get(7, { include: 'vector' }), {
    id: 7,
    vector: new Float32Array([3, 4]),
  })
  assert.equal(await db.get('nobody'), undefined)
  assert.deepEqual(await db.get([]), [])
  assert.equal(await db.has(big), true)
  assert.equal(await db.has('8'), false)
  assert.equal(await db.count(), 5)
})

everywhere('ids are generated one past the largest', {}, async (db) => {
  assert.deepEqual(await db.addBatch(vectors(3, 4)), [0, 1, 2])
  assert.equal(await db.add({ vector: [1, 2, 3, 4] }), 3)
  await db.add({ id: 1000n, vector: [1, 2, 3, 4] })
  assert.deepEqual(await db.addBatch(flatVectors(2, 4)), [1001, 1002])
  await db.clear()
  assert.equal(await db.add({ vector: [1, 2, 3, 4] }), 1003)
  assert.equal((await db.stats()).collections[0]?.nextId, 1004)
  const [id] = await db.addBatch({ ids: BigUint64Array.of(2n ** 53n), vectors: [[1, 2, 3, 4]] })
  assert.equal(id, 2n ** 53n)
  assert.equal(await db.add({ vector: [1, 2, 3, 4] }), 2n ** 53n + 1n)
  assert.deepEqual(await db.addBatch([]), [])
})

everywhere('upsert replaces, update merges, delete counts', { metric: 'l2' }, async (db) => {
  await db.add({ id: 'a', vector: [1, 2], metadata: { x: 1, y: 2 } })
  assert.equal(await db.upsert({ id: 'a', vector: [3, 4] }), 'a')
  assert.deepEqual(await db.get('a'), { id: 'a', metadata: {} })
  await db.upsert({
    ids: ['a', 'b'],
    vectors: [
      [1, 1],
      [2, 2],
    ],
    metadata: [{ x: 1 }, undefined],
  })
  await db.update('a', { metadata: { y: 2, z: { w: 1 } }, unset: ['x'] })
  await db.update('a', { vector: [9, 9] })
  assert.deepEqual(await db.get('a', { include: ['metadata', 'vector'] }), {
    id: 'a',
    metadata: { y: 2, z: { w: 1 } },
    vector: new Float32Array([9, 9]),
  })
  await rejected(() => db.update('c', { metadata: {} }), 'ERR_NOT_FOUND', { id: 'c' })
  await rejected(() => db.update('a', {}), 'ERR_ARGUMENT')
  await rejected(() => db.update('a', { vector: [1, 2, 3] }), 'ERR_DIMENSIONS')
  assert.equal(await db.delete(['a', 'nobody']), 1)
  assert.equal(await db.delete('b'), 1)
  await db.add({
    ids: Uint32Array.of(1, 2, 3),
    vectors: flatVectors(3, 2),
    metadata: [{ g: 1 }, { g: 2 }, { g: 1 }],
  })
  assert.equal(await db.delete({ filter: { g: 1 } }), 2)
  await rejected(() => db.delete({ filter: {} }), 'ERR_FILTER')
  assert.equal(await db.delete(Uint32Array.of(2, 9)), 1)
  assert.equal(await db.count(), 0)
})

everywhere('a bad row refuses its whole batch, and is named', { dimensions: 2 }, async (db) => {
  await db.add({ id: 'old', vector: [1, 2] })
  const good = [1, 2]
  const nan = [Number.NaN, 1]
  await rejected(() => db.addBatch([good, nan]), 'ERR_VECTOR', { row: 1 })
  await rejected(() => db.addBatch([good, [0, 0]]), 'ERR_VECTOR', { row: 1 })
  await rejected(() => db.addBatch([good, [1, 2, 3]]), 'ERR_DIMENSIONS', { row: 1 })
  await rejected(() => db.add({ vector: [1, 2, 3] }), 'ERR_DIMENSIONS', {})
  await rejected(() => db.add({ vector: nan }), 'ERR_VECTOR', {})
  await rejected(() => db.add({ ids: ['x', 'old'], vectors: [good, good] }), 'ERR_EXISTS', {
    row: 1,
    id: 'old',
  })
  await rejected(() => db.upsert({ ids: ['x', 'x'], vectors: [good, good] }), 'ERR_DUPLICATE', {
    row: 1,
    id: 'x',
  })
  await rejected(() => db.add({ ids: ['x', -1], vectors: [good, good] }), 'ERR_ID', { row: 1 })
  await rejected(() => db.add({ ids: ['x'], vectors: [good, good] }), 'ERR_ARGUMENT')
  const metadata = [{}, { 'a.b': 1 }]
  await rejected(
    () => db.add({ ids: ['x', 'y'], vectors: [good, good], metadata }),
    'ERR_METADATA',
    {
      row: 1,
      path: 'a.b',
    },
  )
  assert.equal(await db.count(), 1)
})

everywhere('searches find the same, with the same parts', { metric: 'l2' }, async (db) => {
  const rows = vectors(500, 8, 5)
  await db.add({ ids: rows.map((_, i) => i), vectors: rows, metadata: rows.map((_, n) => ({ n })) })
  const query = rows[17] as Float32Array
  const exact = rows
    .map((v, id) => ({ id, d: v.reduce((s, x, i) => s + (x - (query[i] as number)) ** 2, 0) }))
    .sort((a, b) => a.d - b.d)
  const hits = await db.search(query, { k: 5, exact: true })
  assert.deepEqual(
    hits.map((h) => h.id),
    exact.slice(0, 5).map((h) => h.id),
  )
  hits.forEach((hit, i) => {
    assert.ok(Math.abs(hit.distance - (exact[i]?.d as number)) < 1e-5)
    assert.deepEqual(hit.metadata, { n: hit.id })
  })
  assert.deepEqual(Object.keys((await db.search(query, { k: 1, include: 'none' }))[0] ?? {}), [
    'id',
    'distance',
  ])
  const [withVector] = await db.search(query, { k: 1, include: ['vector', 'metadata'] })
  assert.deepEqual(withVector, { id: 17, distance: 0, metadata: { n: 17 }, vector: query })
  const some = await db.search(query, { k: 3, filter: { n: { $gte: 400, $lt: 403 } } })
  assert.deepEqual(some.map((h) => h.id).sort(), [400, 401, 402])
  const near = await db.search(query, { k: 500, maxDistance: exact[9]?.d as number, exact: true })
  assert.ok(near.length >= 9 && near.length <= 10, `${near.length} hits`)
  assert.equal((await db.search(query, { ef: 200, exact: false })).length, 10)
  const plan = await db.explain(query, { filter: { n: { $lt: 50 } } })
  assert.equal(plan.matches, 50)
  assert.equal(plan.selectivity, 0.1)
  assert.equal(await db.count({ n: { $gte: 490 } }), 10)
  await rejected(() => db.search([1, 2]), 'ERR_DIMENSIONS')
  await rejected(() => db.search(query, { k: 0 }), 'ERR_ARGUMENT')
  await rejected(() => db.search(query, { ef: 10_001 }), 'ERR_ARGUMENT')
  await rejected(() => db.search(query, { filter: { n: { $foo: 1 } } as never }), 'ERR_FILTER', {
    path: 'n.$foo',
  })
  await rejected(() => db.search(query, { fitler: {} } as never), 'ERR_ARGUMENT')
})

everywhere('batches of searches are as single ones', { metric: 'l2' }, async (db) => {
  assert.equal((await db.searchBatch([])).length, 0)
  const rows = vectors(100, 4, 6)
  await db.addBatch(rows)
  const queries = rows.slice(0, 7)
  const batch = await db.searchBatch(queries, { k: 3 })
  assert.equal(batch.length, 7)
  assert.equal(batch.k, 3)
  for (const [i, query] of queries.entries()) {
    const hits = await db.search(query, { k: 3, include: 'none' })
    assert.deepEqual(batch.hits(i), hits)
    assert.equal(batch.ids[i * 3], hits[0]?.id)
  }
  const few = await db.searchBatch(flatVectors(2, 4), { k: 200 })
  assert.deepEqual([...few.counts], [100, 100])
  assert.ok(Number.isNaN(few.distances[199]) && Number.isNaN(few.ids[199]))
  assert.equal(few.id(0, 100), undefined)
  await db.add({ id: 'text', vector: rows[0] as Float32Array })
  const mixed = await db.searchBatch([rows[0] as Float32Array], { k: 2 })
  assert.deepEqual([mixed.id(0, 0), mixed.id(0, 1)], [0, 'text'])
  assert.throws(
    () => mixed.ids,
    (e) => e instanceof OmenError && e.code === 'ERR_ID',
  )
})

everywhere('pages and iteration see every record once', {}, async (db) => {
  const rows = vectors(700, 4, 7)
  await db.add({
    ids: rows.map((_, i) => `r${i}`),
    vectors: rows,
    metadata: rows.map((_, n) => ({ n })),
  })
  const seen = new Set<unknown>()
  for await (const { id, metadata } of db.records({
    batchSize: 100,
    filter: { n: { $lt: 650 } },
  })) {
    assert.equal(id, `r${metadata.n}`)
    assert.ok(!seen.has(id))
    seen.add(id)
  }
  assert.equal(seen.size, 650)
  const page = await db.scroll({ limit: 699, include: 'vector' })
  assert.equal(page.records.length, 699)
  const rest = await db.scroll({ limit: 699, cursor: page.next as string })
  assert.deepEqual([rest.records.length, rest.next], [1, undefined])
  await rejected(() => db.scroll({ limit: 1, cursor: 'nonsense' }), 'ERR_ARGUMENT')
  await rejected(() => db.scroll({ limit: 0 }), 'ERR_ARGUMENT')
})

everywhere('large batches come whole, with progress', { metric: 'l2' }, async (db) => {
  const dimensions = 64
  const flat = flatVectors(6000, dimensions, 8)
  const metadata = Array.from({ length: 6000 }, (_, n) => ({ n, text: 'x'.repeat(n % 50) }))
  const told: number[] = []
  const ids = await db.addBatch(
    { vectors: flat, dimensions, metadata },
    { onProgress: ({ done, total }) => told.push(done) && assert.equal(total, 6000) },
  )
  assert.deepEqual([ids.length, ids[5999]], [6000, 5999])
  assert.equal(told.at(-1), 6000)
  assert.deepEqual(
    told,
    [...told].sort((a, b) => a - b),
  )
  const row = await db.get(5432, { include: ['metadata', 'vector'] })
  assert.deepEqual(row?.metadata, metadata[5432])
  assert.deepEqual(row?.vector, flat.slice(5432 * dimensions, 5433 * dimensions))
  const broken = flat.slice()
  broken[5000 * dimensions + 3] = Number.POSITIVE_INFINITY
  await rejected(() => db.addBatch({ vectors: broken, dimensions }), 'ERR_VECTOR', { row: 5000 })
  assert.equal(await db.count(), 6000)
  const texts = Array.from({ length: 6000 }, (_, i) =>
    i === 5990 ? 'same' : i === 3 ? 'same' : `t${i}`,
  )
  await rejected(() => db.upsert({ ids: texts, vectors: flat }), 'ERR_DUPLICATE', {
    row: 5990,
    id: 'same',
  })
  assert.equal(await db.count(), 6000)
})

everywhere('writes of one handle commit in the order of their calls', {}, async (db) => {
  const all = Array.from({ length: 20 }, (_, n) =>
    db.upsert({ id: 'one', vector: [1, n + 1], metadata: { n } }),
  )
  const last = db.update('one', { metadata: { last: true } })
  await Promise.all([...all, last])
  assert.deepEqual(await db.get('one'), { id: 'one', metadata: { n: 19, last: true } })
})

everywhere('signals and times end a call, and nothing is stored', {}, async (db) => {
  await db.add({ id: 'a', vector: [1, 2] })
  const reason = new Error('not needed')
  const aborted = { signal: AbortSignal.abort(reason) }
  const write = await rejected(() => db.add({ id: 'b', vector: [1, 2] }, aborted), 'ERR_ABORTED')
  assert.equal(write.cause, reason)
  await rejected(() => db.search([1, 2], aborted), 'ERR_ABORTED')
  await rejected(() => db.count(undefined, aborted), 'ERR_ABORTED')
  // Too many to be staged in the time that they get, on any machine.
  const flat = flatVectors(60_000, 64)
  await rejected(() => db.addBatch(vectors(3, 2), { timeoutMs: 0 }), 'ERR_TIMEOUT')
  const c = await db.collection('c')
  const stop = new AbortController()
  setTimeout(() => stop.abort(reason), 2)
  await rejected(
    () => c.addBatch({ vectors: flat, dimensions: 64 }, { signal: stop.signal }),
    'ERR_ABORTED',
  )
  await rejected(
    () => c.addBatch({ vectors: flat, dimensions: 64 }, { timeoutMs: 1 }),
    'ERR_TIMEOUT',
  )
  assert.equal(await c.count(), 0)
  assert.equal(await db.count(), 1)
  await rejected(() => db.search([1, 2], { timeoutMs: -1 }), 'ERR_ARGUMENT')
})

everywhere('calls without other options take a signal and a time too', {}, async (db, way) => {
  const c = await db.collection('c', { dimensions: 2 })
  await c.add({ id: 'a', vector: [1, 2] })
  const calls: Record<string, (options: CallOptions) => Promise<unknown>> = {
    has: (options) => c.has('a', options),
    'stats of a collection': (options) => c.stats(options),
    stats: (options) => db.stats(options),
    flush: (options) => db.flush(options),
    check: (options) => db.check(options),
    listCollections: (options) => db.listCollections(options),
    collection: (options) => db.collection('d', options),
    createCollection: (options) => db.createCollection('e', { dimensions: 3, ...options }),
    dropCollection: (options) => db.dropCollection('c', options),
  }
  const reason = new Error('not needed')
  for (const [name, call] of Object.entries(calls)) {
    const { cause } = await rejected(
      () => call({ signal: AbortSignal.abort(reason) }),
      'ERR_ABORTED',
    )
    assert.equal(cause, reason, name)
    await rejected(() => call({ timeoutMs: 0 }), 'ERR_TIMEOUT')
    await rejected(() => call({ timeoutMs: -1 }), 'ERR_ARGUMENT')
    await rejected(() => call({ timeout: 1 } as CallOptions), 'ERR_ARGUMENT')
  }
  // None of them did anything.
  assert.deepEqual(await db.listCollections(), ['c'])
  const { signal } = new AbortController()
  for (const [name, call] of Object.entries(calls)) {
    assert.ok((await call({ signal, timeoutMs: 60_000 })) !== false, `${way}: ${name}`)
  }
  assert.deepEqual(await db.listCollections(), ['d', 'e'])
})

everywhere('a closed handle refuses', {}, async (db) => {
  const c = await db.collection('c', { dimensions: 2 })
  const pending = c.add({ id: 1, vector: [1, 2] })
  await Promise.all([pending, db.close()])
  await rejected(() => db.count(), 'ERR_CLOSED')
  await rejected(() => c.search([1, 2]), 'ERR_CLOSED')
  await rejected(() => c.add({ vector: [1, 2] }), 'ERR_CLOSED')
  await rejected(() => db.listCollections(), 'ERR_CLOSED')
  await db.close()
})

everywhere('stats, check, flush and optimize answer', { metric: 'dot' }, async (db) => {
  await db.addBatch(vectors(50, 3))
  await db.delete([1, 2])
  await db.optimize()
  await db.flush()
  const [report] = await db.check()
  assert.deepEqual(report, { name: 'default', ok: true, records: 48, unreachable: 0, problem: '' })
  const { collections, bytes, threads } = await db.stats()
  assert.equal(collections[0]?.count, 48)
  assert.equal(collections[0]?.metric, 'dot')
  const parts = Object.entries(collections[0]?.bytes ?? {}).filter(([key]) => key !== 'total')
  assert.equal(
    parts.reduce((sum, [, n]) => sum + n, 0),
    collections[0]?.bytes.total,
  )
  assert.ok(bytes > 0 && threads > 0)
})
