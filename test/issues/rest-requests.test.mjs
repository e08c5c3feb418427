// Bugs of requests over REST that were taken for others, and of refusals that said too little.
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import { createServer } from '../../dist/server.mjs'

const JSON_TYPE = { 'content-type': 'application/json' }
const AT = '/v1/collections/c'

/** A server with the collection `c` of 2 dimensions and 3 records. */
async function serve(t, options = {}) {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent', ...options })
  t.after(() => server.close())
  const ask = (method, path, body, headers = JSON_TYPE) => {
    const bytes = body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    return fetch(server.url + path, { method, body: bytes, headers })
  }
  await ask('PUT', AT, {})
  const rows = {
    ids: ['a', 'b', 3],
    vectors: [
      [1, 0],
      [0, 1],
      [1, 1],
    ],
  }
  assert.equal((await ask('POST', `${AT}/records`, rows)).status, 201)
  const count = async () => (await (await ask('POST', `${AT}/count`, {})).json()).count
  return { url: server.url, ask, count }
}

async function problemOf(response) {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  const problem = await response.json()
  assert.equal(problem.status, response.status)
  return problem
}

// Bytes of gzip were stored as vectors, and answered 201.
test('a compressed body is refused on every route, and stores nothing', async (t) => {
  const { ask, count } = await serve(t)
  const bytes = gzipSync(Buffer.alloc(8000))
  const whole = bytes.subarray(0, bytes.length - (bytes.length % 8))
  const json = gzipSync(JSON.stringify({ vector: [1, 0] }))
  const octets = 'application/octet-stream'
  for (const [method, path, body, type] of [
    ['POST', `${AT}/records`, whole, octets],
    ['PUT', `${AT}/records`, whole, octets],
    ['POST', `${AT}/search`, whole.subarray(0, 8), octets],
    ['POST', `${AT}/search`, json, 'application/json'],
    ['POST', `${AT}/search/batch`, whole, octets],
    ['POST', `${AT}/count`, json, 'application/json'],
  ]) {
    const headers = { 'content-type': type, 'content-encoding': 'gzip' }
    const problem = await problemOf(await ask(method, path, body, headers))
    assert.equal(problem.code, 'ERR_UNSUPPORTED', path)
    assert.match(problem.detail, /content-encoding/)
  }
  assert.equal(await count(), 3)
  const plain = { ...JSON_TYPE, 'content-encoding': 'identity' }
  assert.equal((await ask('POST', `${AT}/search`, { vector: [1, 0] }, plain)).status, 200)
})

// Fastify's own words came through: {"error":"Bad Request","code":"FST_ERR_BAD_URL"}.
test('a path that cannot be read is told with a code of ours', async (t) => {
  const { ask } = await serve(t)
  for (const id of ['s:%ff', 's:%zz', 's:%']) {
    const problem = await problemOf(await ask('GET', `${AT}/records/${id}`))
    assert.equal(problem.code, 'ERR_ARGUMENT')
    assert.match(problem.detail, /path/)
  }
  const problem = await problemOf(await ask('GET', `${AT}/records/s:${'x'.repeat(5000)}`))
  assert.equal(problem.code, 'ERR_ID')
})

// `clear` with a filter deleted everything: what a route did not know it ignored.
test('what a route does not take it refuses, before it does anything', async (t) => {
  const { ask, count } = await serve(t)
  for (const [method, path, body] of [
    ['POST', `${AT}/clear`, { filter: { year: 1999 } }],
    ['POST', `${AT}/clear?filter=%7B%7D`],
    ['POST', `${AT}/clear`, []],
    ['DELETE', `${AT}/records/s:a`, { ids: ['b'] }],
    ['DELETE', `${AT}/records/s:a?dry=1`],
    ['DELETE', `${AT}?ifEmpty=1`],
    ['POST', `${AT}/search?k=1`, { vector: [1, 0] }],
    ['POST', '/v1/flush', { collection: 'c' }],
    ['GET', '/v1/collections?prefix=a'],
  ]) {
    const response = await ask(method, path, body, body === undefined ? {} : JSON_TYPE)
    assert.equal((await problemOf(response)).code, 'ERR_ARGUMENT', `${method} ${path}`)
  }
  assert.equal(await count(), 3)
  assert.equal((await ask('POST', `${AT}/clear`, {})).status, 204)
  assert.equal(await count(), 0)
})

test('health is answered to HEAD as well, and whatever its query', async (t) => {
  const { ask } = await serve(t)
  for (const path of ['/healthz', '/readyz', '/healthz?from=probe']) {
    const response = await ask('HEAD', path, undefined, {})
    assert.equal(response.status, 200, path)
  }
})

// The title told to use another key, where it was the name of the server.
test('who asks for another host is not told that only its key is wrong', async (t) => {
  const { url } = await serve(t)
  const body = await new Promise((resolve, reject) => {
    const request = http.get(`${url}/v1/stats`, { headers: { host: 'evil.example' } })
    request.once('error', reject)
    request.once('response', (response) => {
      response.setEncoding('utf8')
      let text = ''
      response.on('data', (piece) => {
        text += piece
      })
      response.once('end', () => resolve(JSON.parse(text)))
    })
  })
  assert.equal(body.code, 'ERR_FORBIDDEN')
  assert.match(body.title, /name of the server/)
})
