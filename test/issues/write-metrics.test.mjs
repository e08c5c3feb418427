// Metrics of the server: how many writes wait or are at work, and that the page knows all of them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../dist/client.mjs'
import wire from '../../dist/lib/wire/protocol.js'
import { createServer } from '../../dist/server.mjs'

async function served(t, options = {}) {
  const given = { port: 0, grpcPort: false, logLevel: 'silent', ...options }
  const server = await createServer(given)
  t.after(() => server.close())
  await server.ready
  return server
}

async function metricsOf({ url }) {
  return (await fetch(`${url}/metrics`)).text()
}

const PATTERN = /^omendb_pending_writes\{collection="c"\} (\d+)$/m

async function pendingOf(server) {
  return Number(PATTERN.exec(await metricsOf(server))?.[1])
}

async function until(wanted, server) {
  const start = performance.now()
  while ((await pendingOf(server)) !== wanted) {
    assert.ok(performance.now() - start < 10_000, `${wanted} is not the number of pending writes`)
    await sleep(5)
  }
}

function envelope(case_, value) {
  const message = wire.create(wire.UploadRequestSchema, { message: { case: case_, value } })
  const bytes = wire.toBinary(wire.UploadRequestSchema, message)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** An upload to the collection c whose row is yet to come. */
function begun({ url }, dimensions = 2) {
  const headers = {
    'content-type': 'application/connect+proto',
    'connect-protocol-version': '1',
  }
  const request = http.request(`${url}/omendb.v1.OmenDB/Upload`, { method: 'POST', headers })
  request.on('error', () => {})
  request.write(envelope('begin', { collection: 'c', rows: 1, dimensions }))
  return request
}

async function ended(request) {
  const vectors = new Uint8Array(new Float32Array([1, 2]).buffer)
  request.end(envelope('batch', { vectors }))
  const [response] = await once(request, 'response')
  await response.resume()
}

test('omendb_pending_writes counts writes from their beginning to their end', async (t) => {
  const server = await served(t)
  const client = new Client(server.url)
  const c = await client.collection('c', { dimensions: 2 })
  assert.equal(await pendingOf(server), 0)
  const requests = [begun(server), begun(server), begun(server)]
  await until(3, server)
  await ended(requests[0])
  await until(2, server)
  // One whose caller goes, and one that fails.
  requests[1].destroy()
  await until(1, server)
  await assert.rejects(c.add({ vector: [1, 2, 3] }), { code: 'ERR_DIMENSIONS' })
  await ended(requests[2])
  await until(0, server)
  await Promise.all([c.add({ id: 'a', vector: [1, 2] }), c.optimize(), c.clear(), c.delete([5])])
  await until(0, server)
  assert.equal(await c.count(), 0)
  await client.close()
})

test('docs/server.md tells all metrics, and no other', async (t) => {
  const data = mkdtempSync(path.join(tmpdir(), 'omendb-metrics-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const server = await served(t, { data })
  const found = (await metricsOf(server)).matchAll(/^# TYPE (\w+) /gm)
  const page = readFileSync(new URL('../../docs/server.md', import.meta.url), 'utf8')
  const told = page.matchAll(/`(omendb_\w+)`/g)
  const names = (matches) => [...new Set(Array.from(matches, ([, name]) => name))].sort()
  assert.deepEqual(names(told), names(found))
})
