// Answers that no OmenDB server gives, and what a client tells of them.
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { Client as BrowserClient } from '../../dist/client.browser.mjs'
import { Client } from '../../dist/client.mjs'

const DETAIL = 'omendb.v1.ErrorDetail'

async function answering(t, answer) {
  let asked = 0
  const server = http.createServer((request, response) => {
    asked++
    request.resume().on('end', () => answer(response))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${server.address().port}`, asked: () => asked }
}

const calls = {
  add: (client) => client.add({ id: 'a', vector: [1, 0] }),
  addBatch: (client) => client.addBatch([new Float32Array([1, 0])]),
  count: (client) => client.count(),
  search: (client) => client.search([1, 0]),
  searchBatch: (client) => client.searchBatch([[1, 0]]),
  get: (client) => client.get('a'),
  listCollections: (client) => client.listCollections(),
  stats: (client) => client.stats(),
}

for (const [kind, Kind] of Object.entries({ Node: Client, browser: BrowserClient })) {
  test(`${kind}: an empty 200 of another server is an error, asked for once`, async (t) => {
    for (const [name, call] of Object.entries(calls)) {
      const { url, asked } = await answering(t, (response) => response.end())
      const client = new Kind(url)
      const wanted = { name: 'OmenError', code: 'ERR_UNAVAILABLE', message: /check the address/ }
      await assert.rejects(call(client), wanted, name)
      assert.equal(asked(), 1, name)
      await client.close()
    }
  })
}

test('an error whose details are malformed is still an OmenError, of its code', async (t) => {
  const bad = [
    {},
    [null],
    'x',
    [{ type: DETAIL, value: '*' }],
    [{ type: DETAIL, value: '/////w==' }],
    [{ type: DETAIL, value: 7 }],
  ]
  for (const details of bad) {
    const { url } = await answering(t, (response) => {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ code: 'invalid_argument', message: 'no', details }))
    })
    const client = new Client(url)
    const wanted = { name: 'OmenError', code: 'ERR_ARGUMENT' }
    await assert.rejects(client.listCollections(), wanted, JSON.stringify(details))
    await client.close()
  }
})

test('a stream whose end is no JSON object is an OmenError', async (t) => {
  for (const end of ['', 'null', 'x', '{"error":7}', '{"error":null}']) {
    const head = Buffer.from([2, 0, 0, 0, end.length])
    const { url } = await answering(t, (response) => {
      response.writeHead(200, { 'content-type': 'application/connect+proto' })
      response.end(Buffer.concat([head, Buffer.from(end)]))
    })
    const client = new Client(url)
    const read = async () => {
      for await (const _ of client.backup()) assert.fail('nothing came')
    }
    await assert.rejects(read, { name: 'OmenError', code: 'ERR_UNAVAILABLE' }, end)
    await client.close()
  }
})
