// What a client was told is stored, and once: servers killed under load, callers that vanish,
// answers that are lost, restarts between a write and its repetition.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { Client, DB, type Id } from 'omendb'
import { createServer, type Server } from 'omendb/server'
import { clientOf, directory, serve } from './server-support.js'
import { flatVectors, random, rejected, runSeed } from './support.js'

const root = path.resolve(__dirname, '../..')
const kills = Number(process.env.OMENDB_SERVER_KILLS ?? 3)

async function spawned(data: string, port = 0): Promise<[ChildProcess, string]> {
  const child = spawn(process.execPath, [
    path.join(__dirname, 'server-child.js'),
    data,
    String(port),
  ])
  child.stderr?.on('data', (text) => process.stderr.write(text))
  const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data')
  return [child, String(line).trim()]
}

test('servers killed under load lose nothing that was acknowledged', {
  timeout: 90_000,
}, async (t) => {
  const data = path.join(directory(t), 'db')
  const next = random(runSeed(11))
  const acknowledged = new Set<Id>()
  let sent = 0
  for (let round = 0; round < kills; round++) {
    const [child, url] = await spawned(data)
    const client = new Client(url, { retries: 0, timeoutMs: 5000 })
    const c = await client.collection('c', { metric: 'l2' })
    const writers = Array.from({ length: 4 }, async () => {
      for (;;) {
        const rows = 1 + Math.floor(next() * 20)
        const ids = Array.from({ length: rows }, () => sent++)
        const metadata = ids.map((n) => ({ n }))
        await c.add({ ids, vectors: ids.map((n) => [n, 1]), metadata })
        for (const id of ids) acknowledged.add(id)
      }
    })
    const ended = Promise.allSettled(writers)
    await new Promise((resolve) => setTimeout(resolve, 150 + next() * 250))
    child.kill('SIGKILL')
    await ended
    await client.close()
  }
  assert.ok(acknowledged.size > 0)
  const db = await DB.open(data)
  t.after(() => db.close())
  const c = await db.collection('c')
  const ids = [...acknowledged]
  const rows = await c.get(ids, { include: ['metadata', 'vector'] })
  for (const [i, row] of rows.entries())
    assert.deepEqual(row, {
      id: ids[i],
      metadata: { n: ids[i] },
      vector: new Float32Array([ids[i] as number, 1]),
    })
  assert.equal((await db.check())[0]?.ok, true)
})

const WRITE = /\/(Write|Upload|Update|Delete|Clear|OpenCollection|DropCollection) HTTP/

/**
 * A way to a server that lets requests through, and does with answers to writes what it is told.
 */
async function wire(t: TestContext, url: string) {
  const to = Number(new URL(url).port)
  const state = { cutAnswers: 0, cutAfterBytes: Number.POSITIVE_INFINITY, seen: 0 }
  const proxy = net.createServer((near) => {
    const far = net.connect(to, '127.0.0.1')
    let isWrite = false
    near.on('data', (data) => {
      state.seen += data.length
      if (WRITE.test(data.toString('latin1'))) isWrite = true
      if (state.seen > state.cutAfterBytes) near.destroy()
      else far.write(data)
    })
    far.on('data', (data) => {
      if (isWrite && state.cutAnswers > 0) {
        state.cutAnswers--
        near.destroy() // The server has committed, and the caller will not hear of it.
        far.destroy()
      } else near.write(data)
    })
    for (const [a, b] of [
      [near, far],
      [far, near],
    ] as const) {
      a.on('error', () => b.destroy())
      a.on('close', () => b.destroy())
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => proxy.close())
  return { url: `http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`, state }
}

test('an answer that is lost: the write is repeated, and done once', async (t) => {
  const server = await serve(t)
  const { url, state } = await wire(t, server.url)
  const client = new Client(url)
  const c = await client.collection('c', { metric: 'l2' })
  for (const cuts of [1, 2]) {
    state.cutAnswers = cuts
    const id = await c.add({ vector: [1, 2], metadata: { n: 1 } })
    assert.equal(state.cutAnswers, 0)
    assert.equal(id, cuts - 1)
  }
  assert.equal(await c.count(), 2)
  state.cutAnswers = 1
  const vectors = flatVectors(3000, 2)
  const metadata = Array.from({ length: 3000 }, () => ({ text: 'x'.repeat(200) }))
  const ids = await c.addBatch({ vectors, metadata })
  assert.deepEqual([state.cutAnswers, ids[0], ids.length, await c.count()], [0, 2, 3000, 3002])
  state.cutAnswers = 1
  assert.equal(await c.delete({ filter: { n: 1 } }), 2)
  state.cutAnswers = 1
  await c.add({ id: 'x', vector: [1, 2] }) // ERR_EXISTS, if it were done twice.
  await client.close()
})

// What a server has in memory goes with it, and so does what it remembers.
test('a write that was sent to a server that is gone is not repeated blindly', async (t) => {
  const options = { grpcPort: false, logLevel: 'silent' } as const
  const first = await createServer({ ...options, port: 0 })
  const { url, state } = await wire(t, first.url)
  const client = new Client(url, { retries: 8 })
  const c = await client.collection('c')
  state.cutAnswers = 1
  const write = c.add({ vector: [1, 2] })
  const refused = rejected(() => write, 'ERR_UNAVAILABLE', {}, /started anew/)
  while (state.cutAnswers > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  await first.close()
  const second = await createServer({ ...options, port: Number(new URL(first.url).port) })
  t.after(() => second.close())
  await refused
  await client.close()
})

// What is on disk tells the next process what was done: killed after each kind of write, before
// anybody heard of it, the next one answers as the first would have, and does nothing twice.
test('a write whose server was killed is answered by the next', { timeout: 120_000 }, async (t) => {
  const data = path.join(directory(t), 'db')
  let [child, address] = await spawned(data)
  t.after(() => child.kill('SIGKILL'))
  const port = Number(new URL(address).port)
  const { url, state } = await wire(t, address)
  const client = new Client(url, { retries: 10, timeoutMs: 60_000 })
  const c = await client.collection('c', { metric: 'l2', dimensions: 2 })

  /** The answer to a write whose first answer is cut off, and its server killed. */
  const survived = async <T>(write: () => Promise<T>): Promise<T> => {
    state.cutAnswers = 1
    const answer = write()
    answer.catch(() => {}) // Told below.
    while (state.cutAnswers > 0) await new Promise((resolve) => setTimeout(resolve, 2))
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    ;[child, address] = await spawned(data, port)
    return answer
  }
  await survived(() => c.addBatch(flatVectors(10, 2)))
  assert.equal(await survived(() => c.add({ vector: [1, 2], metadata: { n: 1 } })), 10)
  const vectors = flatVectors(3000, 2)
  const metadata = Array.from({ length: 3000 }, () => ({ text: 'x'.repeat(200) }))
  const ids = await survived(() => c.addBatch({ vectors, metadata }))
  assert.deepEqual([ids[0], ids.length, await c.count()], [11, 3000, 3011])
  await survived(() => c.add({ id: 'x', vector: [3, 4] })) // ERR_EXISTS, if it were done twice.
  await survived(() => c.update('x', { metadata: { n: 1 } }))
  assert.equal(await survived(() => c.delete({ filter: { n: 1 } })), 2)
  assert.equal(await survived(() => c.delete(['x', 0, 1])), 2)
  assert.equal(await survived(() => c.delete('x')), 0)
  await survived(() => c.clear())
  assert.equal(await c.count(), 0)
  assert.equal(await survived(() => client.dropCollection('c')), true)
  await survived(() => client.createCollection('c', { dimensions: 3 })) // ERR_EXISTS, likewise.
  await client.close()
})

test('callers that vanish in mid-upload store nothing, and hold nothing', async (t) => {
  const server = await serve(t)
  const direct = new Client(server.url)
  const before = await direct.collection('c', { dimensions: 256 })
  await before.add({ id: 1, vector: flatVectors(1, 256) })
  const { bytes } = await direct.stats()
  const { url, state } = await wire(t, server.url)
  const client = new Client(url, { retries: 0 })
  const c = await client.collection('c')
  for (const part of [0.1, 0.5, 0.9]) {
    state.seen = 0
    state.cutAfterBytes = part * 4000 * 1024
    await rejected(() => c.addBatch(flatVectors(4000, 256)), 'ERR_UNAVAILABLE')
  }
  await client.close()
  assert.equal(await before.count(), 1)
  for (let i = 0; i < 100 && (await direct.stats()).bytes > 2 * bytes; i++)
    await new Promise((resolve) => setTimeout(resolve, 20))
  assert.ok((await direct.stats()).bytes <= 2 * bytes)
  await direct.close()
})

/** Requests that a server counted, by how they ended. */
async function ended(server: Server, method: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  const counts: Record<string, number> = {}
  for (const [, labels, n] of text.matchAll(/^omendb_requests_total\{(.*)\} (\d+)$/gm)) {
    const code = /code="(\w+)"/.exec(labels as string)?.[1] as string
    if ((labels as string).includes(method)) counts[code] = (counts[code] ?? 0) + Number(n)
  }
  return counts
}

test('callers that vanish end the searches that they asked for', async (t) => {
  for (const way of ['Connect', 'REST', 'gRPC'] as const) {
    const server = await serve(t)
    const client = clientOf(server, way)
    const c = await client.collection('c', { dimensions: 128 })
    await c.addBatch(flatVectors(20_000, 128))
    const some = flatVectors(1000, 128)
    await c.searchBatch(some, { exact: true })
    const begun = performance.now()
    await c.searchBatch(some, { exact: true })
    const someMs = performance.now() - begun
    // So many that a search is long enough to be left, however fast the machine is.
    const count = Math.min(10_000, Math.ceil(1_500_000 / someMs))
    const queries = flatVectors(count, 128)
    const wholeMs = (someMs * count) / 1000
    const gone = new AbortController()
    setTimeout(() => gone.abort(), wholeMs / 10)
    const left = c.searchBatch(queries, { exact: true, signal: gone.signal })
    await rejected(() => left, 'ERR_ABORTED')
    const method = way === 'REST' ? '/search/batch' : 'searchBatch'
    const until = performance.now() + wholeMs / 2
    let counts = await ended(server, method)
    while (counts.ERR_ABORTED === undefined && performance.now() < until)
      counts = await ended(server, method)
    assert.equal(counts.ERR_ABORTED, 1, `${way}: ${JSON.stringify(counts)}`)
    // The processors are free again.
    const before = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, wholeMs / 3))
    const { user, system } = process.cpuUsage(before)
    assert.ok((user + system) / 1000 < wholeMs / 6, `${way}: ${user + system} us`)
    await client.close()
  }
})

test('a backup over the network is a database', async (t) => {
  const made = directory(t)
  const server = await serve(t, { data: path.join(made, 'db') })
  const client = new Client(server.url)
  const c = await client.collection('c', { dimensions: 32 })
  await c.addBatch(flatVectors(2000, 32))
  const pieces: Uint8Array[] = []
  for await (const piece of client.backup()) pieces.push(piece)
  const archive = path.join(made, 'backup.tar')
  writeFileSync(archive, Buffer.concat(pieces))
  const response = await fetch(`${server.url}/v1/backup`, { method: 'POST' })
  assert.equal(response.headers.get('content-type'), 'application/x-tar')
  assert.equal((await response.arrayBuffer()).byteLength % 512, 0)
  const out = path.join(made, 'out')
  await new Promise<void>((resolve, reject) => {
    execFile('sh', ['-c', `mkdir '${out}' && tar -xf '${archive}' -C '${out}'`], (error) =>
      error ? reject(error) : resolve(),
    )
  })
  const db = await DB.open(out)
  t.after(() => db.close())
  assert.equal(await (await db.collection('c')).count(), 2000)
  assert.equal((await db.check())[0]?.ok, true)
  const inMemory = new Client((await serve(t)).url)
  await rejected(() => inMemory.backup().getReader().read(), 'ERR_UNSUPPORTED')
  await Promise.all([client.close(), inMemory.close()])
})

interface Ended {
  code: number | null
  stderr: string
  stdout: string
}

function command(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const main = path.join(root, 'dist/lib/server/main.js')
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: 20_000 }
    const child = execFile(process.execPath, [main, ...args], options, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

// One line that says what to do, and an exit code that scripts see.
test('a server that cannot start says why in one line', { timeout: 60_000 }, async (t) => {
  const made = directory(t)
  const file = (name: string, text: string) => {
    writeFileSync(path.join(made, name), text)
    return path.join(made, name)
  }
  const data = path.join(made, 'db')
  const [child, url] = await spawned(data)
  t.after(() => child.kill('SIGKILL'))
  const free = ['--port', '0', '--grpc-port', '0']
  const bad = file('bad.pem', 'no certificate')
  const cases: [args: string[], pattern: RegExp, env?: NodeJS.ProcessEnv][] = [
    [
      ['--port', new URL(url).port, '--grpc-port', 'none'],
      /ERR_ARGUMENT: cannot listen on .* port/,
    ],
    [[...free, '--data', data], /ERR_LOCKED: /],
    [[...free, '--data', path.join(made, 'no/such')], /ERR_NOT_FOUND: /],
    [[...free, '--tls-cert', bad, '--tls-key', bad], /ERR_ARGUMENT: tls: /],
    [[...free, '--tls-cert', bad], /ERR_ARGUMENT: tls needs both/],
    [
      [...free, '--tls-cert', 'absent.pem', '--tls-key', bad],
      /ERR_ARGUMENT: tls.cert: cannot read/,
    ],
    [[...free, '--host', '0.0.0.0'], /ERR_ARGUMENT: .*an API key nor TLS/],
    [[...free, '--api-key', 'short'], /ERR_ARGUMENT: apiKeys: a key has 16 to 256/],
    [[...free, '--no-such-flag'], /ERR_ARGUMENT: .*no-such-flag/],
    [['--port', 'eighty'], /ERR_ARGUMENT: --port takes an integer/],
    [['--port', '65536'], /ERR_ARGUMENT: port is an integer from 0 to 65535/],
    [[...free, '--config', file('a.json', '{"prot":1}')], /ERR_ARGUMENT: unknown option "prot"/],
    [[...free, '--config', file('b.json', '{"limits":{"k":0}}')], /limits.k is an integer/],
    [[...free, '--config', file('c.json', '{')], /ERR_ARGUMENT: cannot read the options/],
    [[...free], /ERR_ARGUMENT: .*--limit-k/, { OMENDB_LIMIT_K: 'many' }],
  ]
  // Two at a time: each is a process.
  for (let i = 0; i < cases.length; i += 2) {
    await Promise.all(
      cases.slice(i, i + 2).map(async ([args, pattern, env]) => {
        const { code, stderr, stdout } = await command(args, { OMENDB_LOG_LEVEL: 'silent', ...env })
        assert.equal(code, 2, `${args.join(' ')}: ${stdout}${stderr}`)
        assert.match(stderr, pattern)
        assert.equal(stderr.trimEnd().split('\n').length, 1, stderr)
      }),
    )
  }
})

test('signals close the server after what is at work', { timeout: 30_000 }, async (t) => {
  const data = path.join(directory(t), 'db')
  const main = path.join(root, 'dist/lib/server/main.js')
  const args = [main, '--data', data, '--port', '0', '--grpc-port', 'none']
  const env = { ...process.env, OMENDB_API_KEY: 'key-0123456789abcdef' }
  const child = spawn(process.execPath, args, { env })
  t.after(() => child.kill('SIGKILL'))
  let log = ''
  const url = await new Promise<string>((resolve) => {
    child.stdout.on('data', (text) => {
      log += text
      const found = /"url":"([^"]+)"/.exec(log)
      if (found && log.includes('is open')) resolve(found[1] as string)
    })
  })
  assert.equal(await status(`${url}/v1/collections`), 401)
  const client = new Client(url, { apiKey: 'key-0123456789abcdef' })
  await client.add({ id: 1, vector: [1, 2] })
  const upload = client.addBatch(flatVectors(20_000, 2), { timeoutMs: 20_000 })
  await new Promise((resolve) => setTimeout(resolve, 10))
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  assert.equal(code, 0, log)
  const stored = await upload.then(
    () => 20_001,
    () => 1,
  )
  await client.close()
  assert.match(log, /"msg":"closed"/)
  const db = await DB.open(data)
  t.after(() => db.close())
  assert.equal(await db.count(), stored)
  assert.ok(readdirSync(data).length > 0)
})

function status(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    http
      .get(url, (response) => {
        response.resume()
        resolve(response.statusCode as number)
      })
      .on('error', reject)
  })
}
