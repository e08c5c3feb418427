// Options of a client that cannot be right are told where they are given.
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { Client } from '../../dist/client.mjs'

// fetch refuses these, and each call was ERR_UNAVAILABLE: "cannot reach".
test('a header that fetch refuses is ERR_ARGUMENT at the construction', () => {
  for (const headers of [
    { 'a b': '1' },
    { '': '1' },
    { 'x:': '1' },
    { ü: '1' },
    { x: 'a\nb' },
    { x: 'a\0b' },
    { x: '\u65e5' },
    { x: 5 },
    { x: undefined },
    { 'Content-Length': '5' },
    { connection: 'close' },
    { Expect: '100-continue' },
    { 'Transfer-Encoding': 'chunked' },
    { 'content-type': 'text/plain' },
    { 'OmenDB-Request-Id': 'a' },
    ['x', 'y'],
    'x: y',
  ]) {
    const what = JSON.stringify(headers)
    assert.throws(() => new Client('localhost', { headers }), { code: 'ERR_ARGUMENT' }, what)
  }
  // Values may be secrets.
  const secret = { headers: { 'x-key': 'hunter2\n' } }
  assert.throws(
    () => new Client('localhost', secret),
    (error) => error.code === 'ERR_ARGUMENT' && !error.message.includes('hunter2'),
  )
})

// The header was overwritten by the key, without a word.
test('a key beside a header authorization is ERR_ARGUMENT', () => {
  for (const name of ['authorization', 'Authorization', 'AUTHORIZATION']) {
    const options = { apiKey: 'hunter2', headers: { [name]: 'Basic swordfish' } }
    assert.throws(
      () => new Client('localhost', options),
      (error) =>
        error.code === 'ERR_ARGUMENT' &&
        /apiKey and the header authorization/.test(error.message) &&
        !/hunter2|swordfish/.test(error.message),
    )
  }
  // Each alone is fine, and so is another header beside the key.
  new Client('localhost', { headers: { authorization: 'Basic swordfish' } })
  new Client('localhost', { apiKey: 'hunter2', headers: { 'proxy-authorization': 'Basic x' } })
})

// The last one won.
test('a header that is given twice is ERR_ARGUMENT', () => {
  const headers = { 'x-tenant': 'a', 'X-Tenant': 'b' }
  const wanted = { code: 'ERR_ARGUMENT', message: /x-tenant is there twice/ }
  assert.throws(() => new Client('localhost', { headers }), wanted)
})

test('other headers go with every request', async (t) => {
  const got = []
  const server = http.createServer((request, response) => {
    got.push(request.headers)
    request.resume().on('end', () => response.writeHead(404).end())
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const headers = { 'X-Route': 'b/1 \u00fc', cookie: 'a=1', "!#$%&'*+-.^_`|~": '' }
  const client = new Client(`127.0.0.1:${server.address().port}`, { headers, retries: 0 })
  await assert.rejects(client.listCollections(), { code: 'ERR_UNAVAILABLE' })
  assert.equal(got[0]['x-route'], 'b/1 \u00fc')
  assert.equal(got[0].cookie, 'a=1')
  assert.equal(got[0]["!#$%&'*+-.^_`|~"], '')
  await client.close()
})
