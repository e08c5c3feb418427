// Bad input: each case a clear OmenError, and nothing stored or lost.
//
// One test per case of the list that the project began with; other files go deeper into each.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, type ErrorCode, type ErrorDetails, type LocalCollection } from 'omendb'
import { detach, rejected, vectors } from './support.js'

const good = vectors(10, 4)

/** Every way to write, each expected to be refused; then everything must be as it was. */
async function refusesWrite(
  options: { metric?: 'cosine' | 'l2' },
  rows: unknown[],
  code: ErrorCode,
  details: ErrorDetails,
  message?: RegExp,
): Promise<void> {
  const db = new DB({ dimensions: 4, ...options })
  await db.add({ id: 'kept', vector: [1, 2, 3, 4], metadata: { a: 1 } })
  const before = db.getSync('kept', { include: ['metadata', 'vector'] })
  const list = rows as never[]
  const records = list.map((vector) => ({ vector }))
  await rejected(() => db.addBatch(list), code, details, message)
  await rejected(() => db.add(records), code, details, message)
  await rejected(() => db.upsert(records), code, details, message)
  await rejected(() => db.upsert({ vectors: list }), code, details, message)
  await rejected(async () => db.addBatchSync(list), code, details, message)
  await rejected(async () => db.upsertSync(records), code, details, message)
  assert.equal(await db.count(), 1)
  assert.deepEqual(db.getSync('kept', { include: ['metadata', 'vector'] }), before)
  assert.ok((await db.check()).every((report) => report.ok))
  assert.equal((await db.addBatch(good)).length, 10)
  await db.close()
}

test('wrong dimensions', async () => {
  await refusesWrite(
    {},
    [...good.slice(0, 7), [1, 2, 3], ...good.slice(7)],
    'ERR_DIMENSIONS',
    { row: 7 },
    /row 7/,
  )
})

test('NaN or Infinity in row 7 of a batch', async () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const rows = good.map((v) => v.slice())
    ;(rows[7] as Float32Array)[2] = value
    await refusesWrite({}, rows, 'ERR_VECTOR', { row: 7 }, /row 7/)
  }
})

test('a zero vector under cosine, and only there', async () => {
  const rows = [good[0], new Float32Array(4)]
  await refusesWrite({ metric: 'cosine' }, rows, 'ERR_VECTOR', { row: 1 }, /row 1/)
  const db = new DB({ metric: 'l2' })
  await db.addBatch(rows as Float32Array[])
  await db.close()
})

test('a detached buffer', async () => {
  const rows = good.map((v) => v.slice())
  const gone = rows[3] as Float32Array
  detach(gone)
  await refusesWrite({}, rows, 'ERR_DETACHED', { row: 3 }, /row 3/)
})

test('resizable and shared buffers are copied safely', async () => {
  const db = new DB({ metric: 'l2' })
  const shared = new Float32Array(new SharedArrayBuffer(8)).fill(1)
  const buffer = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 64 }]) as ArrayBuffer
  const resizable = new Float32Array(buffer).fill(2)
  await db.addBatch([shared, resizable])
  const rows = await db.get([0, 1], { include: 'vector' })
  assert.deepEqual(
    rows.map((r) => Array.from(r?.vector ?? [])),
    [
      [1, 1],
      [2, 2],
    ],
  )
  await db.close()
})

test('k of 0, -1, 1.5, 2^32+5, NaN, 10 001', async () => {
  const db = new DB()
  await db.addBatch(good)
  const q = good[0] as Float32Array
  for (const k of [0, -1, 1.5, 2 ** 32 + 5, Number.NaN, 10_001, '5', null, 5n, {}]) {
    const options = { k: k as never }
    await rejected(
      () => db.search(q, options),
      'ERR_ARGUMENT',
      {},
      /k is an integer from 1 to 10000/,
    )
    await rejected(async () => db.searchSync(q, options), 'ERR_ARGUMENT')
    await rejected(() => db.searchBatch([q], options), 'ERR_ARGUMENT')
    await rejected(() => db.explain(q, options), 'ERR_ARGUMENT')
    await rejected(
      async () => db.searchInto(q, new Float64Array(10), new Float32Array(10), options),
      'ERR_ARGUMENT',
    )
  }
  for (const ef of [0, -1, 1.5, 10_001, Number.NaN, '5']) {
    await rejected(() => db.search(q, { ef: ef as never }), 'ERR_ARGUMENT')
  }
  for (const options of [
    { topK: 5 },
    { include: 'all' },
    { include: ['id'] },
    { exact: 1 },
    { maxDistance: Number.NaN },
  ]) {
    await rejected(() => db.search(q, options as never), 'ERR_ARGUMENT')
  }
  for (const options of [5, 'k', null, []]) {
    await rejected(() => db.search(q, options as never), 'ERR_ARGUMENT')
  }
  await db.close()
})

test('ef below k is raised; k above the count gives all', async () => {
  const db = new DB()
  await db.addBatch(good)
  assert.equal((await db.search(good[0] as Float32Array, { k: 100, ef: 1 })).length, 10)
  await db.close()
})

test('ids: repeats, ids that exist, ids that do not, ids of the wrong type', async () => {
  const db = new DB()
  await db.add({ id: 'a', vector: [1, 2] })
  const two = [
    [1, 2],
    [3, 4],
  ]
  await rejected(() => db.add({ ids: [1, 1], vectors: two }), 'ERR_DUPLICATE', { row: 1, id: 1 })
  await rejected(() => db.add({ ids: [1, 'a'], vectors: two }), 'ERR_EXISTS', { row: 1, id: 'a' })
  assert.equal(await db.get('b'), undefined)
  assert.equal(await db.delete('b'), 0)
  await rejected(() => db.add({ ids: [1, { a: 1 } as never], vectors: two }), 'ERR_ID', { row: 1 })
  await rejected(() => db.add({ ids: 'ab' as never, vectors: two }), 'ERR_ID')
  await rejected(() => db.add({ ids: [1], vectors: two }), 'ERR_ARGUMENT')
  await rejected(() => db.add({ ids: [1, 2], vectors: two, metadata: [{}] }), 'ERR_ARGUMENT')
  await rejected(
    () => db.add({ ids: [1, 2], vectors: two, metadatas: [{}, {}] } as never),
    'ERR_ARGUMENT',
  )
  assert.equal(await db.count(), 1)
  await db.close()
})

test('metadata that is not JSON, or is circular', async () => {
  const db = new DB()
  const circular: Record<string, unknown> = {}
  circular.a = [circular]
  const bad: unknown[] = [
    circular,
    { a: 1n },
    { a: Number.NaN },
    { a: () => 1 },
    { 'a.b': 1 },
    { $a: 1 },
  ]
  bad.push('text', 5, null, [], new Map(), new Date(), { a: 'x'.repeat(2 ** 20) })
  for (const metadata of bad) {
    const given = metadata as never
    await rejected(() => db.add({ vector: [1, 2], metadata: given }), 'ERR_METADATA')
    const rows = [{ vector: [1, 2] }, { vector: [1, 2], metadata: given }]
    const error = await rejected(() => db.upsert(rows), 'ERR_METADATA', undefined, /row 1/)
    assert.equal(error.details.row, 1)
    await rejected(async () => db.addSync(rows), 'ERR_METADATA')
    await rejected(
      () =>
        db.addBatch({
          vectors: [
            [1, 2],
            [3, 4],
          ],
          metadata: [{}, given],
        }),
      'ERR_METADATA',
    )
    await rejected(() => db.update(1, { metadata: given }), 'ERR_METADATA')
  }
  await rejected(
    () => db.add({ vector: [1, 2], metadta: {} } as never),
    'ERR_ARGUMENT',
    {},
    /metadta/,
  )
  await rejected(
    () => db.add([{ vector: [1, 2] }, { vector: [1, 2], title: 'a' }] as never),
    'ERR_ARGUMENT',
    { row: 1 },
  )
  assert.equal(await db.count(), 0)
  await db.close()
})

test('more than 1 024 indexed fields', async () => {
  const db = new DB()
  const metadata = Object.fromEntries(Array.from({ length: 1024 }, (_, i) => [`f${i}`, i]))
  await db.add({ id: 1, vector: [1, 2], metadata })
  await rejected(() => db.add([{ vector: [1, 2], metadata: { one: 1 } }]), 'ERR_METADATA', {
    row: 0,
    path: 'one',
  })
  assert.equal(await db.count(), 1)
  await db.close()
})

test('arguments that make no sense at all', async () => {
  const db = new DB()
  const c: LocalCollection = await db.collection('c')
  await db.add({ id: 1, vector: [1, 2] })
  const junk: unknown[] = [
    undefined,
    null,
    5,
    'a',
    true,
    Symbol('s'),
    () => 1,
    new Date(),
    new Map(),
  ]
  for (const value of junk) {
    const given = value as never
    for (const call of [
      () => db.add(given),
      () => db.upsert(given),
      () => db.addBatch(given),
      () => db.update(1, given),
      () => db.search(given),
      () => db.searchBatch(given),
      () => c.add(given),
    ]) {
      const error = await call().then(
        () => undefined,
        (e) => e,
      )
      assert.match(
        String(error?.code),
        /^ERR_(ARGUMENT|VECTOR|DIMENSIONS|ID)$/,
        `${String(value)}: ${error}`,
      )
    }
  }
  assert.deepEqual([await db.count(), await c.count()], [1, 0])
  await db.close()
})
