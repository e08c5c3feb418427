// What is stored of writes that their callers abort: of DB and of Client, as docs/errors.md,
// docs/client.md and the types tell.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

/** A server behind a wire that can keep its answers to itself, and what it sent. */
async function served(t) {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  const wire = { isMute: false, keepsRequests: false }
  const between = net.createServer((near) => {
    const far = net.connect(new URL(server.url).port, '127.0.0.1')
    near.on('data', (data) => {
      if (!wire.keepsRequests) far.write(data)
    })
    far.on('data', (data) => {
      if (!wire.isMute) near.write(data)
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    for (const socket of [near, far]) socket.on('error', () => {})
  })
  between.listen(0, '127.0.0.1')
  await once(between, 'listening')
  t.after(() => between.close())
  const watcher = new Client(server.url)
  const client = new Client(`127.0.0.1:${between.address().port}`)
  t.after(() => Promise.all([watcher.close(), client.close()]))
  return { client, watcher, wire }
}

const ENDS = {
  ERR_ABORTED: () => {
    const aborter = new AbortController()
    return { options: { signal: aborter.signal }, end: () => aborter.abort() }
  },
  ERR_TIMEOUT: () => ({ options: { timeoutMs: 1000 }, end: () => {} }),
}

for (const [code, make] of Object.entries(ENDS)) {
  test(`${code} of a client: a write that was with the server may be stored`, async (t) => {
    const { client, watcher, wire } = await served(t)
    await client.add({ id: 'first', vector: [1, 0] })
    wire.isMute = true
    const { options, end } = make()
    const write = client.add([{ id: 'a', vector: [1, 0] }], options)
    const told = assert.rejects(write, { name: 'OmenError', code })
    while (!(await watcher.has('a'))) await sleep(5)
    end()
    await told
    assert.equal(await watcher.count(), 2)
  })

  test(`${code} of a client: a write whose rows did not all come stores nothing`, async (t) => {
    const { client, watcher, wire } = await served(t)
    await client.add({ id: 'first', vector: [1, 0] })
    wire.keepsRequests = true
    const { options, end } = make()
    // More than the sockets take by themselves.
    const vectors = new Float32Array(8_000_000).fill(1)
    const write = client.addBatch({ vectors, dimensions: 2 }, options)
    const told = assert.rejects(write, { name: 'OmenError', code })
    await sleep(100)
    end()
    await told
    assert.equal(await watcher.count(), 1)
  })
}

test('a DB tells: aborted it stored nothing, or it resolves', async () => {
  const db = new DB({ dimensions: 32 })
  for (const ms of [0, 1, 5, 20, 50, 200]) {
    await db.clear()
    const aborter = new AbortController()
    const vectors = new Float32Array(20_000 * 32).fill(1)
    const write = db.addBatch({ vectors }, { signal: aborter.signal })
    setTimeout(() => aborter.abort(), ms)
    const outcome = await write.then(
      () => 'OK',
      ({ code }) => code,
    )
    assert.ok(outcome === 'OK' || outcome === 'ERR_ABORTED', outcome)
    assert.equal(await db.count(), outcome === 'OK' ? 20_000 : 0)
  }
  await db.close()
})
