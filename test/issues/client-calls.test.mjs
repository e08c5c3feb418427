// What a call of the client takes with it: its arguments as they are, its time, its signal.
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { Client } from '../../dist/client.mjs'
import { createServer } from '../../dist/server.mjs'

async function served(t) {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  return server.url
}

test('searchBatch and update send what their arrays held at the call', async (t) => {
  const url = await served(t)
  const client = new Client(url)
  await client.addBatch({
    ids: ['x', 'y'],
    vectors: [
      [1, 0],
      [0, 1],
    ],
  })
  for (const asked of [new Float32Array([1, 0]), [new Float32Array([1, 0])], [[1, 0]]]) {
    const fresh = new Client(url)
    const found = fresh.searchBatch(asked, { k: 1, exact: true })
    const inner = Array.isArray(asked) ? asked[0] : asked
    inner[0] = 0
    inner[1] = 1
    assert.equal((await found).id(0, 0), 'x')
    await fresh.close()
  }
  const vector = new Float32Array([3, 4])
  const updated = new Client(url)
  const done = updated.update('y', { vector })
  vector.fill(9)
  await done
  const { vector: stored } = await client.get('y', { include: 'vector' })
  assert.deepEqual([...stored], [3, 4])
  await updated.close()
  await client.close()
})

test('searchBatch ends when its own time is over, and an aborted one opens nothing', async (t) => {
  const silent = http.createServer(() => {})
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    silent.closeAllConnections()
    silent.close()
  })
  const waiting = new Client(`http://127.0.0.1:${silent.address().port}`, { timeoutMs: 20_000 })
  const start = performance.now()
  const late = waiting.searchBatch([[1, 0]], { timeoutMs: 200 })
  await assert.rejects(late, { name: 'OmenError', code: 'ERR_TIMEOUT' })
  assert.ok(performance.now() - start < 5000)

  const client = new Client(await served(t))
  const signal = AbortSignal.abort()
  await assert.rejects(client.searchBatch([[1, 0]], { signal }), { code: 'ERR_ABORTED' })
  await assert.rejects(client.add([{ vector: [1, 0] }], { signal }), { code: 'ERR_ABORTED' })
  assert.deepEqual(await client.listCollections(), [])
  await client.close()
})
