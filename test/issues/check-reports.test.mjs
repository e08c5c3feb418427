// What a check tells over the network is in the words of who asked, and names files of the server
// without their directories. Over gRPC it advised a method of the library, and everybody, also
// with a key that may only read, was told the path of the database.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { Client, DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

const require = createRequire(import.meta.url)
const { native } = require('../../dist/lib/native.js')
const wire = require('../../dist/lib/wire/protocol.js')

/** Everybody who may ask, and what they are told of the first collection. */
async function problems({ url, grpcUrl }) {
  const client = new Client(url)
  const [byClient] = await client.check()
  await client.close()
  const [byRest] = await (await fetch(`${url}/v1/check`)).json()
  const { reports } = await (
    await fetch(`${url}/omendb.v1.OmenDB/Check`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
  ).json()
  const standard = new grpc.Client(grpcUrl.slice(7), grpc.credentials.createInsecure())
  const byGrpc = await new Promise((resolve, reject) => {
    standard.makeUnaryRequest(
      '/omendb.v1.OmenDB/Check',
      (message) => message,
      (bytes) => wire.fromBinary(wire.OmenDB.method.check.output, bytes),
      Buffer.alloc(0),
      (error, answer) => (error ? reject(error) : resolve(answer.reports[0])),
    )
  })
  standard.close()
  const all = { client: byClient, rest: byRest, connect: reports[0], grpc: byGrpc }
  return Object.fromEntries(Object.entries(all).map(([who, { problem }]) => [who, problem]))
}

/** While `work` runs, the method of the addon's databases is another. */
async function replacing(name, other, work) {
  const { prototype } = native().Database
  const before = prototype[name]
  prototype[name] = other(before)
  try {
    return await work()
  } finally {
    prototype[name] = before
  }
}

const start = (options) => createServer({ port: 0, grpcPort: 0, logLevel: 'silent', ...options })

test('a graph that is broken is advised about in the words of who asks', async (t) => {
  const server = await start({})
  t.after(() => server.close())
  const problem = 'graph, invariant 1: it is broken; rebuild the graph with optimize()'
  const report = { name: 'c', ok: false, records: 1, unreachable: 0, problem }
  const told = await replacing(
    'check',
    () => async () => [report],
    () => problems(server),
  )
  const advice = (text) => problem.replace('optimize()', text)
  const said = { client: problem, rest: advice('POST .../optimize') }
  assert.deepEqual(told, { ...said, connect: advice('Optimize'), grpc: advice('Optimize') })
})

function directory(t) {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-reports-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return path.join(made, 'data')
}

test('damage is told by the name of the file, without its directory', async (t) => {
  const data = directory(t)
  const db = await DB.open(data, { dimensions: 32, metric: 'l2' })
  await db.addBatch({ vectors: Float32Array.from({ length: 160_000 }, (_, i) => Math.sin(i)) })
  await db.close()
  const server = await start({ data })
  t.after(() => server.close())
  const names = readdirSync(data).filter((file) => file.endsWith('.seg'))
  assert.ok(names.length > 0)
  for (const name of names) {
    const file = path.join(data, name)
    const bytes = readFileSync(file)
    for (let at = 100; at < bytes.length; at += 1000) bytes[at] ^= 0x10
    writeFileSync(file, bytes)
  }
  for (const [who, problem] of Object.entries(await problems(server))) {
    assert.match(problem, /^\d+\.seg is damaged at byte \d+: /, who)
    assert.ok(!problem.includes(path.dirname(data)), problem)
  }
})

test('a snapshot that failed is told so too', async (t) => {
  const data = directory(t)
  const server = await start({ data })
  t.after(() => server.close())
  const client = new Client(server.url)
  t.after(() => client.close())
  const failing = (stats) =>
    async function (...given) {
      const found = await stats.apply(this, given)
      const checkpointError = `cannot write ${data}/000007.seg: ENOSPC`
      return { ...found, storage: { ...found.storage, checkpointError } }
    }
  const { storage } = await replacing('stats', failing, () => client.stats())
  assert.equal(storage.checkpointError, 'cannot write 000007.seg: ENOSPC')
})
