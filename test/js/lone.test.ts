// Awaited searches: the first few short ones run at once, many on the pool; the answers are the
// same, and the event loop turns all the while.
import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { DB } from 'omendb'
import { rejected, vectors } from './support.js'

const data = vectors(400, 8)
const queries = vectors(50, 8, 7)

async function filled(): Promise<DB> {
  const db = new DB({ metric: 'l2' })
  const kinds = [(i: number) => i, (i: number) => `text ${i}`, (i: number) => 2n ** 60n + BigInt(i)]
  for (let i = 0; i < data.length; i++) {
    const id = (kinds[i % 3] as (i: number) => number | string | bigint)(i)
    const metadata = i % 4 === 0 ? { n: i, at: new Date(i) } : { n: i, text: `é ${i}` }
    db.addSync({ id, vector: data[i] as Float32Array, metadata })
  }
  return db
}

/** Whether the event loop turned while `work` was awaited. */
async function turned(work: () => Promise<unknown>): Promise<boolean> {
  await turn()
  let has = false
  setImmediate(() => {
    has = true
  })
  await work()
  return has
}

// The first tells what searches of this collection take; a shared machine may interrupt some.
test('lone searches are answered within the turn, a crowd is not', async () => {
  const db = await filled()
  const q = queries[0] as Float32Array
  await db.search(q)
  const crowd = (n: number) => Promise.all(Array.from({ length: n }, () => db.search(q)))
  const times = Array.from({ length: 21 }, () => {
    const start = performance.now()
    db.searchSync(q)
    return performance.now() - start
  })
  const usualMs = times.sort((a, b) => a - b)[10] as number
  // Two are over in 50 microseconds, unless the machine is very slow today.
  for (const n of usualMs < 0.0125 ? [1, 2] : [1]) {
    let within = 0
    for (let i = 0; i < 20; i++) if (!(await turned(() => crowd(n)))) within++
    assert.ok(within >= 10, `${within} of 20 with ${n}`)
  }
  assert.ok(await turned(() => crowd(100)))
  assert.ok(await turned(() => db.search(q, { signal: new AbortController().signal })))
  assert.ok(await turned(() => db.search(q, { timeoutMs: 10_000 })))
  assert.ok(await turned(() => db.search(q, { exact: true })))
  assert.ok(await turned(() => db.search(q, { filter: { n: { $gte: 0 } } })))
  await db.close()
})

// A loop of awaited searches without a pause must not starve timers and sockets.
test('the event loop turns between lone searches, and between those of a crowd', async () => {
  const db = await filled()
  for (const width of [1, 2, 32]) {
    let isOver = false
    let turns = 0
    const counting = (async () => {
      while (!isOver) {
        await turn()
        turns++
      }
    })()
    const start = performance.now()
    const searchOn = async () => {
      for (let i = 0; performance.now() < start + 300; i++) {
        await db.search(queries[i % queries.length] as Float32Array)
      }
    }
    await Promise.all(Array.from({ length: width }, searchOn))
    isOver = true
    await counting
    // About one each millisecond; a busy machine is allowed to be ten times slower.
    assert.ok(turns > 30, `${turns} turns with ${width}`)
  }
  await db.close()
})

// Here, on the pool, and on the pool with more answers than its buffer takes: one answer.
test('every way to search gives the same hits', async () => {
  const db = await filled()
  for (const include of ['metadata', 'none', 'vector', ['metadata', 'vector']] as const) {
    const options = { k: 7, include }
    const expected = queries.map((q) => db.searchSync(q, options))
    for (let i = 0; i < queries.length; i++) {
      const q = queries[i] as Float32Array
      assert.deepEqual(await db.search(q, options), expected[i])
      assert.deepEqual(await db.search(q, { ...options, timeoutMs: 60_000 }), expected[i])
    }
    const crowd = await Promise.all(
      Array.from({ length: 6000 }, (_, i) => db.search(queries[i % 50] as Float32Array, options)),
    )
    for (const i of [...Array(50).keys(), 2999, 5998, 5999]) {
      assert.deepEqual(crowd[i], expected[i % 50], `${i}`)
    }
    assert.ok(crowd.every((hits) => hits.length === 7))
  }
  await db.close()
})

// What runs here may not throw instead, nor may the caller's array be looked at later.
test('faults of a lone search are rejections, and its query is free at once', async () => {
  const db = await filled()
  const q = Float32Array.from(queries[0] as Float32Array)
  const expected = db.searchSync(q)
  for (let i = 0; i < 5; i++) {
    const own = q.slice()
    const work = db.search(own)
    own.fill(9)
    assert.deepEqual(await work, expected)
    await rejected(() => db.search([1, 2]), 'ERR_DIMENSIONS')
    await rejected(() => db.search(q.map(() => Number.NaN)), 'ERR_VECTOR')
    await rejected(() => db.search(q, { k: 0 }), 'ERR_ARGUMENT')
  }
  const last = db.search(q)
  const two = [db.search(q), db.search(q)]
  await db.close()
  assert.deepEqual(await last, expected)
  for (const work of two) assert.deepEqual(await work, expected)
  await rejected(() => db.search(q), 'ERR_CLOSED')
})

// Crowds share tasks of the pool and wake-ups: nothing else may wait for the end of the crowd, and
// what of it is aborted, late or wrong is alone so.
test('a crowd of searches holds nothing else up, and each of it has its own fate', async () => {
  const db = await filled()
  const q = queries[0] as Float32Array
  for (let i = 0; i < 5; i++) await db.search(q)
  const expected = db.searchSync(q)
  let isOver = false
  const searchOn = async () => {
    while (!isOver) assert.equal((await db.search(q)).length, 10)
  }
  const crowd = Array.from({ length: 64 }, searchOn)
  for (let i = 0; i < 20; i++) {
    const start = performance.now()
    await db.upsert({ id: 'written', vector: queries[1] as Float32Array })
    await db.search(q, { filter: { n: { $gte: 0 } } })
    const ms = performance.now() - start
    assert.ok(ms < 2000, `${ms} ms`)
  }
  isOver = true
  await Promise.all(crowd)
  await db.delete('written')

  const abort = new AbortController()
  const some = Array.from({ length: 300 }, (_, i) => {
    if (i % 3 === 0) return db.search(q)
    if (i % 3 === 1) return db.search(q, { signal: abort.signal })
    return db.search(q, { timeoutMs: i === 299 ? 0 : 60_000 })
  })
  const settled = Promise.allSettled(some)
  abort.abort()
  for (const [i, result] of (await settled).entries()) {
    const told = result.status === 'fulfilled' ? result.value : result.reason.code
    if (i % 3 === 1) assert.ok(told === 'ERR_ABORTED' || Array.isArray(told))
    else if (i === 299) assert.equal(told, 'ERR_TIMEOUT')
    else assert.deepEqual(told, expected)
  }
  await db.close()
})
