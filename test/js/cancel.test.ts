// signal, timeoutMs and onProgress: what is not wanted any more is not stored.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, type Progress } from 'omendb'
import { detach, flatVectors, rejected, vectors } from './support.js'

const dimensions = 32

test('a signal that is aborted already', async () => {
  const db = new DB()
  await db.addBatch(vectors(10, dimensions))
  const signal = AbortSignal.abort('enough')
  const q = vectors(1, dimensions)[0] as Float32Array
  for (const call of [
    () => db.search(q, { signal }),
    () => db.searchBatch([q], { signal }),
    () => db.explain(q, { signal }),
    () => db.get(1, { signal }),
    () => db.count({}, { signal }),
    () => db.scroll({ limit: 1, signal }),
    () => db.records({ signal }).next(),
    () => db.add({ vector: q }, { signal }),
    () => db.upsert([{ vector: q }], { signal }),
    () => db.addBatch([q], { signal }),
    () => db.update(1, { vector: q }, { signal }),
    () => db.delete(1, { signal }),
    () => db.delete({ filter: { a: 1 } }, { signal }),
    () => db.clear({ signal }),
    () => db.optimize({ signal }),
  ]) {
    const error = await rejected(call as () => Promise<unknown>, 'ERR_ABORTED')
    assert.equal(error.cause, 'enough')
  }
  assert.equal(await db.count(), 10)
  await db.close()
})

// Aborted before the commit: nothing is stored, and the cause is the signal's reason.
test('an abort while a batch is taken in', async () => {
  const db = new DB()
  const controller = new AbortController()
  const reason = new Error('changed my mind')
  const batch = { vectors: flatVectors(60_000, dimensions), dimensions }
  const adding = db.addBatch(batch, {
    signal: controller.signal,
    onProgress: ({ done }) => done > 0 && controller.abort(reason),
  })
  const error = await rejected(() => adding, 'ERR_ABORTED')
  assert.equal(error.cause, reason)
  assert.equal(await db.count(), 0)
  const { collections } = await db.stats()
  assert.equal(collections[0]?.count, 0)
  assert.equal((await db.addBatch([[1, 2, 3]])).length, 1)
  await db.close()
})

test('an abort of a write that waits for its turn', async () => {
  const db = new DB()
  const controller = new AbortController()
  const big = db.addBatch({ vectors: flatVectors(30_000, dimensions), dimensions })
  const waiting = db.add(
    { id: 'x', vector: new Float32Array(dimensions).fill(1) },
    { signal: controller.signal },
  )
  const after = db.add({ id: 'y', vector: new Float32Array(dimensions).fill(1) })
  controller.abort()
  const error = await rejected(() => waiting, 'ERR_ABORTED')
  assert.equal(error.cause, controller.signal.reason)
  await Promise.all([big, after])
  assert.deepEqual([await db.has('x'), await db.has('y')], [false, true])
  await db.close()
})

test('an abort after the end changes nothing, and no listener stays', async () => {
  const db = new DB()
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const counted = {
    get aborted() {
      return signal.aborted
    },
    get reason() {
      return signal.reason
    },
    addEventListener(type: 'abort', listener: () => void) {
      listeners += 1
      signal.addEventListener(type, listener)
    },
    removeEventListener(type: 'abort', listener: () => void) {
      listeners -= 1
      signal.removeEventListener(type, listener)
    },
  }
  await db.add({ id: 1, vector: [1, 2] }, { signal: counted, timeoutMs: 10_000 })
  await db.search([1, 2], { signal: counted })
  await rejected(() => db.add({ id: 1, vector: [1, 2] }, { signal: counted }), 'ERR_EXISTS')
  assert.equal(listeners, 0)
  controller.abort()
  assert.equal(await db.count(), 1)
  await db.close()
})

test('a time that is over', async () => {
  const db = new DB()
  await db.add({ id: 1, vector: new Float32Array(dimensions).fill(1) })
  await rejected(
    () => db.addBatch({ vectors: flatVectors(60_000, dimensions), dimensions }, { timeoutMs: 3 }),
    'ERR_TIMEOUT',
  )
  assert.equal(await db.count(), 1)
  const big = db.addBatch({ vectors: flatVectors(30_000, dimensions), dimensions })
  await rejected(() => db.delete(1, { timeoutMs: 1 }), 'ERR_TIMEOUT')
  await big
  assert.ok(await db.has(1))
  const q = new Float32Array(dimensions).fill(1)
  await rejected(() => db.search(q, { timeoutMs: 0 }), 'ERR_TIMEOUT')
  assert.equal((await db.search(q, { timeoutMs: Number.POSITIVE_INFINITY })).length, 10)
  assert.equal((await db.search(q, { timeoutMs: 10_000 })).length, 10)
  for (const timeoutMs of [-1, Number.NaN, '5', null]) {
    await rejected(() => db.search(q, { timeoutMs: timeoutMs as never }), 'ERR_ARGUMENT')
  }
  await rejected(() => db.search(q, { signal: {} as never }), 'ERR_ARGUMENT')
  await rejected(() => db.addBatch([], { onProgress: 5 as never }), 'ERR_ARGUMENT')
  await db.close()
})

test('progress never falls and ends at the total', async () => {
  const db = new DB()
  const rows = 20_000
  const told: Progress[] = []
  await db.addBatch(
    { vectors: flatVectors(rows, dimensions), dimensions },
    { onProgress: (p) => told.push(p) },
  )
  assert.ok(told.length >= 2)
  assert.ok(told.every((p) => p.total === rows))
  assert.ok(told.every((p, i) => i === 0 || p.done > (told[i - 1] as Progress).done))
  assert.equal(told.at(-1)?.done, rows)
  const one: Progress[] = []
  await db.add({ vector: new Float32Array(dimensions).fill(1) }, { onProgress: (p) => one.push(p) })
  assert.deepEqual(one.at(-1), { done: 1, total: 1 })
  await db.close()
})

// Arrays are the database's until the promise resolves: what goes missing is noticed.
test('a buffer detached or shrunk while a batch is taken in', async () => {
  const dimensions = 1024 // Too much to be taken in within the call.
  const db = new DB({ dimensions })
  const rows = 10_000
  const flat = flatVectors(rows, dimensions)
  const adding = db.addBatch({ vectors: flat })
  detach(flat)
  await rejected(() => adding, 'ERR_DETACHED')
  const buffer = Reflect.construct(ArrayBuffer, [
    rows * dimensions * 4,
    { maxByteLength: rows * dimensions * 4 },
  ])
  const view = new Float32Array(buffer as ArrayBuffer).fill(1)
  const shrinking = db.addBatch({ vectors: view })
  ;(buffer as { resize(n: number): void }).resize(dimensions * 4)
  await rejected(() => shrinking, 'ERR_DETACHED')
  const list = vectors(rows, dimensions)
  const listed = db.addBatch(list)
  const last = list.at(-1) as Float32Array
  detach(last)
  await rejected(() => listed, 'ERR_DETACHED', { row: rows - 1 })
  const ids = new Float64Array(rows).map((_, i) => i)
  const named = db.add({ ids, vectors: new Float32Array(rows * dimensions).fill(1) })
  detach(ids)
  await rejected(() => named, 'ERR_DETACHED')
  const shorter = vectors(rows, dimensions)
  const cut = db.addBatch(shorter)
  shorter.length = 5
  await rejected(() => cut, 'ERR_DETACHED')
  assert.equal(await db.count(), 0)
  await rejected(() => db.search(flat), 'ERR_DETACHED')
  await rejected(() => db.addBatch(flat), 'ERR_DETACHED')
  await db.close()
})
