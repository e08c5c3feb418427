// Backups over the network: who waits for them, and how long.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../dist/client.mjs'
import { createServer } from '../../dist/server.mjs'

// A message of BackupResponse { bytes data = 1 }, in its envelope.
function piece(bytes) {
  const message = bytes === 0 ? Buffer.alloc(0) : Buffer.from([10, bytes, ...Buffer.alloc(bytes)])
  return Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message])
}
const END = Buffer.from([2, 0, 0, 0, 2, 123, 125])

/** A server that answers a backup as `answer` does, and tells how each ended. */
async function answering(t, answer) {
  const closed = []
  const asked = []
  const server = http.createServer((request, response) => {
    asked.push(request.url)
    response.on('close', () => closed.push(response.writableFinished))
    request.resume().on('end', () => answer(response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${server.address().port}`, asked, closed }
}

const head = (response) =>
  response.writeHead(200, { 'content-type': 'application/connect+proto' }).flushHeaders()

async function until(isTrue) {
  const start = performance.now()
  while (!isTrue()) {
    assert.ok(performance.now() - start < 5000)
    await sleep(5)
  }
}

test('a backup of which nothing more comes is ERR_TIMEOUT, and holds no close', async (t) => {
  for (const answer of [
    () => {},
    head,
    (response) => {
      head(response)
      response.write(piece(3))
    },
    // In the middle of a message.
    (response) => {
      head(response)
      response.write(piece(100).subarray(0, 50))
    },
  ]) {
    const { url, asked, closed } = await answering(t, answer)
    const client = new Client(url, { timeoutMs: 150 })
    const start = performance.now()
    const read = async () => {
      for await (const _ of client.backup());
    }
    await assert.rejects(read, { name: 'OmenError', code: 'ERR_TIMEOUT', message: /150 ms/ })
    assert.ok(performance.now() - start < 5000)
    await client.close()
    await until(() => closed.length === asked.length)
  }
})

// The whole may take longer than a wait, and so may who reads.
test('a backup that goes on slowly, or is read slowly, comes to its end', async (t) => {
  const { url } = await answering(t, async (response) => {
    head(response)
    for (let i = 0; i < 8; i++) {
      await sleep(200)
      response.write(piece(i % 2 === 0 ? 3 : 0))
    }
    response.end(END)
  })
  const client = new Client(url)
  let bytes = 0
  for await (const data of client.backup({ timeoutMs: 1200 })) {
    bytes += data.length
    if (bytes === 6) await sleep(1000)
  }
  assert.equal(bytes, 12)
  await client.close()
})

test('signal, cancel and close end a backup at once, read or not', async (t) => {
  const { url, closed } = await answering(t, (response) => {
    head(response)
    response.write(piece(3))
  })
  for (const isReading of [true, false]) {
    const aborter = new AbortController()
    const client = new Client(url)
    const ends = {
      ERR_ABORTED: () => aborter.abort('enough'),
      ERR_CLOSED: () => client.close(),
    }
    for (const [code, end] of Object.entries(ends)) {
      const reader = client.backup({ signal: aborter.signal }).getReader()
      if (code === 'ERR_CLOSED') await assert.rejects(reader.read(), { code: 'ERR_ABORTED' })
      const other = client.backup().getReader()
      const mine = code === 'ERR_CLOSED' ? other : reader
      assert.equal((await mine.read()).value.length, 3)
      const next = isReading ? assert.rejects(mine.read(), { name: 'OmenError', code }) : undefined
      const count = closed.length
      await end()
      await next
      await assert.rejects(mine.read(), { name: 'OmenError', code })
      await until(() => closed.length > count)
    }
    await assert.rejects(client.backup().getReader().read(), { code: 'ERR_CLOSED' })
  }
  const client = new Client(url)
  const reader = client.backup().getReader()
  await reader.read()
  const pending = reader.read()
  await reader.cancel()
  assert.deepEqual(await pending, { done: true, value: undefined })
  await client.close()
})

test('what backup does not take is the error of its first read', async () => {
  const client = new Client('localhost')
  for (const options of [5, { timeoutMs: -1 }, { signal: 5 }, { tar: true }]) {
    await assert.rejects(client.backup(options).getReader().read(), { code: 'ERR_ARGUMENT' })
  }
  await client.close()
})

// Of a real server: what it gathered goes with who goes.
test('a backup that is given up leaves nothing on the server', async (t) => {
  const data = mkdtempSync(path.join(tmpdir(), 'omendb-data-'))
  const backupDirectory = mkdtempSync(path.join(tmpdir(), 'omendb-copies-'))
  t.after(() => {
    for (const made of [data, backupDirectory]) rmSync(made, { recursive: true, force: true })
  })
  const options = { port: 0, grpcPort: false, logLevel: 'silent', data, backupDirectory }
  const server = await createServer(options)
  t.after(() => server.close())
  const client = new Client(server.url)
  await client.addBatch(Array.from({ length: 5000 }, (_, i) => new Float32Array(512).fill(i + 1)))
  const reader = client.backup().getReader()
  assert.ok((await reader.read()).value.length > 0)
  assert.equal(readdirSync(backupDirectory).length, 1)
  await client.close()
  await assert.rejects(reader.read(), { code: 'ERR_CLOSED' })
  await until(() => readdirSync(backupDirectory).length === 0)
})
