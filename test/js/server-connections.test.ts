// The limit of connections, on both ports: one below, at it, one above; what the refused one sees;
// and that a place is free again however its holder went.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import test, { type TestContext } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { Client } from 'omendb'
import { clientOf, serve } from './server-support.js'
import { rejected } from './support.js'

const LIMIT = 4

/** A connection that stays open. `ask`: whether it is answered; false when it was closed. */
interface Held {
  ask(): Promise<boolean>
  /** Goes politely, or as a process does that was killed. */
  leave(how: 'end' | 'reset'): Promise<void>
}

/** HTTP/1.1. */
async function held(port: number): Promise<Held> {
  const socket = net.connect(port, '127.0.0.1')
  const closed = once(socket, 'close').catch(() => {})
  socket.on('error', () => {}) // A refused one may be reset.
  return {
    async ask() {
      socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n')
      const first = String(await Promise.race([once(socket, 'data').catch(() => {}), closed]))
      if (first.startsWith('HTTP/1.1 200')) return true
      // What is refused is told so, and then closed.
      assert.match(first, /^HTTP\/1.1 429.*retry-after: 1.*"code":"ERR_BUSY"/s)
      await closed
      return false
    },
    async leave(how) {
      if (how === 'end') socket.end()
      else socket.resetAndDestroy()
      await closed
    },
  }
}

/** HTTP/2, as gRPC uses it. */
async function heldGrpc(port: number): Promise<Held> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => socket })
  session.on('error', () => {})
  const closed = new Promise<void>((resolve) => session.once('close', resolve))
  return {
    async ask() {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
      })
      stream.on('error', () => {})
      stream.end(Buffer.alloc(5))
      stream.resume() // Else it would hold the session.
      const [head] = await once(stream, 'response')
      if (head['grpc-status'] === undefined) return true
      assert.equal(head['grpc-status'], String(grpc.status.UNAVAILABLE))
      assert.match(head['grpc-message'], /connections are open/)
      await closed
      return false
    },
    async leave(how) {
      if (how === 'end') session.close()
      else socket.resetAndDestroy()
      await closed
    },
  }
}

/** Opens one more until it is served: that a connection has gone is seen a moment later. */
async function served(open: () => Promise<Held>): Promise<Held> {
  for (let i = 0; i < 100; i++) {
    const next = await open()
    if (await next.ask()) return next
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('no place came free')
}

async function around(t: TestContext, open: (port: number) => Promise<Held>, port: number) {
  const all: Held[] = []
  t.after(() => Promise.all(all.map((one) => one.leave('reset'))))
  for (let n = 1; n <= LIMIT; n++) {
    const next = await open(port)
    all.push(next)
    assert.equal(await next.ask(), true, `connection ${n} of ${LIMIT}`)
  }
  const surplus = await open(port)
  assert.equal(await surplus.ask(), false, 'one above the limit was served')
  // The others have not noticed.
  for (const one of all) assert.equal(await one.ask(), true)
  for (const how of ['end', 'reset', 'reset', 'end'] as const) {
    await (all.shift() as Held).leave(how)
    all.push(await served(() => open(port)))
    assert.equal(await (await open(port)).ask(), false, `two places for one that left by ${how}`)
  }
  return all
}

test('connections of REST and Connect, around their limit', { timeout: 30_000 }, async (t) => {
  const server = await serve(t, { limits: { connections: LIMIT } })
  const port = Number(new URL(server.url).port)
  const all = await around(t, held, port)
  // More of them than are told anything: they are closed, and those that have a place stay.
  const crowd = Array.from({ length: 200 }, () => net.connect(port, '127.0.0.1'))
  for (const one of crowd) one.on('error', () => {})
  let closed = 0
  for (const one of crowd) one.on('close', () => closed++).resume()
  for (let i = 0; i < 200 && closed < 100; i++) await new Promise((r) => setTimeout(r, 10))
  assert.ok(closed >= 100 && closed < 200, `${closed}`)
  for (const one of crowd) one.destroy()
  for (const one of all) assert.equal(await one.ask(), true)
  const hasty = new Client(server.url, { retries: 0 })
  await rejected(() => hasty.listCollections(), 'ERR_BUSY', {}, /4 connections are open/)
  // A client that repeats its calls gets in when there is room.
  const patient = new Client(server.url, { retries: 10 })
  const waiting = patient.listCollections()
  await all.pop()?.leave('reset')
  assert.deepEqual(await waiting, [])
  await Promise.all([hasty.close(), patient.close()])
})

test('connections of gRPC, around their limit', { timeout: 30_000 }, async (t) => {
  const server = await serve(t, { limits: { connections: LIMIT } })
  const port = Number(new URL(server.grpcUrl as string).port)
  const all = await around(t, heldGrpc, port)
  const standard = clientOf(server, 'gRPC', { retries: 0, timeoutMs: 2000 })
  await rejected(() => standard.listCollections(), 'ERR_BUSY')
  await all.pop()?.leave('reset')
  // Each port has its own places.
  const other = new Client(server.url)
  assert.deepEqual(await other.listCollections(), [])
  await Promise.all([standard.close(), other.close()])
})
