// Calls of a server that native code cannot end: their callers are told in time, and what they
// began goes on. Methods of the addon are made slow, which a small database is not.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { Client } from '../../dist/client.mjs'
import { createServer } from '../../dist/server.mjs'

const { native } = createRequire(import.meta.url)('../../dist/lib/native.js')

function directory(t, name) {
  const made = mkdtempSync(path.join(tmpdir(), `omendb-${name}-`))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

async function served(t, options = {}) {
  const data = directory(t, 'times')
  const given = { port: 0, grpcPort: false, logLevel: 'silent', data, ...options }
  const server = await createServer(given)
  t.after(() => server.close())
  await server.ready
  const client = new Client(server.url, { timeoutMs: 20_000, retries: 0 })
  t.after(() => client.close())
  return { server, client }
}

/** Makes a method wait until `go` is called. `calls`: how often it was begun. */
function slowed(t, prototype, name) {
  const original = prototype[name]
  let go
  const gate = new Promise((resolve) => {
    go = resolve
  })
  const slow = { calls: 0, go }
  prototype[name] = async function (...given) {
    slow.calls++
    await gate
    return original.apply(this, given)
  }
  t.after(() => {
    prototype[name] = original
    go()
  })
  return slow
}

const LATE = { name: 'OmenError', code: 'ERR_TIMEOUT', message: /not done within 150 ms/ }

test('stats, check and flush end with limits.timeoutMs', async (t) => {
  const { server, client } = await served(t, { limits: { timeoutMs: 150 } })
  const c = await client.collection('c', { dimensions: 2 })
  const calls = {
    check: () => client.check(),
    flush: () => client.flush(),
    stats: () => client.stats(),
  }
  for (const [name, call] of Object.entries(calls)) {
    const slow = slowed(t, native().Database.prototype, name)
    await assert.rejects(call(), LATE, name)
    const { status } = await fetch(`${server.url}/v1/${name}`, {
      method: name === 'flush' ? 'POST' : 'GET',
    })
    assert.equal(status, 504, name)
    // Each began; a check that runs is not begun beside.
    assert.equal(slow.calls, name === 'check' ? 1 : 2, name)
    slow.go()
    await call()
  }
  const other = new (native().Database)({}).collection('c', { dimensions: 2 }, 0)
  slowed(t, Object.getPrototypeOf(other), 'stats')
  await assert.rejects(c.stats(), LATE)
})

test('a collection that is made or dropped too late is made or dropped all the same', async (t) => {
  const { client } = await served(t, { limits: { timeoutMs: 150 } })
  const slow = slowed(t, native().Database.prototype, 'settle')
  await assert.rejects(client.createCollection('c'), LATE)
  assert.deepEqual(await client.listCollections(), ['c'])
  await assert.rejects(client.dropCollection('c'), LATE)
  slow.go()
  assert.equal(await client.dropCollection('c'), false)
})

// A caller may give less; without any time nothing begins.
test('a request without time is refused before it does anything', async (t) => {
  const { server, client } = await served(t)
  await client.createCollection('c')
  const headers = { 'omendb-timeout-ms': '0' }
  for (const [method, at] of [
    ['GET', '/v1/stats'],
    ['GET', '/v1/check'],
    ['POST', '/v1/flush'],
    ['PUT', '/v1/collections/d'],
    ['GET', '/v1/collections/c'],
    ['DELETE', '/v1/collections/c'],
  ]) {
    const answer = await fetch(server.url + at, { method, headers })
    assert.equal((await answer.json()).code, 'ERR_TIMEOUT', `${method} ${at}`)
  }
  assert.deepEqual(await client.listCollections(), ['c'])
})

// The client waits for each message, and the copy comes whole or not at all.
test('a backup that takes long to gather tells that the server is at work', async (t) => {
  const backupDirectory = directory(t, 'copies')
  const { server, client } = await served(t, { backupDirectory, limits: { timeoutMs: 100 } })
  await client.add({ id: 'a', vector: [1, 2] })
  const slow = slowed(t, native().Database.prototype, 'backup')
  setTimeout(slow.go, 3500)
  let bytes = 0
  const start = performance.now()
  for await (const piece of client.backup({ timeoutMs: 2500 })) bytes += piece.length
  assert.ok(performance.now() - start > 3000)
  assert.ok(bytes > 1024 && bytes % 512 === 0)
  const answer = await fetch(`${server.url}/v1/backup`, { method: 'POST' })
  assert.equal((await answer.arrayBuffer()).byteLength % 512, 0)
  assert.deepEqual(readdirSync(backupDirectory), [])
})

test('a fault behind such a sign is told with its code', async (t) => {
  const { client } = await served(t)
  const { prototype } = native().Database
  const { backup } = prototype
  t.after(() => {
    prototype.backup = backup
  })
  prototype.backup = async function () {
    await new Promise((resolve) => setTimeout(resolve, 1500))
    return backup.call(this, '/no/such/directory/copy')
  }
  const read = async () => {
    for await (const _ of client.backup()) assert.fail('nothing came')
  }
  await assert.rejects(read, { name: 'OmenError', code: 'ERR_NOT_FOUND' })
})
