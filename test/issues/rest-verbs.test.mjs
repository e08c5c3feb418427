// What HTTP has a status of its own for is told by it: a method that a path does not have by 405
// and Allow (it was 404, as if there were no such path), a body of another type by 415 and Accept
// (it was 400, and named types that the path did not take).
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { createServer } from '../../dist/server.mjs'

const KEYS = { readWrite: ['read-write-0123456789'], readOnly: ['read-only-0123456789'] }
const VERBS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

async function serve(t, options = {}) {
  const server = await createServer({ port: 0, grpcPort: false, ...options })
  t.after(() => server.close())
  return server.url
}

/** By node:http, since fetch sends neither TRACE nor bodies without a type. */
function ask(url, path, { method = 'GET', headers: given = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? given : { ...given, 'content-length': body.length }
    const request = http.request(url + path, { method, headers }, async (response) => {
      const pieces = []
      for await (const piece of response) pieces.push(piece)
      const { statusCode: status, headers } = response
      resolve({ status, headers, text: Buffer.concat(pieces).toString() })
    })
    request.on('error', reject)
    request.end(body)
  })
}

function judge({ status, headers, text }, expected, isHead = false) {
  assert.equal(status, expected)
  assert.equal(headers['content-type'], 'application/problem+json')
  if (isHead) return ''
  const problem = JSON.parse(text)
  assert.equal(problem.status, expected)
  assert.equal(problem.code, 'ERR_UNSUPPORTED')
  return problem.detail
}

/** Each path of REST with what stands for its parameters, and its methods. */
async function pathsOf(url) {
  const { paths } = JSON.parse((await ask(url, '/openapi.json')).text)
  return Object.entries(paths).map(([at, methods]) => ({
    path: at.replace('{name}', 'c').replace('{id}', 's:a'),
    methods,
  }))
}

const isOpen = (operation) => operation?.security?.length === 0

test('a method that a path does not have is 405, and Allow names those that it has', async (t) => {
  const url = await serve(t)
  let refused = 0
  for (const { path, methods } of await pathsOf(url)) {
    const has = new Set(Object.keys(methods).map((method) => method.toUpperCase()))
    if (isOpen(methods.get)) has.add('HEAD')
    const allowed = VERBS.filter((verb) => has.has(verb)).join(', ')
    for (const method of VERBS.filter((verb) => !has.has(verb))) {
      // Whatever comes with it.
      for (const given of [{}, { headers: { 'content-type': 'text/plain' }, body: 'x' }]) {
        const answer = await ask(url, path, { method, ...given })
        const detail = judge(answer, 405, method === 'HEAD')
        assert.equal(answer.headers.allow, allowed, `${method} ${path}`)
        if (method !== 'HEAD') assert.equal(detail, `this path takes ${allowed}, not ${method}`)
        refused += 1
      }
    }
  }
  assert.ok(refused > 100, `${refused}`)
})

test('the files of the console are read alone, and are nothing where there is none', async (t) => {
  const [url, bare] = [await serve(t), await serve(t, { console: false })]
  for (const path of ['/', '/console/console.js']) {
    const answer = await ask(url, path, { method: 'POST' })
    judge(answer, 405)
    assert.equal(answer.headers.allow, 'GET, HEAD')
    for (const method of ['GET', 'POST']) {
      assert.equal((await ask(bare, path, { method })).status, 404)
    }
  }
})

test('no path is 404 still, and a method that none has is 501', async (t) => {
  const url = await serve(t)
  for (const method of VERBS) {
    for (const path of ['/v1', '/v1/stats/', '/v1/collections/c/records/s:a/b', '/v1/Stats']) {
      assert.equal((await ask(url, path, { method })).status, 404, `${method} ${path}`)
    }
  }
  for (const method of ['TRACE', 'PROPFIND']) {
    assert.match(judge(await ask(url, '/v1/stats', { method }), 501), /GET, HEAD, POST/)
  }
})

test('whoever has no key is not told which methods there are', async (t) => {
  const url = await serve(t, { apiKeys: KEYS })
  assert.equal((await ask(url, '/v1/stats', { method: 'PUT' })).status, 401)
  const headers = { authorization: `Bearer ${KEYS.readOnly[0]}` }
  judge(await ask(url, '/v1/stats', { method: 'PUT', headers }), 405)
  // What the key may not do comes first, as ever.
  const write = { method: 'POST', headers: { ...headers, 'content-type': 'text/plain' }, body: 'x' }
  assert.equal((await ask(url, '/v1/collections', write)).status, 403)
})

test('a body of another type is 415, and Accept names those that are taken', async (t) => {
  const url = await serve(t)
  let refused = 0
  for (const { path, methods } of await pathsOf(url)) {
    for (const [verb, { requestBody, responses }] of Object.entries(methods)) {
      if (verb === 'get') continue
      assert.equal(responses[415] !== undefined, requestBody !== undefined)
      const types = Object.keys(requestBody?.content ?? { 'application/json': {} })
      const others = ['text/plain', 'application/x-www-form-urlencoded', 'json', 'application/jso']
      if (types.length === 1) others.push('application/octet-stream')
      for (const type of [...others, undefined]) {
        const headers = type === undefined ? {} : { 'content-type': type }
        const answer = await ask(url, path, { method: verb.toUpperCase(), headers, body: '{}' })
        assert.equal(judge(answer, 415), `a body here is of content type ${types.join(' or ')}`)
        assert.equal(answer.headers.accept, types.join(', '))
        refused += 1
      }
    }
  }
  assert.ok(refused > 80, `${refused}`)
})

test('a compressed body is 415, and Accept-Encoding says that none is taken', async (t) => {
  const url = await serve(t)
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  const answer = await ask(url, '/v1/collections', { method: 'POST', headers, body: '{}' })
  assert.match(judge(answer, 415), /content-encoding/)
  assert.equal(answer.headers['accept-encoding'], 'identity')
})

// curl -d '' says application/x-www-form-urlencoded, of nothing.
test('a body that is empty may be of any type', async (t) => {
  const url = await serve(t)
  for (const type of ['application/x-www-form-urlencoded', 'json', 'application/json']) {
    const headers = { 'content-type': type, 'content-length': '0' }
    assert.equal((await ask(url, '/v1/flush', { method: 'POST', headers })).status, 204)
    assert.equal((await ask(url, '/v1/collections/c', { method: 'PUT', headers })).status, 200)
  }
})
