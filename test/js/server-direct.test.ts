// Searches over REST that go past Fastify are answered as those that go through it: the same
// status, headers and body, whatever is asked. A name with an escaped letter goes through it.
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { Client } from 'omendb'
import { KEYS, serve } from './server-support.js'

interface Answer {
  status: number | undefined
  headers: http.IncomingHttpHeaders
  body: string
}

interface Asked {
  query?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
}

function ask(url: string, name: string, { query = '', headers = {}, body }: Asked) {
  const path = `/v1/collections/${name}/search${query}`
  const sent = body === undefined ? '' : body
  const length = { 'content-length': String(Buffer.byteLength(sent)) }
  return new Promise<Answer>((resolve, reject) => {
    const options = { method: 'POST', path, headers: { ...length, ...headers }, agent: false }
    const request = http.request(url, options, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece) => pieces.push(piece))
      response.on('end', () => {
        const { statusCode: status, headers: answered } = response
        const { date: _, ...others } = answered
        resolve({ status, headers: others, body: Buffer.concat(pieces).toString() })
      })
    })
    request.on('error', reject)
    request.end(sent)
  })
}

const JSON_HEAD = { 'content-type': 'application/json' }
const BYTES_HEAD = { 'content-type': 'application/octet-stream' }
const floats = (...numbers: number[]) => new Uint8Array(Float32Array.from(numbers).buffer)
const json = (value: unknown, more: Asked = {}): Asked => ({
  headers: JSON_HEAD,
  body: JSON.stringify(value),
  ...more,
})
const bytes = (body: Uint8Array, query = ''): Asked => ({ headers: BYTES_HEAD, body, query })

const CASES: Record<string, Asked> = {
  'a search': json({ vector: [1, 2] }),
  'a search with everything': json({
    ...{ vector: [1, 2], k: 3, ef: 50, include: 'both', exact: true, maxDistance: 100 },
    filter: { n: { $gte: 2 } },
  }),
  base64: json({ vector: Buffer.from(floats(1, 2)).toString('base64') }),
  bytes: bytes(floats(1, 2)),
  'bytes with a query': bytes(floats(1, 2), '?k=2&include=none&exact=true&ef=20'),
  'bytes with a filter': bytes(floats(1, 2), `?filter=${encodeURIComponent('{"n":3}')}`),
  'a query that is given twice': bytes(floats(1, 2), '?k=2&k=3'),
  'a query with an unknown key': bytes(floats(1, 2), '?top=3'),
  'a query beside JSON': json({ vector: [1, 2] }, { query: '?k=2' }),
  'a query of plus signs and escapes': bytes(floats(1, 2), '?include=%6eone&k=+2'),
  'a query that is no escape': bytes(floats(1, 2), '?include=%zz'),
  'an empty query': bytes(floats(1, 2), '?'),
  'no body': { headers: JSON_HEAD },
  'no bytes': bytes(new Uint8Array()),
  'bytes that are no floats': bytes(new Uint8Array(7)),
  'too many dimensions': bytes(floats(1, 2, 3)),
  'a number that is none': bytes(floats(1, Number.NaN)),
  'JSON that is none': { headers: JSON_HEAD, body: '{"vector":[1,2' },
  'JSON that is no UTF-8': { headers: JSON_HEAD, body: Uint8Array.of(0x22, 0xff, 0x22) },
  'JSON that is no object': json([1, 2]),
  'JSON that is too deep': { headers: JSON_HEAD, body: '['.repeat(1000) },
  'an unknown key': json({ vector: [1, 2], limit: 3 }),
  'a k that is none': json({ vector: [1, 2], k: 0 }),
  'a k past the limit': json({ vector: [1, 2], k: 1_000_000 }),
  'a filter that is none': json({ vector: [1, 2], filter: { n: { $x: 1 } } }),
  'no content type': { body: floats(1, 2) },
  'another content type': { headers: { 'content-type': 'text/plain' }, body: 'x' },
  'a charset': json(
    { vector: [1, 2] },
    {
      headers: { 'content-type': 'application/json; charset=utf-8' },
    },
  ),
  'a time': json({ vector: [1, 2] }, { headers: { ...JSON_HEAD, 'omendb-timeout-ms': '1000' } }),
  'no time at all': json(
    { vector: [1, 2] },
    {
      headers: { ...JSON_HEAD, 'omendb-timeout-ms': '0' },
    },
  ),
  'a time that is none': json(
    { vector: [1, 2] },
    {
      headers: { ...JSON_HEAD, 'omendb-timeout-ms': 'soon' },
    },
  ),
  'a key that is none': json(
    { vector: [1, 2] },
    {
      headers: { ...JSON_HEAD, authorization: 'Bearer no-such-key-at-all' },
    },
  ),
}

test('whether a search goes past Fastify cannot be told from its answer', async (t) => {
  const server = await serve(t, { apiKeys: KEYS })
  const apiKey = KEYS.readWrite[0] as string
  const client = new Client(server.url, { apiKey })
  const c = await client.collection('c', { dimensions: 2, metric: 'l2' })
  const numbers = Array.from({ length: 20 }, (_, n) => n)
  await c.add({
    vectors: numbers.map((n) => [n, 1]),
    metadata: numbers.map((n) => ({ n })),
  })
  const key = { authorization: `Bearer ${KEYS.readOnly[0]}` }
  let refused = 0
  for (const [name, asked] of Object.entries(CASES)) {
    const whole = { ...asked, headers: { ...key, ...asked.headers } }
    const [past, through] = [await ask(server.url, 'c', whole), await ask(server.url, '%63', whole)]
    assert.deepEqual(past, through, name)
    if (past.status !== 200) refused++
    else assert.ok(Array.isArray(JSON.parse(past.body).hits ?? JSON.parse(past.body)), name)
  }
  assert.ok(refused > 15 && refused < Object.keys(CASES).length - 8, `${refused} were refused`)
  for (const [past, through] of [
    ['absent', '%61bsent'],
    ['a'.repeat(600), `%61${'a'.repeat(599)}`],
    ['a'.repeat(5000), `%61${'a'.repeat(4999)}`],
    ['-', '%2d'],
  ] as const) {
    const asked = json({ vector: [1, 2] }, { headers: { ...JSON_HEAD, ...key } })
    const [one, other] = [await ask(server.url, past, asked), await ask(server.url, through, asked)]
    assert.deepEqual([one.status, one.headers], [other.status, other.headers], past.slice(0, 20))
    assert.ok((one.status as number) >= 400)
  }
  await client.close()
})
