// Every limit at one below, at it and one above; and input that no client of ours would send.
import assert from 'node:assert/strict'
import http2 from 'node:http2'
import net from 'node:net'
import test from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { Client, DB, type ErrorCode } from 'omendb'
import {
  create,
  Include,
  OmenDB,
  ScrollRequestSchema,
  toBinary,
} from '../../dist/lib/wire/protocol.js'
import { clientOf, directory, serve } from './server-support.js'
import { flatVectors, random, rejected } from './support.js'

type Try = (n: number) => Promise<unknown>

/** `run` is let pass at limit - 1 and limit, and refused at limit + 1. */
async function around(limit: number, run: Try, code: ErrorCode = 'ERR_LIMIT'): Promise<void> {
  for (const n of [limit - 1, limit]) await run(n)
  await rejected(() => run(limit + 1) as Promise<unknown>, code)
}

test('limits of batches, k, ef and hits', async (t) => {
  const limits = { batchRows: 5, batchQueries: 4, batchHits: 12, k: 6, ef: 80, uploadBytes: 5 * 8 }
  const server = await serve(t, { limits })
  for (const way of ['Connect', 'REST', 'gRPC'] as const) {
    const client = clientOf(server, way)
    const c = await client.collection(`c-${way}`, { dimensions: 2 })
    const query = [1, 2]
    await around(5, (n) => c.addBatch(flatVectors(n, 2)))
    await around(4, (n) => c.get(Array.from({ length: n }, (_, i) => i)))
    await around(4, (n) => c.delete(Array.from({ length: n }, (_, i) => i + 1e6)))
    await around(4, (n) =>
      c.searchBatch(
        Array.from({ length: n }, () => query),
        { k: 1 },
      ),
    )
    await around(6, (n) => c.searchBatch([query, query], { k: n }), 'ERR_LIMIT')
    await around(4, (n) => c.searchBatch([query, query, query], { k: n }))
    await around(6, (n) => c.search(query, { k: n }))
    await around(80, (n) => c.search(query, { k: 1, ef: n }))
    const wide = await client.collection(`w-${way}`, { dimensions: 10 })
    await wide.addBatch(flatVectors(1, 10))
    await rejected(() => wide.addBatch(flatVectors(2, 10)), 'ERR_LIMIT')
    await client.close()
  }
})

test('limits of bodies, and of what is nested in them', async (t) => {
  const server = await serve(t, { limits: { bodyBytes: 1000, jsonDepth: 10 } })
  const url = `${server.url}/v1/collections/c`
  const send = async (method: string, path: string, body: string | Uint8Array, type = 'json') => {
    const headers = { 'content-type': `application/${type}` }
    const response = await fetch(url + path, { method, headers, body: body as string })
    return [response.status, await response.text()] as [number, string]
  }
  assert.equal((await send('PUT', '', '{"dimensions":2,"metric":"l2"}'))[0], 200)
  const padded = (n: number) => '{"filter":{}}'.padEnd(n, ' ')
  for (const n of [999, 1000]) assert.equal((await send('POST', '/count', padded(n)))[0], 200)
  const [status, text] = await send('POST', '/count', padded(1001))
  assert.equal(status, 413)
  assert.match(text, /"code":"ERR_LIMIT"/)
  // Without a length, what comes is counted.
  const port = Number(new URL(server.url).port)
  const chunk = `${'3e9'}\r\n${padded(1001)}\r\n0\r\n\r\n`
  const head =
    'POST /v1/collections/c/count HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n'
  assert.match(await raw(port, `${head}content-type: application/json\r\n\r\n${chunk}`), /413/)
  const nested = (depth: number) =>
    `{"filter":${'{"$not":'.repeat(depth - 1)}{}${'}'.repeat(depth)}`
  assert.equal((await send('POST', '/count', nested(9)))[0], 200)
  const [deep, why] = await send('POST', '/count', nested(10))
  assert.equal(deep, 413, why)
  assert.equal((await send('POST', '/count', '['.repeat(1000)))[0], 413)
  assert.equal((await send('POST', '/count', `"${'['.repeat(500)}"`))[0], 400)
  // One message of Connect and of gRPC.
  const client = new Client(server.url)
  const c = await client.collection('c')
  await c.add({ id: 1, vector: [1, 2], metadata: { text: 'x'.repeat(900) } })
  const big = { id: 2, vector: [1, 2], metadata: { text: 'x'.repeat(1000) } }
  await rejected(() => c.add(big), 'ERR_LIMIT')
  const standard = clientOf(server, 'gRPC')
  await rejected(async () => (await standard.collection('c')).add(big), 'ERR_LIMIT')
  assert.equal(await c.count(), 1)
  await Promise.all([client.close(), standard.close()])
})

function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (data) => {
      answer += data
      socket.end()
    })
    socket.on('error', () => resolve(answer))
    socket.on('close', () => resolve(answer))
  })
}

test('limits of requests at work', async (t) => {
  const server = await serve(t, { limits: { concurrency: 2 } })
  const { port } = new URL(server.url)
  const head =
    'POST /v1/collections HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
  const open = () => {
    const socket = net.connect(Number(port), '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`${head}content-length: 10\r\n\r\n{`)
    return socket
  }
  const held = [open()]
  const status = async () => (await fetch(`${server.url}/v1/collections`)).status
  await seen()
  assert.equal(await status(), 200)
  held.push(open())
  await seen()
  const busy = await fetch(`${server.url}/v1/collections`)
  assert.equal(busy.status, 429)
  assert.equal(busy.headers.get('retry-after'), '1')
  assert.match(await busy.text(), /"code":"ERR_BUSY"/)
  for (const socket of held) socket.destroy()
  const client = new Client(server.url, { retries: 6 }) // Waits until there is room.
  await client.listCollections()
  await client.close()
})

/** Requests are seen a moment after they were sent. */
const seen = () => new Promise((resolve) => setTimeout(resolve, 100))

test('answers that their callers do not take are given up', async (t) => {
  const limits = { timeoutMs: 1000, headersTimeoutMs: 500, requestTimeoutMs: 1000 }
  const data = directory(t)
  const rows = 2000 // 8 MB: more than sockets hold.
  const db = await DB.open(data)
  const c = await db.collection('c', { dimensions: 1024 })
  await c.addBatch(flatVectors(rows, 1024))
  await db.close()
  const server = await serve(t, { data, limits })
  await server.ready
  const all = { collection: 'c', include: Include.VECTOR, limit: rows }
  const scroll = toBinary(ScrollRequestSchema, create(ScrollRequestSchema, all))
  const envelope = Buffer.concat([Buffer.alloc(5), scroll])
  envelope.writeUInt32BE(scroll.length, 1)
  const { port } = new URL(server.url)
  const ask = (target: string, type: string, body: Uint8Array): net.Socket => {
    const socket = net.connect(Number(port), '127.0.0.1').pause()
    socket.on('error', () => {})
    socket.write(`POST ${target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\n`)
    socket.write(`connect-protocol-version: 1\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.write(body)
    return socket
  }
  const at = `/${OmenDB.typeName}`
  const json = Buffer.from(JSON.stringify({ limit: rows, include: 'vector' }))
  const askGrpc = (method: string): http2.ClientHttp2Session => {
    const session = http2.connect(server.grpcUrl as string)
    const head = {
      ':method': 'POST',
      ':path': `${at}/${method}`,
      'content-type': 'application/grpc',
    }
    const stream = session.request(head).pause()
    stream.on('error', () => {})
    stream.end(envelope)
    return session
  }
  // A machine that is busy may cut this one off too.
  const running = async (): Promise<number> => {
    const answer = await fetch(`${server.url}/metrics`).catch(() => undefined)
    const text = (await answer?.text()) ?? ''
    return Number(/^omendb_running_requests (\d+)$/m.exec(text)?.[1] ?? Infinity) - 1
  }
  const wait = async (count: number): Promise<void> => {
    const until = performance.now() + 15_000
    while ((await running()) !== count && performance.now() < until) await seen()
    assert.equal(await running(), count)
  }
  for (const one of [
    () => ask('/v1/collections/c/records/scroll', 'application/json', json),
    () => ask(`${at}/Scroll`, 'application/proto', scroll),
    () => ask(`${at}/ScrollStream`, 'application/connect+proto', envelope),
    () => askGrpc('Scroll'),
    () => askGrpc('ScrollStream'),
  ]) {
    const asked = one()
    await wait(1)
    await wait(0)
    asked.destroy()
  }
})

test('a time-out of the server ends what takes longer', async (t) => {
  const data = directory(t)
  const db = await DB.open(data)
  const loaded = await db.collection('c', { dimensions: 16 })
  await loaded.addBatch(flatVectors(20_000, 16))
  await db.close()
  const server = await serve(t, { data, limits: { timeoutMs: 50 } })
  const client = new Client(server.url)
  const c = await client.collection('c')
  const search = () => c.searchBatch(flatVectors(10_000, 16), { exact: true, k: 100 })
  await rejected(search, 'ERR_TIMEOUT')
  await client.close()
})

/** Once more where the server had closed a connection that was idle, as HTTP lets it. */
function sent(url: string, init: RequestInit): Promise<Response> {
  return fetch(url, init).catch(() => fetch(url, init))
}

// Whatever comes, the answer is a refusal and the server lives.
test('malformed messages and bodies', { timeout: 60_000 }, async (t) => {
  const server = await serve(t)
  const client = new Client(server.url)
  await client.add({ id: 1, vector: [1, 2] })
  const next = random()
  const rounds = Number(process.env.OMENDB_MALFORMED ?? 40)
  const bytes = () => Uint8Array.from({ length: Math.floor(next() * 60) }, () => next() * 256)
  const types = ['application/proto', 'application/connect+proto', 'application/grpc-web+proto']
  types.push('application/json', 'text/html', 'application/octet-stream')
  const paths = ['search', 'records', 'search/batch', 'count', 'records/get', 'explain']
  const address = (server.grpcUrl as string).slice('http://'.length)
  const standard = new grpc.Client(address, grpc.credentials.createInsecure())
  t.after(() => standard.close())
  let refused = 0
  for (let i = 0; i < rounds; i++) {
    for (const { name } of Object.values(OmenDB.method)) {
      if (['Flush', 'Check', 'ListCollections', 'GetDatabaseStats', 'Backup'].includes(name))
        continue
      const type = types[i % types.length] as string
      const body = bytes()
      const headers = { 'content-type': type, 'connect-protocol-version': '1' }
      const init = { method: 'POST', headers, body }
      const response = await sent(`${server.url}/${OmenDB.typeName}/${name}`, init)
      await response.arrayBuffer()
      assert.ok(response.status !== 500, `${name} ${type} ${Buffer.from(body).toString('hex')}`)
      if (i % 8 !== 0) continue
      const same = (b: Buffer) => b
      const code = await new Promise<number>((resolve) =>
        standard.makeUnaryRequest(
          `/${OmenDB.typeName}/${name}`,
          same,
          same,
          Buffer.from(body),
          (e) => resolve(e?.code ?? 0),
        ),
      )
      if (code !== 0) refused++
      assert.ok(![2, 13].includes(code), `${name}: ${code}`)
    }
    for (const path of paths) {
      const url = `${server.url}/v1/collections/default/${path}`
      for (const type of ['json', 'octet-stream']) {
        const headers = { 'content-type': `application/${type}` }
        const response = await sent(url, { method: 'POST', headers, body: bytes() })
        const text = await response.text()
        assert.ok(response.status < 500, `${path} ${response.status} ${text}`)
        if (response.status >= 400) assert.match(text, /"code":"ERR_/)
      }
    }
  }
  assert.ok(refused > 0)
  assert.equal(await client.has(1), true)
  const [report] = await client.check()
  assert.equal(report?.ok, true)
  await client.close()
})

test('bodies that are nearly right are refused with the place of the fault', async (t) => {
  const server = await serve(t)
  const url = `${server.url}/v1/collections/c`
  const send = async (path: string, body: string, method = 'POST') => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url + path, { method, headers, body })
    return (await response.json()) as { code: string; path?: string; row?: number; status: number }
  }
  await send('', '{"dimensions":2}', 'PUT')
  const cases: [path: string, body: string, code: string, where?: string | number][] = [
    ['/search', '{"vector":[1,2],"k":"5"}', 'ERR_ARGUMENT', 'k'],
    ['/search', '{"vector":[1,2],"kk":5}', 'ERR_ARGUMENT'],
    ['/search', '{"vector":[1,null]}', 'ERR_VECTOR'],
    ['/search', '{"vector":"????"}', 'ERR_VECTOR'],
    ['/search', '{"vector":[1]}', 'ERR_DIMENSIONS'],
    ['/search', '{"vector":[1,2],"include":"all"}', 'ERR_ARGUMENT', 'include'],
    ['/search', '{"vector":[1,2],"filter":[]}', 'ERR_FILTER'],
    ['/search', '{"vector":[1,2],"filter":{"a":{"$x":1}}}', 'ERR_FILTER', 'a.$x'],
    ['/search', '{"vector":[1,2]', 'ERR_ARGUMENT'],
    ['/search/batch', '{"vectors":[[1,2]],"count":2}', 'ERR_ARGUMENT'],
    ['/search', '', 'ERR_ARGUMENT'],
    ['/records', '{"vectors":[[1,2],[1,2,3]]}', 'ERR_DIMENSIONS', 1],
    ['/records', '{"ids":[1.5],"vectors":[[1,2]]}', 'ERR_ID', 0],
    ['/records', '{"vectors":[[1,2],[1,null]]}', 'ERR_VECTOR', 1],
    ['/records', '{"vectors":[[1,2]],"metadata":[{"a":[1,1e999]}]}', 'ERR_METADATA', 'a[1]'],
    ['/records', '{"ids":[{"$int":"99999999999999999999"}],"vectors":[[1,2]]}', 'ERR_ID', 0],
    ['/records', '{"ids":["a"],"vectors":[[1,2]],"metadata":[{"$x":1}]}', 'ERR_METADATA', 0],
    ['/records/scroll', '{"limit":0}', 'ERR_ARGUMENT'],
  ]
  for (const [path, body, code, where] of cases) {
    const problem = await send(path, body)
    assert.equal(problem.code, code, `${body}: ${JSON.stringify(problem)}`)
    if (typeof where === 'string')
      assert.ok(problem.path?.startsWith(where), JSON.stringify(problem))
    if (typeof where === 'number') assert.equal(problem.row, where)
  }
})
