// Bugs found in the server and the client, each with what a user would have seen.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import grpc from '@grpc/grpc-js'
import protocol from '../../dist/lib/wire/protocol.js'
import { createServer } from '../../dist/server.mjs'

const { BatchSchema, create, OmenDB, OpenCollectionRequestSchema, toBinary } = protocol
const { SearchBatchRequestSchema, UploadRequestSchema, WriteRequestSchema } = protocol
const same = (bytes) => bytes
const root = fileURLToPath(new URL('../..', import.meta.url))

function unary(client, method, schema, init) {
  const path = `/${OmenDB.typeName}/${method}`
  const message = Buffer.from(toBinary(schema, create(schema, init)))
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, message, (e, r) => (e ? reject(e) : resolve(r)))
  })
}

/** An upload of 64 dimensions whose first vector is bad: it is refused while more comes. */
function badUpload(client, pieces) {
  const path = `/${OmenDB.typeName}/Upload`
  const piece = (message) =>
    Buffer.from(toBinary(UploadRequestSchema, create(UploadRequestSchema, { message })))
  const vectors = new Uint8Array(new Float32Array(64 * 1000).fill(Number.NaN).buffer)
  return new Promise((resolve) => {
    const call = client.makeClientStreamRequest(path, same, same, (error) => resolve(error))
    const begin = { collection: 'c', rows: 1000 * pieces, dimensions: 64 }
    call.write(piece({ case: 'begin', value: begin }))
    for (let i = 0; i < pieces; i++) call.write(piece({ case: 'batch', value: { vectors } }))
    call.end()
  })
}

// Streams of uploads that were refused in their middle stayed open: a connection had none left
// after 256 of them, and shutting down waited for all of `drainMs`.
test('an upload over gRPC that was refused in its middle ends its stream', async () => {
  const options = { port: 0, grpcPort: 0, logLevel: 'silent' }
  const server = await createServer(options)
  const address = server.grpcUrl.slice('http://'.length)
  const client = new grpc.Client(address, grpc.credentials.createInsecure())
  await unary(client, 'OpenCollection', OpenCollectionRequestSchema, { name: 'c' })
  for (let i = 0; i < 5; i++) {
    const error = await badUpload(client, 8)
    assert.equal(error.code, grpc.status.INVALID_ARGUMENT, error.message)
  }
  const begun = performance.now()
  await server.close()
  assert.ok(performance.now() - begun < 3000)
  client.close()
})

// A call of gRPC that was cancelled while its search ran ended the whole server: to answer a stream
// that is gone throws, and nobody caught it.
test('a call over gRPC that is cancelled leaves the server at work', async () => {
  const server = await createServer({ port: 0, grpcPort: 0, logLevel: 'silent' })
  const address = server.grpcUrl.slice('http://'.length)
  const client = new grpc.Client(address, grpc.credentials.createInsecure())
  await unary(client, 'OpenCollection', OpenCollectionRequestSchema, { name: 'c', dimensions: 64 })
  const rows = 5000
  const vectors = new Uint8Array(Float32Array.from({ length: 64 * rows }, Math.random).buffer)
  await unary(client, 'Write', WriteRequestSchema, {
    ...{ collection: 'c', rows, dimensions: 64 },
    batch: create(BatchSchema, { vectors }),
  })
  const count = 200
  const queries = vectors.subarray(0, 256 * count)
  const message = create(SearchBatchRequestSchema, {
    ...{ collection: 'c', queries, count, exact: true },
  })
  const bytes = Buffer.from(toBinary(SearchBatchRequestSchema, message))
  const ask = (cancelMs) =>
    new Promise((resolve) => {
      const begun = performance.now()
      const path = `/${OmenDB.typeName}/SearchBatch`
      const call = client.makeUnaryRequest(path, same, same, bytes, (error) =>
        resolve([error?.code, performance.now() - begun]),
      )
      if (cancelMs !== undefined) setTimeout(() => call.cancel(), cancelMs)
    })
  const [, wholeMs] = await ask()
  for (let i = 0; i < 40; i++) await ask((i / 40) * wholeMs * 1.2)
  assert.equal((await ask())[0], undefined)
  client.close()
  await server.close()
})

// Over Connect's streams and gRPC-web, a message that cannot be read was told as a fault of the
// server (`internal`), without a code of ours.
test('a stream whose message cannot be read is a fault of its caller', async () => {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  const body = Buffer.from('0000000006ffffffffffff', 'hex')
  for (const type of ['application/connect+proto', 'application/grpc-web+proto']) {
    const headers = { 'content-type': type, 'connect-protocol-version': '1' }
    const url = `${server.url}/${OmenDB.typeName}/ScrollStream`
    const text = await (await fetch(url, { method: 'POST', headers, body })).text()
    assert.match(text, /"code":"invalid_argument"|grpc-status: 3\r\n/)
  }
  await server.close()
})

// A directory of backups that had gone was told as a bug of the server.
test('a backup that cannot be gathered is ERR_IO', async (t) => {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-issue-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  const backupDirectory = path.join(made, 'copies')
  mkdirSync(backupDirectory)
  const data = path.join(made, 'db')
  const options = { port: 0, grpcPort: false, logLevel: 'silent', data, backupDirectory }
  const server = await createServer(options)
  rmSync(backupDirectory, { recursive: true })
  const response = await fetch(`${server.url}/v1/backup`, { method: 'POST' })
  assert.equal((await response.json()).code, 'ERR_IO')
  await server.close()
})

// createServer wrote its log to the standard output of the program that it was a part of.
test('a server within a program is silent unless it is told where to log', async () => {
  const text = `
    import { createServer } from 'omendb/server'
    const lines = []
    for (const log of [undefined, { write: (line) => lines.push(line) }, { write() { throw 1 } }]) {
      const server = await createServer({ port: 0, grpcPort: 0, log, logLevel: 'debug' })
      const answer = await fetch(server.url + '/v1/collections')
      if (!answer.ok) throw new Error(await answer.text())
      await server.close()
    }
    if (!lines.some((line) => JSON.parse(line).msg === 'listening')) throw new Error('no log')
  `
  const args = ['--input-type=module', '-e', text]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root })
  assert.deepEqual([stdout, stderr], ['', ''])
  const wrong = createServer({ port: 0, grpcPort: false, log: 'stdout' })
  await assert.rejects(wrong, { code: 'ERR_ARGUMENT' })
})

// HTTP/1.1 lets a caller ask ahead. When its connection ended, Node told nothing of the answers
// that waited behind another one, and each held one of the server's places for ever.
test('requests asked ahead on a connection that ends hold no place', async () => {
  const limits = { concurrency: 50 }
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent', limits })
  const { hostname, port } = new URL(server.url)
  const post = (at, body) => fetch(server.url + at, { method: 'POST', ...body })
  const json = { 'content-type': 'application/json' }
  const made = { headers: json, body: JSON.stringify({ name: 'c', dimensions: 64 }) }
  assert.equal((await post('/v1/collections', made)).status, 201)
  const floats = (rows) => Float32Array.from({ length: 64 * rows }, Math.random)
  const bytes = { 'content-type': 'application/octet-stream' }
  const rows = { headers: bytes, body: floats(20_000) }
  assert.equal((await post('/v1/collections/c/records', rows)).status, 201)
  // The first takes long; the others are done, and wait for it.
  const queries = Buffer.from(floats(4000).buffer)
  const head = (verb, at, more = '') => `${verb} ${at} HTTP/1.1\r\nhost: localhost\r\n${more}\r\n`
  const long = `content-type: application/octet-stream\r\ncontent-length: ${queries.length}\r\n`
  const running = async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text()
    return Number(/^omendb_running_requests (\d+)$/m.exec(text)?.[1] ?? 50)
  }
  // Where the first one is over before anybody looks, once more.
  const ask = async () => {
    const socket = net.connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.write(head('POST', '/v1/collections/c/search/batch?exact=true', long))
    socket.write(queries)
    socket.write(head('GET', '/v1/collections').repeat(40))
    for (let look = 0; look < 50; look++) {
      if ((await running()) >= 40) return socket
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    socket.destroy()
    return ask()
  }
  const socket = await ask()
  socket.destroy()
  const until = performance.now() + 20_000
  while ((await running()) > 1 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.equal(await running(), 1) // This one.
  await server.close()
})
