// An upload takes as long as its rows come: it was cut off in its middle by the time that a request
// has to come, and by that of a call's work. One whose rows stay away ends, and so does any other
// request that does not come to its end.
import assert from 'node:assert/strict'
import http2 from 'node:http2'
import { createRequire } from 'node:module'
import net from 'node:net'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import protocol from '../../dist/lib/wire/protocol.js'
import { createServer } from '../../dist/server.mjs'

const { native } = createRequire(import.meta.url)('../../dist/lib/native.js')
const { create, OmenDB, toBinary, UploadRequestSchema } = protocol

const DIMENSIONS = 2
const LIMITS = { timeoutMs: 400, requestTimeoutMs: 1000, headersTimeoutMs: 1000 }
const PATH = `/${OmenDB.typeName}/Upload`

function envelope(message) {
  const bytes = toBinary(UploadRequestSchema, create(UploadRequestSchema, { message }))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

const beginOf = (rows) =>
  envelope({ case: 'begin', value: { collection: 'c', rows, dimensions: DIMENSIONS } })
const batchOf = (rows) => {
  const vectors = new Uint8Array(new Float32Array(rows * DIMENSIONS).fill(1).buffer)
  return envelope({ case: 'batch', value: { vectors } })
}

async function served(t) {
  const server = await createServer({ port: 0, grpcPort: 0, logLevel: 'silent', limits: LIMITS })
  t.after(() => server.close())
  const post = async (at, body) => {
    const headers = { 'content-type': 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(body) }
    return (await fetch(`${server.url}/v1/collections${at}`, init)).json()
  }
  await post('', { name: 'c', dimensions: DIMENSIONS, metric: 'l2' })
  return { server, count: async () => (await post('/c/count', {})).count }
}

/** Ways to upload: each can send, end, and tell what it was answered when it is over. */
const WAYS = {
  Connect({ url }) {
    const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => {})
    const pieces = []
    socket.on('data', (data) => pieces.push(data))
    const head = [
      `POST ${PATH} HTTP/1.1`,
      'host: localhost',
      'content-type: application/connect+proto',
      'connect-protocol-version: 1',
      'transfer-encoding: chunked',
      'connection: close',
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    return {
      send(bytes) {
        socket.write(`${bytes.length.toString(16)}\r\n`)
        socket.write(bytes)
        socket.write('\r\n')
      },
      end: () => socket.write('0\r\n\r\n'),
      async answered() {
        if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
        return Buffer.concat(pieces).toString('latin1')
      },
    }
  },
  gRPC({ grpcUrl }) {
    const session = http2.connect(grpcUrl)
    session.on('error', () => {})
    const stream = session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
    })
    stream.on('error', () => {})
    const told = []
    stream.on('response', (headers) => told.push(headers['grpc-message']))
    stream.on('trailers', (headers) => told.push(headers['grpc-message']))
    stream.resume()
    return {
      send: (bytes) => stream.write(bytes),
      end: () => stream.end(),
      async answered() {
        if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
        session.close()
        return `${stream.rstCode} ${told.filter((text) => text !== undefined).join()}`
      },
    }
  },
}

for (const [way, open] of Object.entries(WAYS)) {
  test(`${way}: an upload takes as long as its rows come`, async (t) => {
    const { server, count } = await served(t)
    const upload = open(server)
    const times = 15
    upload.send(beginOf(times))
    for (let i = 0; i < times; i++) {
      await sleep(150)
      upload.send(batchOf(1))
    }
    upload.end()
    assert.doesNotMatch(await upload.answered(), /error|not done|came/)
    assert.equal(await count(), times)
  })

  test(`${way}: an upload whose rows stay away ends, and stores nothing`, async (t) => {
    const { server, count } = await served(t)
    for (const start of [[], [beginOf(5)], [beginOf(5), batchOf(2)]]) {
      const upload = open(server)
      const from = performance.now()
      for (const part of start) upload.send(part)
      // What brings no rows is no sign of them.
      const drip = setInterval(() => upload.send(batchOf(0)), 100)
      if (start.length === 0) clearInterval(drip)
      try {
        assert.match(await upload.answered(), /no rows of the upload came within 1000 ms/)
      } finally {
        clearInterval(drip)
      }
      assert.ok(performance.now() - from < 10_000)
    }
    assert.equal(await count(), 0)
  })
}

test('the commit of an upload has the time of a call', async (t) => {
  const made = new (native().Database)({}).collection('c', { dimensions: DIMENSIONS }, 0)
  const prototype = Object.getPrototypeOf(made.beginWrite(0, 1, DIMENSIONS))
  const { commit } = prototype
  t.after(() => {
    prototype.commit = commit
  })
  prototype.commit = async function (...given) {
    await sleep(2 * LIMITS.timeoutMs)
    return commit.apply(this, given)
  }
  const { server, count } = await served(t)
  const upload = WAYS.Connect(server)
  upload.send(beginOf(1))
  upload.send(batchOf(1))
  upload.end()
  assert.match(await upload.answered(), /deadline_exceeded/)
  assert.equal(await count(), 0)
})

test('a request whose body does not come ends, read or not', { timeout: 20_000 }, async (t) => {
  const { server } = await served(t)
  const json = 'content-type: application/json'
  const cases = [
    // Nothing, where the reset of the connection overtakes it.
    [`POST /v1/collections HTTP/1.1\r\n${json}`, /^(HTTP\/1.1 408 |$)/],
    [`POST /${OmenDB.typeName}/Count HTTP/1.1\r\n${json}`, /^(HTTP\/1.1 408 |$)/],
    // Answered, and its connection held by a body that drips.
    ['GET /healthz HTTP/1.1', /^HTTP\/1.1 200 /],
  ]
  const ended = cases.map(async ([head, wanted]) => {
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.on('error', () => {})
    let answer = ''
    socket.on('data', (data) => {
      answer += data
    })
    socket.write(`${head}\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n`)
    const drip = setInterval(() => socket.write(' '), 100)
    await new Promise((resolve) => socket.once('close', resolve))
    clearInterval(drip)
    assert.match(answer, wanted)
  })
  await Promise.all(ended)
})

// What has come is no longer bounded by its coming.
test('an answer may take longer than its request may', async (t) => {
  const { prototype } = native().Database
  const { stats } = prototype
  t.after(() => {
    prototype.stats = stats
  })
  prototype.stats = async function () {
    await sleep(1000)
    return stats.call(this)
  }
  const server = await createServer({
    ...{ port: 0, grpcPort: false, logLevel: 'silent' },
    limits: { requestTimeoutMs: 300 },
  })
  t.after(() => server.close())
  assert.equal((await fetch(`${server.url}/v1/stats`)).status, 200)
})
