// Searches take several ways through the server: on its thread or on the pool, hits written as text
// or made of objects. Whichever it is, the answer is the same.
import assert from 'node:assert/strict'
import test from 'node:test'
import { Client } from 'omendb'
import { clientOf, serve } from './server-support.js'
import { flatVectors } from './support.js'

const DIMENSIONS = 8
const INCLUDES = ['none', 'metadata', 'vector', 'both'] as const

const COLLECTIONS = {
  plain: { rows: 300, ids: undefined, withMetadata: false, options: {} },
  texts: { rows: 300, ids: (n: number) => `"${n}"`, withMetadata: false, options: {} },
  metadata: { rows: 300, ids: undefined, withMetadata: true, options: {} },
  // Past 4 096 records codes alone are kept, and hits say so.
  approximate: { rows: 4500, ids: undefined, withMetadata: false, options: { keepVectors: false } },
}

for (const [name, { rows, ids, withMetadata, options }] of Object.entries(COLLECTIONS)) {
  test(`a search of ${name} is the same by every way`, { timeout: 60_000 }, async (t) => {
    const server = await serve(t)
    const client = new Client(server.url)
    const standard = clientOf(server, 'gRPC')
    const c = await client.collection(name, { ...options, dimensions: DIMENSIONS, metric: 'l2' })
    const numbers = Array.from({ length: rows }, (_, n) => n)
    await c.add({
      ids: ids === undefined ? numbers : numbers.map(ids),
      vectors: flatVectors(rows, DIMENSIONS, 3),
      metadata: numbers.map((n) => (withMetadata && n % 2 === 0 ? { n, text: 'ä"\\' } : {})),
    })
    const query = flatVectors(1, DIMENSIONS, 9)
    const url = `${server.url}/v1/collections/${name}/search`
    const send = async (path: string, body: string | Uint8Array, type: string) => {
      const headers = { 'content-type': type }
      const response = await fetch(url + path, { method: 'POST', headers, body: body as string })
      assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8')
      return response.text()
    }
    const bytes = new Uint8Array(query.buffer)
    for (const include of INCLUDES) {
      const json = JSON.stringify({ vector: [...query], include, k: 7 })
      const ask = (i: number): Promise<string> =>
        i % 2 === 0
          ? send('', json, 'application/json')
          : send(`?k=7&include=${include}`, bytes, 'application/octet-stream')
      const first = await ask(0)
      // Alone, as the cost gets known; then many at once, and beside what goes to the pool.
      for (let i = 1; i < 12; i++) assert.equal(await ask(i), first)
      const exact = Array.from({ length: 5 }, () => c.search(query, { exact: true, k: 7 }))
      const many = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(i)))
      for (const text of many) assert.equal(text, first)
      await Promise.all(exact)
      const { hits } = JSON.parse(first) as { hits: Record<string, unknown>[] }
      assert.equal(hits.length, 7)
      assert.equal(JSON.stringify({ hits }), first)
      const wanted = include === 'both' ? (['metadata', 'vector'] as const) : include
      for (const by of [c, await standard.collection(name)]) {
        const found = await by.search(query, { k: 7, include: wanted as 'metadata' })
        const plain = found.map((hit: object) =>
          Object.fromEntries(
            Object.entries(hit).map(([k, v]) => [k, v instanceof Float32Array ? [...v] : v]),
          ),
        )
        assert.deepEqual(plain, hits)
      }
    }
    await Promise.all([client.close(), standard.close()])
  })
}
