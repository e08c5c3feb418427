// Collections that somebody else drops, or makes anew, while a client holds a handle of them.
import assert from 'node:assert/strict'
import test from 'node:test'
import { Client } from '../../dist/client.mjs'
import { createServer } from '../../dist/server.mjs'

const KEYS = { readWrite: ['rw-0123456789abcdef'], readOnly: ['ro-0123456789abcdef'] }

async function served(t, options = {}) {
  const given = { port: 0, grpcPort: false, logLevel: 'silent', ...options }
  const server = await createServer(given)
  t.after(() => server.close())
  return (clientOptions) => {
    const client = new Client(server.url, clientOptions)
    t.after(() => client.close())
    return client
  }
}

// DB makes `default` again when its engine was told to drop it, and a client does as DB does.
test('default, dropped by another client, is made again at the next call', async (t) => {
  const connect = await served(t)
  const [mine, other] = [connect({ metric: 'l2' }), connect()]
  await mine.add({ id: 'a', vector: [1, 0] })
  for (const call of [
    () => mine.count(),
    () => mine.search([1, 0]),
    () => mine.searchBatch([[1, 0]]),
    () => mine.get(['a']),
    () => mine.delete('a'),
    () => mine.clear(),
    () => Promise.all([mine.count(), mine.count(), mine.has('a')]),
    () => mine.add({ id: 'a', vector: [1, 2, 3] }),
  ]) {
    await other.dropCollection('default')
    await call()
    // With the options of who makes it.
    const { collections } = await other.stats()
    assert.deepEqual(
      collections.map(({ name, metric }) => [name, metric]),
      [['default', 'l2']],
    )
  }
  assert.equal(await mine.count(), 1)
  // A record that is not there is not a collection that is not there.
  await assert.rejects(mine.update('b', { metadata: {} }), { code: 'ERR_NOT_FOUND' })
  assert.equal(await mine.count(), 1)
})

test('who may only read is told that default would have to be made', async (t) => {
  const connect = await served(t, { apiKeys: KEYS })
  const writer = connect({ apiKey: KEYS.readWrite[0] })
  const reader = connect({ apiKey: KEYS.readOnly[0] })
  await writer.add({ vector: [1, 0] })
  assert.equal(await reader.count(), 1)
  await writer.dropCollection('default')
  await assert.rejects(reader.count(), { code: 'ERR_FORBIDDEN' })
  await writer.add({ vector: [1, 0] })
  assert.equal(await reader.count(), 1)
})

// What a client knows of dimensions is of the collection that was.
test('a collection made anew with other dimensions is known at the next call', async (t) => {
  const connect = await served(t)
  const [mine, other] = [connect(), connect()]
  const calls = {
    searchBatch: (held) => held.searchBatch(new Float32Array(6).fill(1), { k: 1 }),
    'a flat batch': (held) => held.addBatch(new Float32Array(6).fill(1)),
    'a list': (held) => held.addBatch([new Float32Array(3).fill(1), new Float32Array(3).fill(2)]),
    records: (held) => held.add([{ vector: [1, 2, 3] }, { vector: [1, 2, 3] }]),
  }
  for (const [name, call] of Object.entries(calls)) {
    const held = await mine.collection('c', { dimensions: 2 })
    await other.dropCollection('c')
    await assert.rejects(held.count(), { code: 'ERR_NOT_FOUND' }, name)
    await other.createCollection('c', { dimensions: 3 })
    assert.equal((await call(held)).length, 2, name)
    await assert.rejects(held.addBatch([[1, 2]]), { code: 'ERR_DIMENSIONS' }, name)
    await other.dropCollection('c')
  }
})
