// JSON that is nested deep is refused before it is parsed, whichever way it comes. limits.jsonDepth
// bounded REST alone: 30 MB of brackets in a body of Connect's JSON held the server for 16 seconds
// and took 1.6 GB. Texts of JSON in messages have the engine's bounds, with or without a server.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import test from 'node:test'
import { Client, DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

const DEPTH = 20

async function served(t) {
  const limits = { jsonDepth: DEPTH }
  const server = await createServer({ port: 0, grpcPort: 0, logLevel: 'silent', limits })
  t.after(() => server.close())
  const client = new Client(server.url)
  t.after(() => client.close())
  await client.createCollection('c', { dimensions: 2 })
  return { server, client }
}

/** A text of so many levels, of which `rest` is the first. What is in texts does not count. */
const levels = (n, rest) =>
  `{"q\\"[{":"[[{\\\\",${rest}"x":${'['.repeat(n - 1)}${']'.repeat(n - 1)}}`

function framed(...texts) {
  const frames = texts.flatMap((text) => {
    const head = Buffer.alloc(5)
    // A length whose bytes are a bracket or a quote counts for nothing.
    const bytes = Buffer.from(text.padEnd(0x225b))
    head.writeUInt32BE(bytes.length, 1)
    return [head, bytes]
  })
  return Buffer.concat(frames)
}

const at = (method) => `/omendb.v1.OmenDB/${method}`
const of = '"collection":"c",'
const begin = '{"begin":{"collection":"c","rows":1}}'
/** Each way: where, as what, and a body of so many levels. */
const WAYS = {
  REST: ['/v1/collections/c/count', 'application/json', (n) => levels(n, '')],
  'a search of REST': ['/v1/collections/c/search', 'application/json', (n) => levels(n, '')],
  Connect: [at('Count'), 'application/json', (n) => levels(n, of)],
  'Connect, with a charset': [at('Count'), 'application/json; charset=utf-8', (n) => levels(n, of)],
  'a stream of Connect': [
    at('ScrollStream'),
    'application/connect+json',
    (n) => framed(levels(n, of)),
  ],
  'an upload': [at('Upload'), 'application/connect+json', (n) => framed(begin, levels(n, ''))],
  'gRPC-web': [at('Count'), 'application/grpc-web+json', (n) => framed(levels(n, of))],
}

for (const [name, [path, type, bodyOf]] of Object.entries(WAYS)) {
  test(`${name}: JSON is nested as deep as it may be, and no deeper`, async (t) => {
    const { server } = await served(t)
    for (const [depth, isRefused] of [
      [DEPTH, false],
      [DEPTH + 1, true],
      [1_000_000, true],
    ]) {
      const body = bodyOf(depth)
      const headers = { 'content-type': type }
      const response = await fetch(server.url + path, { method: 'POST', headers, body })
      const text = `${response.headers.get('grpc-message')} ${await response.text()}`
      assert.equal(/nested deeper than 20/.test(decodeURIComponent(text)), isRefused, text)
    }
  })
}

test('gRPC with JSON: likewise', async (t) => {
  const { server } = await served(t)
  const session = http2.connect(server.grpcUrl)
  t.after(() => session.close())
  for (const [depth, isRefused] of [
    [DEPTH, false],
    [DEPTH + 1, true],
  ]) {
    const type = 'application/grpc+json'
    const stream = session.request({
      ':method': 'POST',
      ':path': at('Count'),
      'content-type': type,
    })
    let told
    for (const event of ['response', 'trailers']) {
      stream.on(event, (headers) => {
        told ??= headers['grpc-message']
      })
    }
    stream.on('error', () => {})
    stream.resume()
    stream.end(framed(levels(depth, of)))
    await once(stream, 'close')
    assert.equal(/nested deeper than 20/.test(told ?? ''), isRefused, told)
  }
})

test('one byte at a time is as deep as all at once', async (t) => {
  const { server } = await served(t)
  for (const [depth, isRefused] of [
    [DEPTH, false],
    [DEPTH + 1, true],
  ]) {
    const bytes = framed(levels(depth, of)).subarray(0, 5 + 120)
    bytes.writeUInt32BE(120, 1)
    const body = new ReadableStream({
      async start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
        controller.close()
      },
    })
    const response = await fetch(server.url + at('ScrollStream'), {
      ...{ method: 'POST', duplex: 'half', body },
      headers: { 'content-type': 'application/connect+json' },
    })
    const text = await response.text()
    assert.equal(/nested deeper/.test(text), isRefused, text)
  }
})

// Over every transport and without one: 64 levels of metadata, 32 of a filter.
test('texts within messages have the bounds of the engine', async (t) => {
  const { client } = await served(t)
  const db = new DB()
  t.after(() => db.close())
  const local = await db.collection('c', { dimensions: 2 })
  const remote = await client.collection('c')
  const nested = (n, wrap) => (n === 1 ? { a: 1 } : wrap(nested(n - 1, wrap)))
  for (const c of [local, remote]) {
    const metadata = (n) => nested(n, (a) => ({ a }))
    await c.add({ vector: [1, 2], metadata: metadata(64) })
    await assert.rejects(c.add({ vector: [1, 2], metadata: metadata(65) }), {
      code: 'ERR_METADATA',
    })
    const filter = (n) => nested(n, ($not) => ({ $not }))
    await c.count(filter(32))
    await assert.rejects(c.count(filter(33)), { code: 'ERR_FILTER' })
  }
})
