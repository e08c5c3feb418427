// `omendb/client` in a real browser: the suite of the interface, from a page of another origin, and
// what only browsers do: CORS, uploads that are no streams, refusals in the middle of one.
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Client as AnyClient, OmenError as AnyError } from 'omendb'
import { createServer, type Server, type ServerOptions } from 'omendb/server'
import type { Page } from 'playwright-core'
import { bundledSuite, launch, NO_CHROMIUM, servePage, watchedPage } from './browser-support.js'
import { KEYS } from './server-support.js'

// What the page's functions below see; they run there.
declare const Client: typeof AnyClient
declare const OmenError: typeof AnyError

interface Setting {
  readonly page: Page
  readonly origin: string
  readonly complaints: string[]
  serve(t: TestContext, options?: ServerOptions): Promise<Server>
}

async function setUp(t: TestContext): Promise<Setting> {
  const origin = await servePage(t, await bundledSuite())
  const { page, complaints } = await watchedPage(await launch(t))
  const serve = async (t: TestContext, options: ServerOptions = {}): Promise<Server> => {
    const settings: ServerOptions = { corsOrigins: [origin], logLevel: 'silent', ...options }
    const server = await createServer({ port: 0, grpcPort: false, ...settings })
    t.after(() => server.close())
    return server
  }
  return { page, origin, complaints, serve }
}

test('the client in a browser', { skip: NO_CHROMIUM, timeout: 180_000 }, async (t) => {
  const setting = await setUp(t)
  const { page, origin } = setting
  let current = t
  await page.exposeFunction('startServer', async () => (await setting.serve(current)).url)
  await page.goto(origin)
  await page.waitForFunction('globalThis.runCase !== undefined')

  const names = (await page.evaluate('caseNames()')) as string[]
  assert.ok(names.length >= 13)
  for (const name of names) {
    await t.test(name, async (t) => {
      current = t
      const failure = await page.evaluate(`runCase(${JSON.stringify(name)})`)
      assert.equal(failure, undefined)
    })
  }
  for (const [name, run] of Object.entries(CASES)) await t.test(name, (t) => run(t, setting))
})

const CASES: Record<string, (t: TestContext, setting: Setting) => Promise<void>> = {
  // A page may ask only where the server's owner said so.
  async 'other origins are refused unless they are allowed'(t, { page, serve }) {
    const closed = await serve(t, { corsOrigins: [] })
    const other = await serve(t, { corsOrigins: ['https://elsewhere.example.com'] })
    for (const { url } of [closed, other]) {
      const code = await page.evaluate(async (address) => {
        const client = new Client(address, { retries: 0 })
        return client.listCollections().then(String, (error) => error.code)
      }, url)
      assert.equal(code, 'ERR_UNAVAILABLE')
    }
  },

  // What a browser hides is not asked for; our own codes come through, with their details.
  async 'keys and codes come through from another origin'(t, { page, serve }) {
    const { url } = await serve(t, { apiKeys: KEYS })
    const codes = await page.evaluate(
      async ([address, readOnly, readWrite]) => {
        const code = (work: Promise<unknown>) =>
          work.then(
            () => 'fulfilled',
            (error) => (error instanceof OmenError ? error.code : String(error)),
          )
        const client = (apiKey?: string) => new Client(address as string, { apiKey })
        return [
          await code(client().listCollections()),
          await code(client('not-the-key-0123456789').listCollections()),
          await code(client(readOnly).listCollections()),
          await code(client(readOnly).createCollection('c')),
          await code(client(readWrite).createCollection('c')),
          await code(client(readWrite).createCollection('c')),
        ]
      },
      [url, KEYS.readOnly[0], KEYS.readWrite[0]],
    )
    const wanted = 'ERR_AUTH ERR_AUTH fulfilled ERR_FORBIDDEN fulfilled ERR_EXISTS'
    assert.deepEqual(codes, wanted.split(' '))
  },

  // Whatever header docs/rest.md names may be sent by a page of an allowed origin.
  async 'REST takes its headers from another origin'(t, { page, serve }) {
    const { url } = await serve(t)
    const answer = await page.evaluate(async (address) => {
      const headers = { 'omendb-timeout-ms': '5000', 'omendb-request-id': 'once' }
      const response = await fetch(`${address}/v1/flush`, { method: 'POST', headers })
      return [response.status, response.headers.get('omendb-instance') !== null]
    }, url)
    assert.deepEqual(answer, [204, true])
  },

  // Browsers stream no uploads over HTTP/1.1: batches past the limit of a body must come all the
  // same, bit for bit.
  async 'uploads larger than a body arrive whole and intact'(t, { page, serve }) {
    const { url } = await serve(t, { limits: { bodyBytes: 2 ** 19 } })
    const found = await page.evaluate(async (address) => {
      const [rows, dimensions] = [3000, 256]
      const client = new Client(address, { metric: 'l2' })
      const vectors = new Float32Array(rows * dimensions)
      const bits = new Uint32Array(vectors.buffer)
      let state = 1
      for (let i = 0; i < bits.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        // Any sign and fraction, exponents of 2^-127 (subnormal) to 2^32.
        bits[i] = (state & 0x807fffff) | (((state >>> 8) % 160) << 23)
      }
      const told: number[] = []
      const ids = await client.addBatch(
        { vectors, dimensions },
        { onProgress: ({ done }) => told.push(done) },
      )
      const back = await client.get(ids, { include: 'vector' })
      const same = back.every((row, r) => {
        const { vector } = row as { vector: Float32Array }
        const found = new Uint32Array(vector.slice().buffer)
        return found.every((word, i) => word === bits[r * dimensions + i])
      })
      const [first, last] = [told.length, told.at(-1)]
      return { same, first, last, count: await client.count() }
    }, url)
    assert.ok(found.first > 3)
    assert.deepEqual(found, { same: true, first: found.first, last: 3000, count: 3000 })
  },

  // The server answers before it has read everything: the code must not drown in a broken pipe.
  async 'a refusal in the middle of an upload keeps its code'(t, { page, serve }) {
    const { url } = await serve(t, { limits: { batchRows: 10_000, uploadBytes: 2 ** 22 } })
    const codes = await page.evaluate(async (address) => {
      const client = new Client(address, { metric: 'l2', dimensions: 128 })
      await client.add({ id: 0, vector: new Float32Array(128) })
      const code = async (rows: number, ids?: Uint32Array) => {
        const vectors = new Float32Array(rows * 128)
        const work = client.add({ vectors, dimensions: 128, ...(ids ? { ids } : {}) })
        return work.then(String, (error) => error.code)
      }
      const codes: string[] = []
      for (let i = 0; i < 3; i++) {
        codes.push(
          await code(
            6000,
            Uint32Array.from({ length: 6000 }, (_, n) => n),
          ),
        )
        codes.push(await code(9000))
        codes.push(await code(12_000))
      }
      return [...codes, await client.count()]
    }, url)
    const round = ['ERR_EXISTS', 'ERR_LIMIT', 'ERR_LIMIT']
    assert.deepEqual(codes, [...Array.from({ length: 3 }, () => round).flat(), 1])
  },

  // The page stays responsive, and nothing is stored by what was given up.
  async 'an upload is aborted while it is gathered and while it is sent'(t, { page, serve }) {
    const { url } = await serve(t)
    const found = await page.evaluate(async (address) => {
      const client = new Client(address, { metric: 'l2', dimensions: 512 })
      const vectors = Array.from({ length: 20_000 }, () => new Float32Array(512))
      const codes: string[] = []
      for (const ms of [0, 1, 10, 40]) {
        const stop = new AbortController()
        setTimeout(() => stop.abort(), ms)
        const work = client.addBatch(vectors, { signal: stop.signal })
        codes.push(await work.then(String, (error) => error.code))
      }
      codes.push(await client.addBatch(vectors, { timeoutMs: 5 }).then(String, (e) => e.code))
      return [...codes, await client.count()]
    }, url)
    const aborted = Array.from({ length: 4 }, () => 'ERR_ABORTED')
    assert.deepEqual(found, [...aborted, 'ERR_TIMEOUT', 0])
  },

  // A backup is a stream of bytes in a browser as well.
  async 'what cannot be reached, and streams that fail, say so'(t, { page, serve }) {
    const server = await serve(t)
    const codes = await page.evaluate(async (address) => {
      const client = new Client(address, { retries: 1 })
      const reader = client.backup().getReader()
      return [await reader.read().then(String, (error) => error.code)]
    }, server.url)
    assert.deepEqual(codes, ['ERR_UNSUPPORTED']) // Of a database in memory.
    await server.close()
    const gone = await page.evaluate(async (address) => {
      const client = new Client(address, { retries: 1 })
      return client.count().then(String, ({ code, message }) => `${code}: ${message}`)
    }, server.url)
    assert.match(gone, /^ERR_UNAVAILABLE: cannot reach http:.*: .*[Ff]etch/)
  },
}
