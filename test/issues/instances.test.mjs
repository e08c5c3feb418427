// Repeated writes go by who answered: a refusal names the server's run as an answer does.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../dist/client.mjs'
import { createServer } from '../../dist/server.mjs'

const OPTIONS = { grpcPort: false, logLevel: 'silent', limits: { concurrency: 1 } }

/** Holds the one place that a server has, until the function that is returned is called. */
async function occupied({ url }) {
  const headers = { 'content-type': 'application/json', 'content-length': '100' }
  const at = `${url}/v1/collections/none/search`
  let request
  let isOver = true
  // Another may have had the place when the request came: then it was refused, and comes again.
  const hold = () => {
    isOver = false
    const end = () => {
      isOver = true
    }
    request = http.request(at, { method: 'POST', headers, agent: false })
    request.on('error', () => {}).on('close', end)
    request.on('response', (response) => response.resume()).on('response', end)
    request.write('{')
  }
  const isBusy = async () => (await fetch(`${url}/v1/stats`)).status === 429
  do {
    if (isOver) hold()
    await sleep(2)
  } while (!(await isBusy()) || isOver)
  return () => request.destroy()
}

/** A wire to `port`, where `answered(n)` says whether connection n, from 1, gets its answers. */
async function wire(t, port, answered) {
  const seen = { connections: 0 }
  const proxy = net.createServer((near) => {
    const n = ++seen.connections
    const far = net.connect(port, '127.0.0.1')
    near.pipe(far)
    far.on('data', (data) => {
      if (answered(n)) near.write(data)
      else near.destroy() // The server has done it, and the caller will not hear of it.
    })
    for (const [a, b] of [
      [near, far],
      [far, near],
    ]) {
      a.on('error', () => b.destroy())
      a.on('close', () => b.destroy())
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => proxy.close())
  return { url: `127.0.0.1:${proxy.address().port}`, seen }
}

// Nobody remembers a write of which no server is known: it is not repeated. A client whose first
// answer was ERR_BUSY knows its server all the same.
test('a write that was refused first, and then lost its answer, is repeated', async (t) => {
  const server = await createServer({ ...OPTIONS, port: 0 })
  t.after(() => server.close())
  await server.ready
  const leave = await occupied(server)
  const { url, seen } = await wire(t, new URL(server.url).port, (n) => {
    if (n === 1) leave()
    return n !== 2
  })
  const client = new Client(url)
  // ERR_EXISTS, if it were done twice.
  await client.createCollection('c', { dimensions: 2 })
  assert.equal(seen.connections, 3)
  await client.close()
})

// The run that may have stored it is gone: to ask its successor again would be to do it twice.
test('a write is not repeated where a refusal comes of another run of the server', async (t) => {
  const first = await createServer({ ...OPTIONS, port: 0 })
  await first.ready
  const port = Number(new URL(first.url).port)
  let isLost = false
  const { url, seen } = await wire(t, port, () => !isLost)
  const client = new Client(url, { retries: 8 })
  const c = await client.collection('c', { dimensions: 2 })
  isLost = true
  const write = c.add({ id: 'a', vector: [1, 2] })
  write.catch(() => {})
  const watcher = new Client(first.url)
  while ((await watcher.stats()).collections[0]?.count !== 1) await sleep(2)
  await watcher.close()
  await first.close()
  const second = await createServer({ ...OPTIONS, port })
  t.after(() => second.close())
  await second.ready
  const leave = await occupied(second)
  isLost = false
  const before = seen.connections
  await assert.rejects(write, { code: 'ERR_UNAVAILABLE', message: /whether it was stored/ })
  // Those of before may have failed to connect; of the second server there was one answer.
  assert.ok(seen.connections - before <= 2)
  leave()
  await client.close()
})
