// What a review of the server by use found, each with what its caller would have seen.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

function directories(t) {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-review-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  const backupDirectory = path.join(made, 'copies')
  mkdirSync(backupDirectory)
  return { data: path.join(made, 'data'), backupDirectory }
}

const random = (rows, dimensions) =>
  new Float32Array(rows * dimensions).map(() => Math.random() - 0.5)

// The copy that was gathered for it stayed on the server's disk for ever.
test('the copy of a backup goes when its caller does, and when the server closes', async (t) => {
  const { data, backupDirectory } = directories(t)
  const limits = { requestTimeoutMs: 500, drainMs: 200 }
  const server = await createServer({
    ...{ port: 0, grpcPort: false, logLevel: 'silent' },
    data,
    backupDirectory,
    limits,
  })
  const client = new Client(server.url)
  await client.addBatch({ vectors: random(40_000, 128), dimensions: 128 })
  const copies = () => readdirSync(backupDirectory).length
  const stalled = client.backup().getReader()
  await stalled.read()
  assert.equal(copies(), 1)
  for (const deadline = Date.now() + 15_000; copies() > 0; await sleep(50))
    assert.ok(Date.now() < deadline, 'the copy of a caller who stalled is there')
  const open = client.backup().getReader()
  await open.read()
  assert.equal(copies(), 1)
  await server.close()
  assert.equal(copies(), 0)
  await client.close()
})

// The row was counted from the beginning of the request that it was in.
test('a query that is wrong is told by its row in the whole batch', async (t) => {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  const client = new Client(server.url)
  t.after(() => client.close())
  const db = new DB()
  const queries = random(10_004, 2)
  queries.fill(0, 2 * 10_002, 2 * 10_003)
  const told = []
  for (const target of [db, client]) {
    await target.add({ id: 1, vector: [1, 2] })
    await assert.rejects(target.searchBatch(queries, { k: 1 }), (error) => {
      told.push([error.code, error.message, error.details])
      return true
    })
  }
  assert.deepEqual(told[1], told[0])
  assert.equal(told[0][2].row, 10_002)
  await db.close()
})

// Errors named the server's directories to whoever asked, with any key.
test('callers are not told where the server has its data', async (t) => {
  const { data } = directories(t)
  const lines = []
  const log = { write: (line) => lines.push(line) }
  const options = { port: 0, grpcPort: false, log, data }
  let server = await createServer(options)
  let client = new Client(server.url)
  await client.createCollection('m', { dimensions: 2, metric: 'l2' })
  const refusals = async (code, call) => {
    await assert.rejects(call, (error) => {
      assert.equal(error.code, code, error)
      assert.ok(!JSON.stringify([error.message, error.details]).includes(data), error.message)
      return true
    })
  }
  await refusals('ERR_OPTIONS', () => client.collection('m', { metric: 'dot' }))
  const rest = await fetch(`${server.url}/v1/collections/m`, {
    ...{ method: 'PUT', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify({ metric: 'dot' }),
  })
  const problem = await rest.text()
  assert.ok(problem.includes("metric: 'l2', not 'dot'") && !problem.includes(data), problem)
  await client.close()
  await server.close()
  server = await createServer({ ...options, readOnly: true })
  client = new Client(server.url)
  await refusals('ERR_NOT_FOUND', () => client.collection('new'))
  await sleep(50)
  const faults = lines.map((line) => JSON.parse(line)).filter(({ fault }) => fault?.includes(data))
  assert.deepEqual(
    faults.map(({ code }) => code),
    ['ERR_OPTIONS', 'ERR_OPTIONS', 'ERR_NOT_FOUND'],
  )
  await client.close()
  await server.close()
})

// All but listCollections and stats were ERR_UNAVAILABLE at once, although nothing had been sent.
test('the first call waits for a server that is not up yet', async (t) => {
  const free = net.createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address()
  free.close()
  await once(free, 'close')
  const calls = [
    (client) => client.count(),
    (client) => client.add({ vector: [1, 2] }),
    (client) => client.collection('c', { dimensions: 2 }),
  ]
  const clients = calls.map(() => new Client(`http://127.0.0.1:${port}`))
  const results = calls.map((call, i) => call(clients[i]))
  await sleep(100)
  const server = await createServer({ port, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  await Promise.all(results)
  assert.equal(await clients[0].count(), 1)
  for (const client of clients) await client.close()
})

// A message was filled by its vectors, whatever their metadata weighed, and refused as too large.
test('batches of few dimensions and large metadata are stored as by DB', async (t) => {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  const client = new Client(server.url)
  t.after(() => client.close())
  for (const [dimensions, rows, bytes] of [
    [3, 1200, 30_000],
    [32, 64, 600_000],
  ]) {
    const c = await client.createCollection(`d${dimensions}`, { dimensions })
    const text = 'x'.repeat(bytes)
    const metadata = Array.from({ length: rows }, (_, n) => ({ n, text }))
    const vectors = metadata.map(() => new Float32Array(dimensions).fill(1))
    assert.equal((await c.addBatch({ vectors, metadata })).length, rows)
    const last = await c.get(rows - 1, { include: ['metadata'] })
    assert.equal(last.metadata.text.length, bytes)
  }
})
