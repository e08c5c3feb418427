// Who may do what: every route and method, on every port, with every credential; and what is
// refused before a body is read.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import test from 'node:test'
import * as grpc from '@grpc/grpc-js'
import type { Server } from 'omendb/server'
import { OmenDB } from '../../dist/lib/wire/protocol.js'
import { KEYS, serve } from './server-support.js'

const CREDENTIALS = {
  none: undefined,
  wrong: 'wrong-key-0123456789',
  'read-only': KEYS.readOnly[1],
  'read-write': KEYS.readWrite[1],
}
type Credential = keyof typeof CREDENTIALS

/** What reads, and what writes. Everything else of the contract is a mistake of this list. */
const READS = `ListCollections OpenCollection GetCollectionStats GetDatabaseStats Check Get Count
  Search SearchBatch Explain Scroll ScrollStream`.split(/\s+/)
const WRITES = 'DropCollection Flush Backup Write Upload Update Delete Clear Optimize'.split(' ')
const OPEN = ['GET /healthz', 'GET /readyz']

const needed = (credential: Credential, writes: boolean): 'pass' | 401 | 403 => {
  if (credential === 'none' || credential === 'wrong') return 401
  return credential === 'read-only' && writes ? 403 : 'pass'
}

const bearer = (key: string | undefined) =>
  key === undefined ? {} : { authorization: `Bearer ${key}` }

interface Operation {
  description: string
  requestBody?: object
}

/** Every route that OpenAPI tells of. */
async function routesOf(server: Server): Promise<[method: string, path: string, access: string][]> {
  const headers = bearer(KEYS.readOnly[0])
  const response = await fetch(`${server.url}/openapi.json`, { headers })
  const { paths } = (await response.json()) as { paths: Record<string, Record<string, Operation>> }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { description }]) => {
      const access = /may (read|write)/.exec(description)?.[1] ?? 'none'
      return [method.toUpperCase(), path, access] as [string, string, string]
    }),
  )
}

test('REST: every route by every credential', async (t) => {
  const server = await serve(t, { apiKeys: KEYS })
  const routes = await routesOf(server)
  assert.ok(routes.length >= 25)
  const open = routes.filter(([, , access]) => access === 'none').map(([m, p]) => `${m} ${p}`)
  assert.deepEqual(open, OPEN)
  for (const [method, path, access] of routes) {
    for (const [credential, key] of Object.entries(CREDENTIALS)) {
      const url = server.url + path.replace('{name}', 'absent').replace('{id}', 'i:1')
      const response = await fetch(url, { method, headers: bearer(key) })
      const text = await response.text()
      const what = `${method} ${path} with ${credential}: ${response.status} ${text}`
      const wanted =
        access === 'none' ? 'pass' : needed(credential as Credential, access === 'write')
      if (wanted === 'pass') assert.ok(![401].includes(response.status), what)
      else assert.equal(response.status, wanted, what)
      if (wanted === 401) assert.match(text, /"code":"ERR_AUTH"/)
      // Creating needs more than the route does.
      if (wanted === 'pass' && !(method === 'PUT' && credential === 'read-only'))
        assert.notEqual(response.status, 403, what)
    }
  }
})

test('the contract: every method by every credential, over each protocol', async (t) => {
  const server = await serve(t, { apiKeys: KEYS })
  const names = Object.values(OmenDB.method).map(({ name }) => name)
  assert.deepEqual([...READS, ...WRITES].sort(), [...names].sort())
  for (const { name, methodKind } of Object.values(OmenDB.method)) {
    for (const [credential, key] of Object.entries(CREDENTIALS)) {
      const wanted = needed(credential as Credential, WRITES.includes(name))
      const what = `${name} with ${credential}`
      const status = { pass: undefined, 401: 'unauthenticated', 403: 'permission_denied' }[wanted]
      const code = await connectCode(server, name, methodKind !== 'unary', key)
      if (status === undefined) assert.ok(!['unauthenticated'].includes(code), `${what}: ${code}`)
      else assert.equal(code, status, what)
      const number = { pass: undefined, 401: 16, 403: 7 }[wanted]
      for (const grpcCode of [
        await webCode(server, name, key),
        await grpcCodeOf(server, name, key),
      ])
        if (number === undefined) assert.notEqual(grpcCode, 16, what)
        else assert.equal(grpcCode, number, what)
    }
  }
})

async function connectCode(server: Server, name: string, streams: boolean, key?: string) {
  const type = streams ? 'application/connect+proto' : 'application/proto'
  const response = await fetch(`${server.url}/${OmenDB.typeName}/${name}`, {
    method: 'POST',
    headers: { 'content-type': type, 'connect-protocol-version': '1', ...bearer(key) },
    body: streams ? new Uint8Array(5) : new Uint8Array(0),
  })
  const text = await response.text()
  return /"code":"(\w+)"/.exec(text)?.[1] ?? 'ok'
}

async function webCode(server: Server, name: string, key?: string): Promise<number> {
  const response = await fetch(`${server.url}/${OmenDB.typeName}/${name}`, {
    method: 'POST',
    headers: { 'content-type': 'application/grpc-web+proto', ...bearer(key) },
    body: new Uint8Array(5),
  })
  const text = await response.text()
  return Number(response.headers.get('grpc-status') ?? /grpc-status: *(\d+)/.exec(text)?.[1])
}

function grpcCodeOf(server: Server, name: string, key?: string): Promise<number> {
  const address = (server.grpcUrl as string).slice('http://'.length)
  const client = new grpc.Client(address, grpc.credentials.createInsecure())
  const metadata = new grpc.Metadata()
  if (key !== undefined) metadata.set('authorization', `Bearer ${key}`)
  const path = `/${OmenDB.typeName}/${name}`
  const same = (bytes: Buffer) => bytes
  return new Promise((resolve) => {
    const done = (error: grpc.ServiceError | null) => {
      client.close()
      resolve(error?.code ?? 0)
    }
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, done)
  })
}

// What is refused is refused by its headers: a body of any size is not waited for.
test('keys are asked for before the body is read', async (t) => {
  const server = await serve(t, { apiKeys: KEYS })
  const paths = ['/v1/collections/a/records', `/${OmenDB.typeName}/Write`]
  for (const path of paths) {
    for (const key of [undefined, KEYS.readOnly[0]]) {
      const status = await new Promise<number>((resolve, reject) => {
        const headers = {
          'content-type': 'application/json',
          'content-length': 1e6,
          ...bearer(key),
        }
        const request = http.request(server.url + path, { method: 'POST', headers }, (response) => {
          resolve(response.statusCode as number)
          request.destroy()
        })
        request.on('error', reject)
        request.flushHeaders() // And nothing of the body.
      })
      assert.equal(status, key === undefined ? 401 : 403, path)
    }
  }
})

test('a read-only key opens what is there and creates nothing', async (t) => {
  const server = await serve(t, { apiKeys: KEYS })
  const call = (key: string, method: string, body: object) =>
    fetch(`${server.url}/v1/collections/a`, {
      method,
      headers: { 'content-type': 'application/json', ...bearer(key) },
      body: JSON.stringify(body),
    })
  const [rw, ro] = [KEYS.readWrite[0] as string, KEYS.readOnly[0] as string]
  assert.equal((await call(ro, 'PUT', {})).status, 403)
  assert.equal((await call(rw, 'PUT', { dimensions: 2 })).status, 200)
  assert.equal((await call(ro, 'PUT', {})).status, 200)
  assert.equal((await call(ro, 'PUT', { dimensions: 3 })).status, 409)
})

test('other hosts and other origins are refused, those that are allowed are not', async (t) => {
  const server = await serve(t, {
    corsOrigins: ['https://app.example.com'],
    allowedHosts: ['db.example.com'],
  })
  const { port } = new URL(server.url)
  const status = (headers: Record<string, string>, method = 'GET') =>
    new Promise<[number, http.IncomingHttpHeaders]>((resolve, reject) => {
      const target = { port, path: '/v1/collections', method, headers }
      const request = http.request(target, (response) => {
        response.resume()
        resolve([response.statusCode as number, response.headers])
      })
      request.on('error', reject)
      request.end()
    })
  for (const host of ['localhost', `127.0.0.1:${port}`, '[::1]:1', 'DB.example.com'])
    assert.equal((await status({ host }))[0], 200, host)
  for (const host of ['evil.example.com', 'localhost.evil.com', '127.0.0.1.nip.io'])
    assert.equal((await status({ host }))[0], 403, host)
  const [ok, headers] = await status({ origin: 'https://app.example.com' })
  assert.equal(ok, 200)
  assert.equal(headers['access-control-allow-origin'], 'https://app.example.com')
  const [preflight] = await status({ origin: 'https://app.example.com' }, 'OPTIONS')
  assert.equal(preflight, 204)
  for (const origin of ['https://evil.com', 'null', 'https://app.example.com.evil.com']) {
    const [refused, without] = await status({ origin })
    assert.equal(refused, 403, origin)
    assert.equal(without['access-control-allow-origin'], undefined)
  }
})

// Names reach no file system and no other collection.
test('500 names that would climb are refused', async (t) => {
  const server = await serve(t)
  const parts = ['..', '../', '..\\', '%2e%2e', '/etc/passwd', '....//', '\0', '~', 'C:\\', ' ']
  const forms = [
    (p: string) => p,
    (p: string) => `a${p}b`,
    (p: string) => p.repeat(5),
    (p: string) => `${p}/${p}`,
    (p: string) => `${p}default`,
  ]
  const codings = [
    encodeURIComponent,
    (n: string) => encodeURIComponent(encodeURIComponent(n)),
    (n: string) => [...Buffer.from(n)].map((b) => `%${b.toString(16).padStart(2, '0')}`).join(''),
    (n: string) => encodeURIComponent(n).replaceAll('%', '%25'),
    (n: string) => `%00${encodeURIComponent(n)}`,
  ]
  const names = parts.flatMap((p) => forms.map((f) => f(p)))
  let tried = 0
  for (const name of names)
    for (const coding of codings) {
      for (const [method, rest] of [
        ['PUT', ''],
        ['POST', '/clear'],
      ]) {
        const url = `${server.url}/v1/collections/${coding(name)}${rest}`
        const response = await fetch(url, { method: method as string })
        const text = await response.text()
        assert.ok([400, 404].includes(response.status), `${url}: ${response.status} ${text}`)
        tried++
      }
    }
  assert.ok(tried >= 500, `${tried}`)
  const listed = await fetch(`${server.url}/v1/collections`)
  assert.equal(await listed.text(), '{"collections":[]}')
})

test('the log has neither keys nor vectors nor filters', async (t) => {
  const lines: string[] = []
  const log = { write: (line: string) => lines.push(line) }
  const server = await serve(t, { log, logLevel: 'trace', apiKeys: KEYS })
  const send = (path: string, body: string, key: string | undefined) =>
    fetch(server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(key) },
      body,
    })
  const rw = KEYS.readWrite[0] as string
  await send('/v1/collections', '{"name":"a","dimensions":2}', rw)
  await send('/v1/collections/a/records', '{"vectors":[[0.123456,1]]}', rw)
  await send(
    '/v1/collections/a/search?x=secret',
    '{"vector":[0.123456,1],"filter":{"secret":1}}',
    rw,
  )
  await send('/v1/collections/a/search', '{"vector":[0.123456,1', rw)
  await send('/v1/collections/a/search', '{}', CREDENTIALS.wrong)
  const text = lines.join('')
  assert.ok(lines.length >= 7, text)
  assert.match(text, /"code":"ERR_AUTH"/)
  for (const secret of [...KEYS.readWrite, CREDENTIALS.wrong, '0.123456', 'secret'])
    assert.ok(!text.includes(secret), `${secret} in ${text}`)
})

// The connection of a caller who sends its headers for ever is closed.
test('slow headers and slow bodies are cut off', { timeout: 30_000 }, async (t) => {
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 600 }
  const server = await serve(t, { limits })
  const port = Number(new URL(server.url).port)
  const cutOff = (text: string, port: number) =>
    new Promise<number>((resolve) => {
      const start = Date.now()
      const socket = net.connect(port, '127.0.0.1', () => socket.write(text))
      socket.resume()
      socket.on('error', () => {})
      socket.on('close', () => resolve(Date.now() - start))
    })
  const head = 'POST /v1/collections HTTP/1.1\r\nhost: localhost\r\n'
  const body = `${head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{`
  const grpcPort = Number(new URL(server.grpcUrl as string).port)
  const times = await Promise.all([cutOff(head, port), cutOff(body, port), cutOff('PRI', grpcPort)])
  for (const ms of times) assert.ok(ms < 8000, `${ms} ms`)
})
