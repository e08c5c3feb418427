// What onProgress throws is its own fault: it never turns a write that is stored into a rejection,
// of a Client as little as of a DB, and it is never swallowed either.
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { Client, DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

/** Runs `work` and answers what was uncaught meanwhile. */
async function uncaughtOf(work) {
  const found = []
  process.setUncaughtExceptionCaptureCallback((error) => found.push(error.message))
  try {
    await work()
    // What is thrown in a microtask comes before this.
    await new Promise((resolve) => setTimeout(resolve, 10))
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
  return found
}

const throwing = () => {
  throw new Error('of the bar')
}

async function serving(t) {
  const server = await createServer({ port: 0, grpcPort: false })
  t.after(() => server.close())
  return server
}

// The client rejected: a caller that repeats what was rejected stored it twice.
for (const [name, open] of [
  ['DB', () => new DB({ metric: 'l2' })],
  ['Client', async (t) => new Client((await serving(t)).url, { metric: 'l2' })],
]) {
  test(`an onProgress that throws leaves a write of a ${name} as it is`, async (t) => {
    const db = await open(t)
    // Few rows go in one message, many are uploaded: the callback is called amidst them.
    for (const rows of [1, 3000]) {
      const vectors = new Float32Array(64 * rows).fill(1)
      let ids
      const uncaught = await uncaughtOf(async () => {
        ids = await db.addBatch({ vectors, dimensions: 64 }, { onProgress: throwing })
      })
      assert.equal(ids.length, rows)
      assert.ok(uncaught.length > 0)
      assert.ok(uncaught.every((message) => message === 'of the bar'))
    }
    assert.equal(await db.count(), 3001)
    await db.close()
  })
}

// Each attempt told the same again, from the start: a bar went back.
test('the progress of a write that is repeated never falls', async (t) => {
  const server = await serving(t)
  let uploads = 0
  // Breaks the first upload, when all of it has come.
  const between = http.createServer((request, response) => {
    const { method, url, headers } = request
    const on = http.request(server.url + url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    const isBroken = url.endsWith('/Upload') && ++uploads === 1
    if (isBroken) request.resume().on('end', () => request.socket.destroy())
    else request.pipe(on)
    on.on('error', () => response.destroy())
    if (isBroken) on.destroy()
  })
  await new Promise((resolve) => between.listen(0, '127.0.0.1', resolve))
  t.after(() => between.close())
  const client = new Client(`127.0.0.1:${between.address().port}`, { metric: 'l2' })
  const told = []
  const vectors = new Float32Array(64 * 10_000).fill(1)
  await client.addBatch({ vectors, dimensions: 64 }, { onProgress: ({ done }) => told.push(done) })
  assert.equal(uploads, 2)
  assert.deepEqual(
    told,
    [...new Set(told)].sort((a, b) => a - b),
  )
  assert.equal(told.at(-1), 10_000)
  assert.equal(await client.count(), 10_000)
  await client.close()
})
