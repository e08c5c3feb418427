// Bugs found by a review of the API, each with what a user would have seen.
import assert from 'node:assert/strict'
import test, { mock } from 'node:test'
import { DB } from '../../dist/index.mjs'

function vectors(count, dimensions = 2) {
  return Array.from({ length: count }, (_, i) =>
    Float32Array.from({ length: dimensions }, (_, j) => Math.sin(1 + i * dimensions + j)),
  )
}

function detached(array) {
  structuredClone(array.buffer, { transfer: [array.buffer] })
  return array
}

const refused = (code, message = /./) => ({ code, message })

// A list of records whose first slice had no metadata, and a later one had, was refused.
test('metadata in the last of many records alone', async () => {
  const db = new DB({ metric: 'l2' })
  const records = vectors(5000).map((vector) => ({ vector }))
  records[4999].metadata = { last: true }
  await db.add(records)
  assert.equal(await db.count({ last: true }), 1)
  await db.close()
})

// A write that was aborted, or whose database was closed, by code of the caller's that staging
// calls was submitted all the same, and the process ended by an unhandled rejection.
for (const [name, over] of [
  ['abort', (_db, controller) => controller.abort('enough')],
  ['closeSync', (db) => db.closeSync()],
]) {
  const code = name === 'abort' ? 'ERR_ABORTED' : 'ERR_CLOSED'
  const write = async (make) => {
    const db = new DB({ metric: 'l2' })
    const controller = new AbortController()
    const [input, options] = make(() => over(db, controller))
    const work = db.addBatch(input, { signal: controller.signal, ...options })
    await assert.rejects(work, { code })
    // An unhandled rejection would come now.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  test(`${name} within onProgress`, () => write((end) => [vectors(50), { onProgress: end }]))
  test(`${name} within a getter of metadata`, () =>
    write((end) => [
      {
        vectors: [[1, 2]],
        metadata: [
          {
            get a() {
              return end() ?? 1
            },
          },
        ],
      },
    ]))
  test(`${name} within a getter of ids`, () =>
    write((end) => {
      const ids = [1, 2]
      Object.defineProperty(ids, 1, { get: () => end() ?? 2 })
      return [{ ids, vectors: vectors(2) }]
    }))
}

// A write that failed while its signal could not be told so stopped all later writes for ever.
test('a signal without removeEventListener is refused, one that throws is survived', async () => {
  const db = new DB({ metric: 'l2' })
  const half = { aborted: false, addEventListener() {} }
  await assert.rejects(db.addBatch([[1, 2]], { signal: half }), refused('ERR_ARGUMENT', /signal/))
  const uncaught = new Promise((resolve) => {
    process.setUncaughtExceptionCaptureCallback(resolve)
  })
  const bad = {
    ...half,
    removeEventListener() {
      throw new Error('of the signal')
    },
  }
  await assert.rejects(db.addBatch([[1, Number.NaN]], { signal: bad }), refused('ERR_VECTOR'))
  assert.equal((await uncaught).message, 'of the signal')
  process.setUncaughtExceptionCaptureCallback(null)
  assert.equal((await db.addBatch([[1, 2]])).length, 1)
  await db.close()
})

// The dimensions of a write that failed held for the next one, until the pool had freed its slots.
test('a failed write fixes no dimensions', async () => {
  for (let i = 0; i < 100; i++) {
    const db = new DB()
    await assert.rejects(db.addBatch([[1, Number.NaN]]), refused('ERR_VECTOR'))
    await assert.rejects(db.add({ vector: [1], metadata: { a: Number.NaN } }), {
      code: 'ERR_METADATA',
    })
    assert.throws(() => db.addBatchSync([[1, 2, 3, Number.NaN]]), refused('ERR_VECTOR'))
    await db.addBatch([[1, 2, 3]])
    db.closeSync()
  }
})

// Under fake timers writes waited for ever for a turn that never came.
test('writes under fake timers', async () => {
  mock.timers.enable({ apis: ['setImmediate', 'setTimeout', 'setInterval'] })
  try {
    const db = new DB({ metric: 'l2' })
    const ids = await db.addBatch(vectors(5000, 8), { timeoutMs: 60_000 })
    assert.equal(ids.length, 5000)
    await Promise.all(ids.slice(0, 500).map((id) => db.get(id)))
    await db.close()
  } finally {
    mock.timers.reset()
  }
})

// A Map, a Set, a Date or a RegExp as a filter matched every record.
test('only plain objects are filters', async () => {
  const db = new DB({ metric: 'l2' })
  await db.addBatch(vectors(3))
  for (const filter of [
    new Map([['a', 1]]),
    new Set([1]),
    new Date(),
    /a/,
    [],
    new Float32Array(1),
  ]) {
    await assert.rejects(db.count(filter), refused('ERR_FILTER', /a filter is an object/))
    await assert.rejects(db.delete({ filter }), refused('ERR_FILTER', /a filter is an object/))
  }
  for (const which of [new Map(), new Set([1]), new Date(), new Int32Array(0), { ids: [1] }]) {
    await assert.rejects(db.delete(which), refused('ERR_ARGUMENT', /delete takes an id, ids or/))
  }
  await db.close()
})

// A filter that nothing can fail passed the guard of delete and deleted every record.
test('a filter without a condition deletes nothing', async () => {
  const db = new DB({ metric: 'l2' })
  await db.addBatch(vectors(3))
  for (const filter of [{}, { $and: [{}] }, { $or: [{}, { a: 1 }] }]) {
    await assert.rejects(db.delete({ filter }), refused('ERR_FILTER', /clear\(\)/))
    assert.throws(() => db.deleteSync({ filter }), refused('ERR_FILTER', /clear\(\)/))
  }
  assert.equal(await db.count(), 3)
  await db.close()
})

// Ids in a detached array were no ids at all: delete answered 0, and get an empty list.
test('detached ids are ERR_DETACHED', async () => {
  const db = new DB({ metric: 'l2' })
  for (const ids of [new Float64Array(2), new Uint32Array(2), new BigUint64Array(2)].map(
    detached,
  )) {
    for (const call of [
      () => db.delete(ids),
      () => db.get(ids),
      () => db.addBatch({ ids, vectors: vectors(2) }),
      async () => db.deleteSync(ids),
      async () => db.getSync(ids),
    ]) {
      await assert.rejects(call(), refused('ERR_DETACHED'))
    }
  }
  const shrunk = new Float64Array(new ArrayBuffer(16, { maxByteLength: 16 }), 8, 1)
  shrunk.buffer.resize(8)
  await assert.rejects(db.get(shrunk), refused('ERR_DETACHED'))
  assert.deepEqual(await db.get(new Float64Array(0)), [])
  await db.close()
})

// has and stats of a dropped collection answered as if it lived.
test('a dropped collection answers ERR_NOT_FOUND', async () => {
  const db = new DB()
  const dropped = await db.collection('dropped')
  await dropped.add({ id: 1, vector: [1, 2] })
  await db.dropCollection('dropped')
  for (const call of [() => dropped.has(1), () => dropped.stats()]) {
    await assert.rejects(call(), refused('ERR_NOT_FOUND'))
  }
  assert.throws(() => dropped.hasSync(1), refused('ERR_NOT_FOUND'))
  assert.throws(() => dropped.statsSync(), refused('ERR_NOT_FOUND'))
  await db.close()
})

// A database whose default collection another handle had dropped could not be used any more.
test('the default collection is made anew after another handle dropped it', async () => {
  const one = new DB({ name: 'api-review' })
  const other = new DB({ name: 'api-review' })
  await one.add({ id: 1, vector: [1, 2] })
  assert.equal(await other.count(), 1)
  await one.dropCollection('default')
  assert.equal(await other.count(), 0)
  await other.add({ id: 2, vector: [1, 2, 3] })
  assert.equal(await one.has(2), true)
  await one.close()
  await other.close()
})

// A list of no vectors but a great length took gigabytes before its first row was looked at.
test('the first row is looked at before memory is reserved', async () => {
  const db = new DB({ metric: 'l2', dimensions: 2 })
  const sparse = []
  sparse.length = 5e7
  await assert.rejects(db.addBatch(sparse), refused('ERR_VECTOR', /row 0/))
  assert.ok((await db.stats()).bytes < 2 ** 20)
  await db.close()
})

// check() took a full database for a corrupt one.
test('check of a database without room says ERR_MEMORY, or that all is well', async () => {
  const db = new DB({ maxMemoryBytes: 2 ** 24, metric: 'l2' })
  const fields = Array.from({ length: 1000 }, (_, i) => [`k${i}`, [i, i, i, i, i, i, i, i]])
  await db.add({ vector: [1, 1], metadata: Object.fromEntries(fields) })
  for (let length = 100_000; length > 0; length = Math.floor(length / 10)) {
    for (let i = 0; i < 10_000; i++) {
      try {
        db.addSync({ vector: [i, 1], metadata: { text: `${i}`.padEnd(length, 'x') } })
      } catch (error) {
        assert.equal(error.code, 'ERR_MEMORY')
        break
      }
    }
  }
  try {
    for (const report of await db.check()) assert.equal(report.problem, '')
  } catch (error) {
    assert.equal(error.code, 'ERR_MEMORY')
  }
  await db.close()
})

// An object that many others share took seconds of the JS thread, or all memory.
test('shared objects are counted as often as they stand in the text', async () => {
  const db = new DB({ metric: 'l2' })
  let filter = { a: 1 }
  let metadata = { a: 1 }
  let list = []
  for (let i = 0; i < 30; i++) {
    filter = { $and: [filter, filter] }
    metadata = { l: metadata, r: metadata }
    list = [list, list]
  }
  const start = performance.now()
  await assert.rejects(db.count(filter), refused('ERR_FILTER', /clauses/))
  await assert.rejects(db.add({ vector: [1, 2], metadata }), refused('ERR_METADATA', /1 MiB/))
  await assert.rejects(
    db.add({ vector: [1, 2], metadata: { list } }),
    refused('ERR_METADATA', /1 MiB/),
  )
  assert.ok(performance.now() - start < 5000)
  await db.close()
})

// Fifty searches under one signal made Node warn of a leak of listeners.
test('one listener on a signal, however many calls are under it', async () => {
  const db = new DB({ metric: 'l2' })
  await db.addBatch(vectors(10))
  const { signal } = new AbortController()
  let listeners = 0
  let most = 0
  const counting = {
    aborted: false,
    addEventListener: (...a) => {
      most = Math.max(most, ++listeners)
      signal.addEventListener(...a)
    },
    removeEventListener: (...a) => {
      listeners--
      signal.removeEventListener(...a)
    },
  }
  await Promise.all(Array.from({ length: 50 }, () => db.search([1, 2], { signal: counting })))
  assert.deepEqual([most, listeners], [1, 0])
  await db.close()
})

// Options that a call has not were taken and ignored: a searchSync ran past its timeoutMs.
test('options that a call has not are refused', async () => {
  const db = new DB({ metric: 'l2' })
  await db.addBatch(vectors(10))
  const { signal } = new AbortController()
  const query = [1, 2]
  for (const call of [
    () => db.searchSync(query, { timeoutMs: 5 }),
    () => db.searchSync(query, { signal }),
    () => db.getSync(1, { signal }),
    () => db.scrollSync({ limit: 1, timeoutMs: 5 }),
    () => db.searchBatchSync([query], { include: 'vector' }),
    () => db.explainSync(query, { include: 'vector' }),
    () => db.searchInto(query, new Float64Array(10), new Float32Array(10), { include: 'none' }),
  ]) {
    assert.throws(call, refused('ERR_ARGUMENT', /unknown option/))
  }
  await assert.rejects(db.searchBatch([query], { include: 'vector' }), refused('ERR_ARGUMENT'))
  await assert.rejects(db.explain(query, { include: 'vector' }), refused('ERR_ARGUMENT'))
  await db.close()
})

// Arrays behind a Proxy, as state libraries make them, were refused.
test('proxied arrays', async () => {
  const db = new DB({ metric: 'l2' })
  const proxied = (value) => new Proxy(value, {})
  await db.addBatch({ ids: proxied([1, 2]), vectors: proxied([proxied([1, 2]), proxied([3, 4])]) })
  assert.deepEqual(
    (await db.get(proxied([2]), { include: 'vector' }))[0].vector,
    Float32Array.of(3, 4),
  )
  assert.equal(await db.delete(proxied([1])), 1)
  assert.equal(db.deleteSync(proxied([2])), 1)
  await db.close()
})

// Schemas lost what JSON does not hold, and threw errors without a code.
test('schemas are paths and types', () => {
  const circular = {}
  circular.a = circular
  for (const schema of [
    new Map(),
    [],
    { a() {} },
    { a: 1n },
    { a: { type: 1n } },
    { a: circular },
  ]) {
    assert.throws(() => new DB({ schema }), refused('ERR_ARGUMENT', /schema/))
  }
  assert.throws(() => new DB({ schema: { 'a..b': 'string' } }), refused('ERR_ARGUMENT', /path/))
  new DB({ schema: { 'a.b': 'string', c: { type: 'number', index: false } } }).closeSync()
  assert.throws(() => DB.openSync(5n), refused('ERR_ARGUMENT'))
  assert.throws(() => DB.openSync(circular), refused('ERR_ARGUMENT'))
})

// The shape of a tensor was not compared with its data.
test('a tensor of one vector has as many numbers as its shape', async () => {
  const db = new DB({ metric: 'l2' })
  const data = Float32Array.of(1, 2)
  await db.add({ vector: { data, dims: [1, 2] } })
  for (const dims of [[768], ['x'], []]) {
    await assert.rejects(db.search({ data, dims }), refused('ERR_DIMENSIONS', /shape/))
  }
  await db.close()
})

// A cursor of another collection, or of nobody, gave an empty or wrong page.
test('a cursor is of a scroll of this collection', async () => {
  const db = new DB({ metric: 'l2' })
  const other = await db.collection('other')
  await db.addBatch(vectors(10))
  await other.addBatch(vectors(10))
  const { next } = await db.scroll({ limit: 4 })
  assert.equal((await db.scroll({ limit: 10, cursor: next })).records.length, 6)
  for (const cursor of ['999999999999999999', `${next}0`, '4294967300', '1.1', '9'.repeat(99)]) {
    await assert.rejects(db.scroll({ limit: 4, cursor }), refused('ERR_ARGUMENT', /cursor/))
  }
  await assert.rejects(other.scroll({ limit: 4, cursor: next }), refused('ERR_ARGUMENT', /cursor/))
  await db.close()
})

// A list of as many values as are allowed was refused for its bytes.
test('$in takes 65 536 long values', async () => {
  const db = new DB({ metric: 'l2' })
  const long = (i) => `${i}`.padEnd(500, 'x')
  await db.add({ id: long(7), vector: [1, 2], metadata: { a: long(8) } })
  const values = Array.from({ length: 65_536 }, (_, i) => long(i))
  assert.equal(await db.count({ a: { $in: values } }), 1)
  assert.equal(await db.count({ $id: { $in: values } }), 1)
  await db.close()
})

// Faults of one record spoke of a row, and of values in a form that nobody had given.
test('what messages say', async () => {
  const db = new DB({ metric: 'l2' })
  const fault = async (promise) => promise.then(assert.fail, (error) => error)
  assert.match((await fault(db.search([]))).message, /1 to 16 384 are possible/)
  assert.match((await fault(db.searchBatch(new Float32Array(4)))).message, /as a list/)
  await db.add({ id: 2n ** 53n, vector: [1, 2], metadata: { b: { c: 1 } } })
  assert.match(
    (await fault(db.add({ id: 2n ** 53n, vector: [1, 2] }))).message,
    /9007199254740992n/,
  )
  const update = await fault(db.update(2n ** 53n, { vector: [Number.NaN, 1] }))
  assert.doesNotMatch(update.message, /row/)
  assert.equal(update.details.row, undefined)
  assert.match((await fault(db.update(2n ** 53n, { unset: ['b.c'] }))).message, /a path/)
  class Own {
    toJSON() {}
  }
  assert.match((await fault(db.add({ vector: [1, 2], metadata: new Own() }))).message, /toJSON/)
  const hidden = Object.defineProperty({ a: 1 }, 'toJSON', { value: () => ({ a: 2 }) })
  assert.match((await fault(db.add({ vector: [1, 2], metadata: hidden }))).message, /toJSON/)
  await db.close()
})

// Another seed than that of the living database of the name was ignored.
test('handles of one name agree on the seed', async () => {
  const one = new DB({ name: 'api-review-seed', seed: 7 })
  const same = new DB({ name: 'api-review-seed', seed: 7 })
  const any = new DB({ name: 'api-review-seed' })
  assert.throws(() => new DB({ name: 'api-review-seed', seed: 8 }), refused('ERR_OPTIONS', /seed/))
  for (const db of [one, same, any]) await db.close()
})

// A fraction of a millisecond as timeoutMs could end the timer before the deadline: it never fired.
test('timeoutMs with a fraction ends a write that waits', async () => {
  const db = new DB({ metric: 'l2' })
  const first = db.addBatch(vectors(20_000, 8))
  const start = performance.now()
  await assert.rejects(
    db.add({ vector: vectors(1, 8)[0] }, { timeoutMs: 1.9 }),
    refused('ERR_TIMEOUT'),
  )
  assert.ok(performance.now() - start >= 1.9)
  await first
  await db.close()
})
