// Bugs of sessions over gRPC that keep others out.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import test from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import grpc from '@grpc/grpc-js'
import { createServer } from '../../dist/server.mjs'

const KEY = 'rw-0123456789abcdef'
const LIST = '/omendb.v1.OmenDB/ListCollections'
const same = (bytes) => bytes

async function serve(t, limits) {
  const apiKeys = { readWrite: [KEY] }
  const server = await createServer({ port: 0, grpcPort: 0, logLevel: 'silent', apiKeys, limits })
  t.after(() => server.close())
  return server
}

/** The status of a call without a message. */
async function statusOf(session, path, key) {
  const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' }
  if (key !== undefined) head.authorization = `Bearer ${key}`
  const stream = session.request({ ...head, te: 'trailers' })
  stream.end(Buffer.alloc(5))
  let status
  const note = (headers) => {
    status = headers['grpc-status'] ?? status
  }
  stream.on('response', note).on('trailers', note).resume()
  await once(stream, 'close')
  return Number(status)
}

// The only time-out ended at the first stream: four sessions with one refused request each kept
// four places for as long as they liked.
test('sessions over gRPC without a key give their places back', { timeout: 30_000 }, async (t) => {
  const { grpcUrl } = await serve(t, { connections: 4, headersTimeoutMs: 1000 })
  const strangers = []
  for (let i = 0; i < 4; i++) {
    const session = http2.connect(grpcUrl)
    t.after(() => session.destroy())
    assert.equal(await statusOf(session, LIST), grpc.status.UNAUTHENTICATED)
    strangers.push(session)
  }
  // Further refused requests win no time.
  const again = setInterval(() => {
    for (const session of strangers) if (!session.closed) statusOf(session, LIST).catch(() => {})
  }, 200)
  t.after(() => clearInterval(again))
  await Promise.all(strangers.map((session) => session.closed || once(session, 'close')))
  const session = http2.connect(grpcUrl)
  t.after(() => session.destroy())
  assert.equal(await statusOf(session, LIST, KEY), grpc.status.OK)
  await wait(2500)
  assert.equal(session.closed, false, 'a session with a key stays')
  assert.equal(await statusOf(session, LIST, KEY), grpc.status.OK)
})

// Kubernetes asks for health over gRPC, and has no key to give.
test('health over gRPC is told without a key, and nothing else is', async (t) => {
  const { grpcUrl } = await serve(t)
  const credentials = grpc.credentials.createInsecure()
  const client = new grpc.Client(grpcUrl.slice('http://'.length), credentials)
  const call = (path) =>
    new Promise((resolve) => {
      client.makeUnaryRequest(path, same, same, Buffer.alloc(0), (error, bytes) =>
        resolve(error?.code ?? bytes.toString('hex')),
      )
    })
  assert.equal(await call('/grpc.health.v1.Health/Check'), '0801')
  assert.equal(await call(LIST), grpc.status.UNAUTHENTICATED)
  assert.equal(await call('/grpc.health.v1.Health/Watch'), grpc.status.UNAUTHENTICATED)
  client.close()
})
