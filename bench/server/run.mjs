// npm run bench:server: what the network costs. Searches over every transport, each beside the same
// server answering an empty request, in one run; uploads beside the build in this process.
//
// The server runs here, the load in a second process on the loopback. Recall stands beside speed.
// ROWS, SECONDS and CONNECTIONS change the size.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Client, DB } from 'omendb'
import { createServer } from 'omendb/server'
import protocol from '../../dist/lib/wire/protocol.js'
import { availableSets, K, openSet } from '../lib/data.mjs'
import { exactTruth, recallOf } from '../lib/exact.mjs'
import { describeMachine, machineLine } from '../lib/machine.mjs'

const ROWS = Number(process.env.ROWS ?? 20_000)
const SECONDS = Number(process.env.SECONDS ?? 5)
const CONNECTIONS = Number(process.env.CONNECTIONS ?? 16)
const QUERIES = 100
const { OmenDB, SearchRequestSchema, create, toBinary } = protocol
const load = fileURLToPath(new URL('load.mjs', import.meta.url))

async function run(job) {
  const child = spawn(process.execPath, [load], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify({ seconds: SECONDS, connections: CONNECTIONS, ...job }))
  let out = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  await once(child, 'close')
  return JSON.parse(out)
}

const full = openSet(availableSets()[0])
const { dimensions, metric } = full
const rows = Math.min(ROWS, full.base.length / dimensions)
const set = { ...full, base: full.base.subarray(0, rows * dimensions) }
const queries = Array.from({ length: QUERIES }, (_, q) =>
  set.queries.slice(q * dimensions, (q + 1) * dimensions),
)

const server = await createServer({ port: 0, grpcPort: 0, logLevel: 'warn' })
const client = new Client(server.url, { timeoutMs: 300_000 })
const remote = await client.collection('bench', { dimensions, metric })
const megabytes = set.base.byteLength / 1e6

async function rate(collection) {
  const start = performance.now()
  await collection.addBatch({ vectors: set.base, dimensions }, { timeoutMs: 300_000 })
  return megabytes / ((performance.now() - start) / 1000)
}
const db = new DB()
const local = await db.collection('bench', { dimensions, metric })
const localRate = await rate(local)
await db.close()
const remoteRate = await rate(remote)

const answers = []
for (const query of queries) {
  const hits = await remote.search(query, { k: K, include: 'none' })
  answers.push(hits.map(({ id }) => id))
}
const truth = exactTruth(set, QUERIES, K)
const recall = recallOf({ ...set, queryCount: QUERIES }, truth, answers, K)

const bodies = queries.map((query) =>
  Buffer.from(
    toBinary(
      SearchRequestSchema,
      create(SearchRequestSchema, {
        collection: 'bench',
        query: new Uint8Array(query.buffer),
        k: K,
        include: 4,
      }),
    ),
  ).toString('base64'),
)
const post = (path, type, bodies) =>
  bodies.map((body) => ({ method: 'POST', path, headers: { 'content-type': type }, body }))
const search = '/v1/collections/bench/search'
const json = queries.map((q) =>
  Buffer.from(JSON.stringify({ vector: [...q], k: K, include: 'none' })).toString('base64'),
)
const floats = queries.map((q) => Buffer.from(q.buffer).toString('base64'))
const rpc = `/${OmenDB.typeName}/Search`
const health = '/grpc.health.v1.Health/Check'
const address = server.grpcUrl.slice('http://'.length)
const http = (requests) => ({ url: server.url, requests })
const restEcho = http([{ method: 'GET', path: '/healthz' }])
const jobs = [
  ['REST, JSON', http(post(search, 'application/json', json)), restEcho],
  [
    'REST, bytes',
    http(post(`${search}?k=${K}&include=none`, 'application/octet-stream', floats)),
    restEcho,
  ],
  [
    'Connect',
    http(post(rpc, 'application/proto', bodies)),
    http(post(health, 'application/proto', [''])),
  ],
  [
    'gRPC',
    { kind: 'grpc', address, path: rpc, bodies },
    { kind: 'grpc', address, path: health, bodies: [''] },
  ],
]
console.log(machineLine(describeMachine()))
console.log(`${full.name}: ${rows} x ${dimensions}, k = ${K}, recall ${recall.toFixed(3)}`)
console.log(`${CONNECTIONS} connections, ${SECONDS} s each\n`)
console.log('| Transport | searches/s | p50 ms | p99 ms | empty/s | share | errors |')
console.log('|---|---|---|---|---|---|---|')
for (const [name, job, echo] of jobs) {
  await run({ ...job, seconds: 1 })
  const empty = await run(echo)
  const found = await run(job)
  const cells = [found.qps.toFixed(0), found.p50Ms.toFixed(1), found.p99Ms.toFixed(1)]
  const share = `${((100 * found.qps) / empty.qps).toFixed(0)} %`
  cells.push(empty.qps.toFixed(0), share, found.errors + empty.errors)
  console.log(`| ${name} | ${cells.join(' | ')} |`)
}
const share = ((100 * remoteRate) / localRate).toFixed(0)
console.log(
  `\nupload: ${remoteRate.toFixed(1)} MB/s; in this process ${localRate.toFixed(1)} (${share} %)`,
)
await client.close()
await server.close()
