// Answers that were too large: the server was held for seconds, or failed as by a bug of its own.
import assert from 'node:assert/strict'
import test from 'node:test'
import { Client } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

const DIMENSIONS = 3072
const ROWS = 2000

// 10 000 vectors of 3072 dimensions as JSON: ERR_NATIVE after ten seconds, in which nobody else was
// served.
test('an answer that would be too large is refused at once, and says what to do', async (t) => {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  const client = new Client(server.url)
  t.after(() => client.close())
  const options = { dimensions: DIMENSIONS, metric: 'l2' }
  const wide = await client.collection('wide', options)
  const vectors = new Float32Array(ROWS * DIMENSIONS).map((_, i) => i % 251)
  const ids = await wide.addBatch(vectors)
  const ask = async (path, body) => {
    const headers = { 'content-type': 'application/json' }
    const url = `${server.url}/v1/collections/wide/${path}`
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    return [response.status, await response.json()]
  }
  const vector = Array.from(vectors.subarray(0, DIMENSIONS))
  const cases = [
    ['records/scroll', (n) => ({ limit: n }), 'records'],
    ['records/get', (n) => ({ ids: ids.slice(0, n) }), 'records'],
    ['search', (n) => ({ vector, k: n }), 'hits'],
  ]
  for (const [path, body, part] of cases) {
    for (const include of ['vector', 'both']) {
      const begun = performance.now()
      const [status, problem] = await ask(path, { ...body(ROWS), include })
      assert.equal(status, 413, path)
      assert.equal(problem.code, 'ERR_LIMIT')
      assert.match(problem.detail, /at most 910 at once/)
      assert.ok(performance.now() - begun < 1000)
    }
    const [status, answer] = await ask(path, { ...body(100), include: 'vector' })
    assert.equal(status, 200)
    assert.equal(answer[part].length, 100)
    assert.equal((await ask(path, { ...body(ROWS), include: 'none' }))[0], 200)
  }
  // As bytes it is not too large.
  const page = await wide.scroll({ limit: ROWS, include: 'vector' })
  assert.equal(page.records.length, ROWS)
})

test('of a small collection all may be asked for, whatever the limit', async (t) => {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  const client = new Client(server.url)
  t.after(() => client.close())
  const few = await client.collection('few', { dimensions: DIMENSIONS })
  await few.addBatch(new Float32Array(3 * DIMENSIONS).fill(1))
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ limit: 10_000, include: 'vector' })
  const url = `${server.url}/v1/collections/few/records/scroll`
  const response = await fetch(url, { method: 'POST', headers, body })
  assert.equal((await response.json()).records.length, 3)
})

test('metadata that would be too large an answer of JSON is refused as well', async (t) => {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
  t.after(() => server.close())
  const client = new Client(server.url)
  t.after(() => client.close())
  const notes = await client.collection('notes', { dimensions: 1, metric: 'l2' })
  const text = 'x'.repeat(60_000)
  for (let i = 0; i < 1200; i += 100) {
    const records = Array.from({ length: 100 }, (_, j) => ({ vector: [i + j], metadata: { text } }))
    await notes.add(records)
  }
  const headers = { 'content-type': 'application/json' }
  const url = `${server.url}/v1/collections/notes/records/scroll`
  const body = JSON.stringify({ limit: 1200 })
  const response = await fetch(url, { method: 'POST', headers, body })
  assert.equal(response.status, 413)
  assert.equal((await response.json()).code, 'ERR_LIMIT')
})
