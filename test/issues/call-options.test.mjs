// Every asynchronous call takes a signal and a time, as CallOptions says. has, stats, flush, check
// and those of collections took none; and a call of a Client without bound had that of its client.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import net from 'node:net'
import test from 'node:test'
import { Client, DB } from '../../dist/index.mjs'

const { native } = createRequire(import.meta.url)('../../dist/lib/native.js')

const floats = (rows, dimensions) =>
  Float32Array.from({ length: rows * dimensions }, (_, i) => Math.sin(i * 1.7))

test('what cannot be ended ends for its caller, and goes on', async (t) => {
  const { prototype } = native().Database
  const { check } = prototype
  t.after(() => {
    prototype.check = check
  })
  const checks = []
  prototype.check = () => new Promise((resolve) => checks.push(resolve))
  const db = new DB()
  await db.add({ id: 1, vector: [1, 2] })
  const stop = new AbortController()
  const aborted = db.check({ signal: stop.signal })
  const late = db.check({ timeoutMs: 5 })
  const patient = db.check({ timeoutMs: 60_000, signal: new AbortController().signal })
  stop.abort('enough')
  await assert.rejects(aborted, { code: 'ERR_ABORTED', cause: 'enough' })
  await assert.rejects(late, { code: 'ERR_TIMEOUT', message: 'not done within 5 ms' })
  assert.equal(checks.length, 3)
  for (const done of checks) done([])
  assert.deepEqual(await patient, [])
  // What is over before it begins does not begin.
  await assert.rejects(db.check({ signal: stop.signal }), { code: 'ERR_ABORTED' })
  await assert.rejects(db.check({ timeoutMs: 0 }), { code: 'ERR_TIMEOUT' })
  assert.equal(checks.length, 3)
  await db.close()
})

test('a collection is not dropped by a call that ended while it waited', async () => {
  const db = new DB()
  const films = await db.collection('films', { dimensions: 64, quantization: 'none' })
  // Staged in slices, over several turns of the event loop.
  const added = films.addBatch({ vectors: floats(60_000, 64) })
  const stop = new AbortController()
  const dropped = db.dropCollection('films', { signal: stop.signal })
  stop.abort()
  await assert.rejects(dropped, { code: 'ERR_ABORTED' })
  await added
  assert.deepEqual(await db.listCollections(), ['films'])
  assert.equal(await db.dropCollection('films', { timeoutMs: 60_000 }), true)
  await db.close()
})

test('what is done at once takes no signal, nor do its options', () => {
  const db = new DB()
  const { signal } = new AbortController()
  for (const call of ['collectionSync', 'createCollectionSync']) {
    for (const options of [{ signal }, { timeoutMs: 5 }]) {
      assert.throws(() => db[call]('c', options), { code: 'ERR_ARGUMENT' })
    }
  }
  assert.throws(() => new Client('localhost', { signal }), { code: 'ERR_ARGUMENT' })
  db.closeSync()
})

// Infinity was taken for no time given, so that the call ended with the client's.
test('a call without bound outlasts the time of its client', async (t) => {
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1')
  t.after(() => silent.close())
  await new Promise((resolve) => silent.once('listening', resolve))
  const client = new Client(`127.0.0.1:${silent.address().port}`, { timeoutMs: 50, retries: 0 })
  await assert.rejects(client.listCollections(), { code: 'ERR_TIMEOUT' })
  const stop = new AbortController()
  const asked = client.listCollections({ timeoutMs: Number.POSITIVE_INFINITY, signal: stop.signal })
  const early = new Promise((resolve) => setTimeout(resolve, 300, 'waits'))
  assert.equal(await Promise.race([asked, early]), 'waits')
  stop.abort()
  await assert.rejects(asked, { code: 'ERR_ABORTED' })
  await client.close()
})
