// Bugs of uploads that are refused while they still come, each with what a caller would have seen.
// The server is a process of its own: within one process both sides share an event loop, and the
// caller is never late.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { Client } from '../../dist/index.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const KEYS = { readWrite: ['rw-0123456789abcdef'], readOnly: ['ro-0123456789abcdef'] }

/** A server in another process, on a free port. */
async function serveApart(t, options = {}) {
  const given = { port: 0, grpcPort: false, logLevel: 'silent', apiKeys: KEYS, ...options }
  const script = `import { createServer } from ${JSON.stringify(`${root}dist/server.mjs`)}
    const { url } = await createServer(${JSON.stringify(given)})
    process.stdout.write(url)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  t.after(() => child.kill('SIGKILL'))
  const [url] = await once(child.stdout, 'data')
  return new URL(String(url))
}

/** Sends all, and only then reads: as simple clients do. What came until the connection ended. */
async function sendThenRead({ hostname, port }, head, body) {
  const socket = net.connect(Number(port), hostname)
  socket.pause()
  const sent = new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.write(`${head}\r\n\r\n`)
    socket.write(body, () => resolve())
  })
  await sent
  const pieces = []
  socket.on('data', (piece) => pieces.push(piece))
  socket.resume()
  await once(socket, 'end')
  socket.destroy()
  return String(Buffer.concat(pieces))
}

const headOf = (path, more) => `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${more.join('\r\n')}`

// The server closed at once with bytes unread, which reset the connection: most callers saw EPIPE
// or ECONNRESET in place of the answer.
test('who sends a large body that is refused gets to read why', async (t) => {
  const url = await serveApart(t)
  const body = Buffer.alloc(20 * 2 ** 20)
  const length = `connection: close\r\ncontent-length: ${body.length}`
  const json = 'content-type: application/json'
  const readOnly = `authorization: Bearer ${KEYS.readOnly[0]}`
  const readWrite = `authorization: Bearer ${KEYS.readWrite[0]}`
  const rest = '/v1/collections/c/records'
  const rpc = '/omendb.v1.OmenDB/Write'
  const proto = 'content-type: application/proto'
  const cases = [
    [headOf(rest, [length, json]), body, 401],
    [headOf(rest, [length, json, readOnly]), body, 403],
    [headOf(rpc, [length, proto]), body, 401],
    [headOf(rpc, [length, proto, readOnly]), body, 403],
    [headOf(rest, [json, readWrite, 'content-length: 60000000']), Buffer.alloc(6e7), 413],
  ]
  for (let i = 0; i < 3; i++) {
    for (const [head, bytes, status] of cases) {
      const answer = await sendThenRead(url, head, bytes)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
      assert.match(answer, /ERR_(AUTH|FORBIDDEN|LIMIT)|permission_denied|unauthenticated/)
    }
  }
})

test('a Client whose key may only read is told so, however much it adds', async (t) => {
  const url = await serveApart(t)
  const owner = new Client(url.origin, { apiKey: KEYS.readWrite[0] })
  await owner.collection('c', { dimensions: 256 })
  await owner.close()
  const client = new Client(url.origin, { apiKey: KEYS.readOnly[0] })
  const rows = await client.collection('c', { dimensions: 256 })
  for (const megabytes of [1, 4, 16, 40, 1, 4, 16, 40]) {
    const vectors = new Float32Array(megabytes * 2 ** 18)
    vectors.fill(1)
    const work = rows.addBatch(vectors)
    await assert.rejects(work, { code: 'ERR_FORBIDDEN' }, `${megabytes} MB`)
  }
  await client.close()
})

// What is refused must not hold on: others find its place free, and its connection ends.
test('who goes on sending after it was refused holds no place, nor for long', async (t) => {
  const url = await serveApart(t, { limits: { connections: 1 } })
  const socket = net.connect(Number(url.port), url.hostname)
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  socket.write(`${headOf('/v1/flush', ['content-length: 30000000'])}\r\n\r\n`)
  const [answer] = await once(socket, 'data')
  assert.match(String(answer), / 401 /)
  const drip = setInterval(() => socket.write('x'), 20)
  t.after(() => clearInterval(drip))
  const begun = performance.now()
  const health = await fetch(`${url.origin}/healthz`)
  assert.equal(health.status, 200)
  await closed
  assert.ok(performance.now() - begun < 15_000)
})

test('a request behind one that was refused is not served', async (t) => {
  const url = await serveApart(t)
  const key = `authorization: Bearer ${KEYS.readWrite[0]}`
  const socket = net.connect(Number(url.port), url.hostname)
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  socket.write(`${headOf('/v1/flush', ['content-length: 10'])}\r\n\r\n`)
  await once(socket, 'data')
  const create = '{"name":"late","dimensions":2}'
  const more = [key, 'content-type: application/json', `content-length: ${create.length}`]
  socket.write(`0123456789${headOf('/v1/collections', more)}\r\n\r\n${create}`)
  await closed
  const headers = { authorization: `Bearer ${KEYS.readWrite[0]}` }
  const response = await fetch(`${url.origin}/v1/collections`, { headers })
  assert.deepEqual((await response.json()).collections, [])
})
