// Every error that can reach a client, provoked over REST, Connect and gRPC: its status, its code,
// its details, its message. A code that is added to the table must be placed here.
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import net from 'node:net'
import test, { type TestContext } from 'node:test'
import { DB, ERROR_CODES, type ErrorCode } from 'omendb'
import type { Server, ServerOptions } from 'omendb/server'
import { native } from '../../dist/lib/native.js'
import { REST_ADVICE } from '../../dist/lib/words.js'
import { type Answer, type Ask, connectAnswer, grpcAnswer, restAnswer } from './server-ask.js'
import { directory, KEYS, serve } from './server-support.js'

const floats = (...numbers: number[]) => new Uint8Array(Float32Array.from(numbers).buffer)
const texts = (...list: string[]) => ({ texts: list })
const batch = (ids: string[], metadata: string[] = []) => ({
  ids: texts(...ids),
  vectors: floats(...ids.flatMap(() => [1, 2])),
  metadata,
})
const at = '/v1/collections/c'
const post = (path: string, body: object): Ask['rest'] => ['POST', at + path, body]
const rows = (ids: string[], extra = {}) => ({ ids, vectors: ids.map(() => [1, 2]), ...extra })

const write = (ids: string[], metadata: object[] = []): Ask => ({
  method: 'write',
  init: {
    collection: 'c',
    rows: ids.length,
    batch: batch(
      ids,
      metadata.map((m) => JSON.stringify(m)),
    ),
  },
  rest: post('/records', rows(ids, metadata.length > 0 ? { metadata } : {})),
})
const search = (init: object, body: object = init): Ask => ({
  method: 'search',
  init: { collection: 'c', query: floats(1, 2), ...init },
  rest: post('/search', { vector: [1, 2], ...body }),
})
const backup: Ask = { method: 'backup', init: {}, rest: ['POST', '/v1/backup'] }
const list: Ask = { method: 'listCollections', init: {}, rest: ['GET', '/v1/collections'] }

interface Case extends Ask {
  /** Options of the server; those without share one. */
  server?: ServerOptions
  details?: { row?: number; path?: string; id?: string }
  says?: RegExp
}

const bad = Buffer.from(floats(Number.NaN, 1)).toString('base64')
const CASES: Partial<Record<ErrorCode, Case>> = {
  ERR_ARGUMENT: { ...search({ k: 0 }), says: /k is an integer/ },
  ERR_DIMENSIONS: search({ query: floats(1, 2, 3) }, { vector: [1, 2, 3] }),
  ERR_VECTOR: {
    method: 'write',
    init: { collection: 'c', rows: 1, batch: { vectors: floats(Number.NaN, 1) } },
    rest: post('/records', { vectors: [bad] }),
    details: { row: 0 },
  },
  ERR_ID: { ...write(['a'.repeat(513)]), details: { row: 0 } },
  ERR_EXISTS: { ...write(['new', 'old']), details: { row: 1, id: 'old' } },
  ERR_DUPLICATE: { ...write(['x', 'y', 'x']), details: { row: 2, id: 'x' } },
  ERR_NOT_FOUND: {
    method: 'count',
    init: { collection: 'absent' },
    rest: ['POST', '/v1/collections/absent/count', {}],
    says: /absent/,
  },
  ERR_METADATA: {
    ...write(['x', 'y'], [{}, { a: { $b: 1 } }]),
    details: { row: 1, path: 'a.$b' },
  },
  ERR_FILTER: {
    ...search({ filter: '{"a":{"$x":1}}' }, { filter: { a: { $x: 1 } } }),
    details: { path: 'a.$x' },
  },
  ERR_OPTIONS: {
    method: 'openCollection',
    init: { name: 'c', options: { metric: 'dot' } },
    rest: ['PUT', at, { metric: 'dot' }],
  },
  ERR_TIMEOUT: { ...search({}), timeoutMs: 0 },
  ERR_MEMORY: { ...write(['x']), server: { maxMemoryBytes: 1 } },
  ERR_READ_ONLY: { ...write(['x']), server: { readOnly: true } },
  ERR_IO: { ...backup, says: /ENOENT/ },
  ERR_UNSUPPORTED: { ...backup, says: /in memory/ },
  ERR_AUTH: { ...list, key: 'unknown-0123456789', server: { apiKeys: KEYS } },
  ERR_FORBIDDEN: { ...write(['x']), key: KEYS.readOnly[0] as string, server: { apiKeys: KEYS } },
  ERR_LIMIT: { ...search({ k: 11 }), server: { limits: { k: 10 } }, says: /at most 10/ },
  ERR_BUSY: { ...list, server: { limits: { concurrency: 1, drainMs: 100 } } },
  ERR_UNAVAILABLE: { ...list, says: /opening/ },
  ERR_NATIVE: { ...list, says: /its log says why/ },
}

/** What no server tells, and why. */
const NEVER: Partial<Record<ErrorCode, string>> = {
  ERR_DETACHED: "the caller's buffers are in another process",
  ERR_CLOSED: 'a server that closes its database says ERR_UNAVAILABLE',
  ERR_ABORTED: 'who gave up reads no answer; logs and metrics have it',
  ERR_LOCKED: 'told by the start, which fails: server-crash.test.ts',
  ERR_CORRUPT: 'told by the start, which fails; check() reports damage and throws nothing',
  ERR_FORMAT: 'told by the start, which fails',
}
/** What a failing device alone provokes; server-standard.test.ts has handlers throw each code. */
const DEVICE: ErrorCode[] = ['ERR_IO_POISONED', 'ERR_NO_SPACE']

test('every code of the table is provoked, or it is said why it cannot be', () => {
  const placed = [...Object.keys(CASES), ...Object.keys(NEVER), ...DEVICE]
  assert.deepEqual(placed.sort(), Object.keys(ERROR_CODES).sort())
})

/** A server in the state that the code is of. */
async function serverFor(t: TestContext, code: ErrorCode, given: ServerOptions): Promise<Server> {
  if (code === 'ERR_UNAVAILABLE') {
    const core = require('../../dist/lib/server/core.js')
    // Its ports are bound, and its database is not open: that of a directory that is not there.
    const options = { port: 0, grpcPort: 0, logLevel: 'silent', data: '/no/such/directory' }
    const server = (await core.RunningServer.start(options)) as Server
    t.after(() => server.close())
    return server
  }
  if (code === 'ERR_NATIVE') {
    const { prototype } = native().Database as unknown as { prototype: Record<string, unknown> }
    const { listCollections } = prototype
    t.after(() => {
      prototype.listCollections = listCollections
    })
    prototype.listCollections = () => {
      throw new TypeError('a bug, with a secret')
    }
  }
  if (code === 'ERR_IO') {
    const backupDirectory = directory(t)
    const server = await serve(t, { backupDirectory, data: directory(t) })
    rmSync(backupDirectory, { recursive: true })
    return server
  }
  const isOnDisk = code === 'ERR_READ_ONLY'
  const options = isOnDisk ? { ...given, data: directory(t) } : given
  if (code === 'ERR_READ_ONLY') {
    const db = await DB.open(options.data as string)
    await db.collection('c', { dimensions: 2 })
    await db.close()
  }
  const server = await serve(t, options)
  if (code === 'ERR_BUSY') await occupy(t, server)
  return server
}

/** One request that does not end. */
async function occupy(t: TestContext, { url }: Server): Promise<void> {
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
  t.after(() => socket.destroy())
  const head = 'POST /v1/collections HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json'
  socket.write(`${head}\r\ncontent-length: 10\r\n\r\n{`)
  await new Promise((resolve) => setTimeout(resolve, 100))
}

async function fill(server: Server, key: string | undefined): Promise<void> {
  const headers = {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  }
  const send = (method: string, path: string, body: object) =>
    fetch(server.url + path, { method, headers, body: JSON.stringify(body) })
  await send('PUT', at, { dimensions: 2 })
  await send('POST', `${at}/records`, rows(['old']))
}

// As https://connectrpc.com/docs/protocol/#error-codes has them, by the number of gRPC.
const CONNECT: Record<number, [status: number, code: string]> = {
  3: [400, 'invalid_argument'],
  4: [504, 'deadline_exceeded'],
  5: [404, 'not_found'],
  6: [409, 'already_exists'],
  7: [403, 'permission_denied'],
  8: [429, 'resource_exhausted'],
  9: [400, 'failed_precondition'],
  12: [501, 'unimplemented'],
  13: [500, 'internal'],
  14: [503, 'unavailable'],
  16: [401, 'unauthenticated'],
}

function judge(what: string, code: ErrorCode, { details = {}, says }: Case, answer: Answer): void {
  assert.equal(answer.code, code, `${what}: ${JSON.stringify(answer)}`)
  assert.deepEqual(answer.details, details, what)
  assert.match(answer.message, says ?? /\w/, what)
  assert.ok(!answer.message.includes('secret'), what)
  if (answer.retryAfter !== undefined) assert.equal(code, 'ERR_BUSY')
}

for (const [name, given] of Object.entries(CASES)) {
  test(`${name} over REST, Connect and gRPC`, { timeout: 30_000 }, async (t) => {
    const code = name as ErrorCode
    const server = await serverFor(t, code, given.server ?? {})
    const isFillable = !['ERR_UNAVAILABLE', 'ERR_BUSY', 'ERR_READ_ONLY'].includes(code)
    if (isFillable) await fill(server, given.server?.apiKeys && KEYS.readWrite[0])
    const { httpStatus, grpcStatus, advice } = ERROR_CODES[code]

    const rest = await restAnswer(server, given)
    judge('REST', code, given, rest)
    assert.equal(rest.status, httpStatus)
    assert.equal(rest.contentType, 'application/problem+json')
    assert.equal(rest.title, REST_ADVICE[code] ?? advice)
    assert.equal(rest.retryAfter, code === 'ERR_BUSY' ? '1' : undefined)

    const connect = await connectAnswer(server, given)
    judge('Connect', code, given, connect)
    const [status, word] = CONNECT[grpcStatus] as [number, string]
    assert.equal(connect.word, word)
    // A stream has begun with 200 before it can fail.
    assert.equal(connect.status, connect.isStream ? 200 : status)

    const standard = await grpcAnswer(server, given)
    judge('gRPC', code, given, standard)
    assert.equal(standard.status, grpcStatus)
  })
}

// What the library that reads messages refuses itself is told like everything else.
test('messages that cannot be read are ERR_ARGUMENT everywhere', async (t) => {
  const server = await serve(t)
  await fill(server, undefined)
  const garbage = Buffer.from('ffffffffffff', 'hex')
  const methods = [
    'search',
    'write',
    'upload',
    'scrollStream',
    'backup',
    'listCollections',
  ] as const
  for (const method of methods) {
    const ask: Ask = { method, init: {}, rest: ['GET', '/'], bytes: garbage }
    const answers = {
      connect: await connectAnswer(server, ask),
      grpc: await grpcAnswer(server, ask),
    }
    for (const [what, answer] of Object.entries(answers))
      assert.equal(answer.code, 'ERR_ARGUMENT', `${method} ${what} ${JSON.stringify(answer)}`)
    assert.equal(answers.connect.word, 'invalid_argument')
    assert.equal(answers.grpc.status, 3)
  }
  const web = await fetch(`${server.url}/omendb.v1.OmenDB/Search`, {
    method: 'POST',
    headers: { 'content-type': 'application/grpc-web+proto' },
    body: Buffer.concat([Buffer.from([0, 0, 0, 0, 6]), garbage]),
  })
  assert.match(await web.text(), /grpc-status: 3\r\n/)
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  assert.ok(!/code="ERR_NATIVE"/.test(metrics))
})

test('messages past the limit are ERR_LIMIT everywhere', async (t) => {
  const server = await serve(t, { limits: { bodyBytes: 1000 } })
  const ask: Ask = {
    method: 'search',
    init: {},
    rest: ['POST', `${at}/search`, { vector: Array.from({ length: 600 }, () => 1) }],
    bytes: Buffer.alloc(1001),
  }
  for (const answer of [
    await restAnswer(server, ask),
    await connectAnswer(server, ask),
    await grpcAnswer(server, ask),
  ])
    assert.equal(answer.code, 'ERR_LIMIT', JSON.stringify(answer))
})
