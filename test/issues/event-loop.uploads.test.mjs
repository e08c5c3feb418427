// Uploads of large batches give the event loop of their program its turns. fetch asks for a body
// on and on while the socket takes it: a timer was late by 100 to 450 ms.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { Client } from '../../dist/client.mjs'

const ROWS = 100_000
const DIMENSIONS = 128
const EVERY_MS = 10
// Generous: the machine is shared. It is about 10 on one that is not.
const LATE_MS_MAX = 100

const script = `
import { createServer } from './dist/server.mjs'
const { url } = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
console.log(url)`

/** In a process of its own, whose work is not the client's. */
async function served(t) {
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd })
  t.after(() => child.kill())
  const [url] = await once(child.stdout, 'data')
  return String(url).trim()
}

/** By how many milliseconds the latest turn of a timer was late while `work` ran. */
async function lateness(work) {
  let last = performance.now()
  let late = 0
  const timer = setInterval(() => {
    const now = performance.now()
    late = Math.max(late, now - last - EVERY_MS)
    last = now
  }, EVERY_MS)
  await work()
  clearInterval(timer)
  return late
}

test('adding 100 000 x 128 over the network leaves the event loop free', async (t) => {
  const client = new Client(await served(t), { timeoutMs: 120_000 })
  const vectors = Float32Array.from({ length: ROWS * DIMENSIONS }, (_, i) => Math.sin(i))
  const ids = Array.from({ length: ROWS }, (_, i) => `record-${i}`)
  const metadata = ids.map((title, n) => ({ title, n, tags: ['a', 'b'] }))
  const records = ids.map((id, i) => {
    const vector = vectors.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS)
    return { id, vector, metadata: metadata[i] }
  })
  await client.add({ id: 'first', vector: vectors.subarray(0, DIMENSIONS) })
  const calls = {
    'a flat array': () => client.addBatch(vectors),
    'ids and metadata': () => client.add({ ids, vectors, metadata }),
    records: () => client.upsert(records),
  }
  for (const [name, call] of Object.entries(calls)) {
    const late = await lateness(call)
    assert.ok(late < LATE_MS_MAX, `${name}: a timer was late by ${late} ms`)
  }
  assert.equal(await client.count(), 2 * ROWS + 1)
  await client.close()
})
