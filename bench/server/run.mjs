// npm run bench:server: what the network costs. Searches over every transport, each beside echoes
// that take as many bytes and answer as many (echo.mjs), in turns; uploads beside the build in this
// process.
//
// `CPU us` is what the serving process spent on one request, on all its threads: it hardly changes
// with what else the machine does. In brackets: the share of an echo that a search reaches.
//
// The server and the echoes run here, the load in a second process on the loopback. Recall stands
// beside speed. ROWS, SECONDS, ROUNDS and CONNECTIONS change the size; ONLY=REST measures a part.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Client, DB } from 'omendb'
import { createServer } from 'omendb/server'
import protocol from '../../dist/lib/wire/protocol.js'
import { availableSets, K, openSet } from '../lib/data.mjs'
import { exactTruth, recallOf } from '../lib/exact.mjs'
import { describeMachine, machineLine } from '../lib/machine.mjs'
import { median } from '../lib/measure.mjs'
import { echoesOf } from './echo.mjs'

const ROWS = Number(process.env.ROWS ?? 20_000)
const SECONDS = Number(process.env.SECONDS ?? 3)
const ROUNDS = Number(process.env.ROUNDS ?? 3)
const ONLY = process.env.ONLY ?? ''
const CONNECTIONS = Number(process.env.CONNECTIONS ?? 16)
const QUERIES = 100
const { OmenDB, SearchRequestSchema, create, toBinary } = protocol
const NO_DATA = { k: K, include: 'none' }
const load = fileURLToPath(new URL('load.mjs', import.meta.url))

async function run(job) {
  const before = process.cpuUsage()
  const child = spawn(process.execPath, [load], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify({ seconds: SECONDS, connections: CONNECTIONS, ...job }))
  let out = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  await once(child, 'close')
  const { user, system } = process.cpuUsage(before)
  const found = JSON.parse(out)
  return { ...found, cpuUs: (user + system) / found.count }
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
/** CPU time of one search without a network. */
function searchUs() {
  const before = process.cpuUsage()
  for (let i = 0; i < 20 * QUERIES; i++) local.searchSync(queries[i % QUERIES], NO_DATA)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / (20 * QUERIES)
}
const localUs = median(Array.from({ length: 5 }, searchUs))
await db.close()
const remoteRate = await rate(remote)

const answers = []
for (const query of queries) {
  const hits = await remote.search(query, NO_DATA)
  answers.push(hits.map(({ id }) => id))
}
const truth = exactTruth(set, QUERIES, K)
const recall = recallOf({ ...set, queryCount: QUERIES }, truth, answers, K)

const base64 = (bytes) => Buffer.from(bytes).toString('base64')
const jsonBodies = queries.map((q) => JSON.stringify({ vector: [...q], k: K, include: 'none' }))
const floats = queries.map((q) => new Uint8Array(q.buffer))
const messages = queries.map((query) => {
  const init = { collection: 'bench', query: new Uint8Array(query.buffer), k: K, include: 4 }
  return toBinary(SearchRequestSchema, create(SearchRequestSchema, init))
})
function envelope(message) {
  const out = Buffer.alloc(5 + message.length)
  out.writeUInt32BE(message.length, 1)
  out.set(message, 5)
  return out
}
const enveloped = messages.map(envelope)
const SEARCH = '/v1/collections/bench/search'
const RPC = `/${OmenDB.typeName}/Search`
const port = Number(new URL(server.url).port)
const grpcPort = Number(new URL(server.grpcUrl).port)
const TRANSPORTS = [
  ['REST, JSON', 'http', port, SEARCH, 'application/json', jsonBodies],
  [
    'REST, bytes',
    'http',
    port,
    `${SEARCH}?k=${K}&include=none`,
    'application/octet-stream',
    floats,
  ],
  ['Connect', 'http', port, RPC, 'application/proto', messages],
  ['gRPC', 'http2', grpcPort, RPC, 'application/grpc', enveloped],
  ['gRPC by grpc-js', 'grpc', grpcPort, RPC, 'application/grpc', messages],
]

/** What the server answers to the first body, as it travels. */
async function answerOf([, kind, , path, type], body) {
  if (kind !== 'http') return envelope(await answerOf(TRANSPORTS[2], messages[0]))
  const headers = { 'content-type': type }
  const response = await fetch(server.url + path, { method: 'POST', headers, body })
  if (!response.ok) throw new Error(await response.text())
  return Buffer.from(await response.arrayBuffer())
}

const round = (n) => n.toFixed(0)
console.log(machineLine(describeMachine()))
console.log(`${full.name}: ${rows} x ${dimensions}, k = ${K}, recall ${recall.toFixed(3)}`)
console.log(`${CONNECTIONS} connections, medians of ${ROUNDS} rounds of ${SECONDS} s in turns`)
console.log(`searchSync in this process: ${localUs.toFixed(0)} us of CPU`)
console.log(`load before: ${loadavg()[0].toFixed(1)}\n`)
const heads = ['Transport', 'bytes in', 'out', 'searches/s', 'p50 ms', 'p99 ms']
heads.push('CPU us', 'echo/s, libraries', 'CPU us', 'echo/s, bare', 'CPU us', 'errors')
console.log(`| ${heads.join(' | ')} |\n|${'---|'.repeat(heads.length)}`)
for (const transport of TRANSPORTS.filter(([name]) => name.includes(ONLY))) {
  const [name, kind, at, path, type, bodies] = transport
  const answer = await answerOf(transport, bodies[0])
  const echoes = await echoesOf(name.split(/[ ,]/)[0], answer)
  const shape = { kind, type, bodies: bodies.map(base64) }
  const jobs = { search: { ...shape, port: at, path } }
  for (const [which, echo] of Object.entries(echoes)) {
    jobs[which] = { ...shape, port: echo.port, path: echo.path }
  }
  const found = { search: [], libraries: [], bare: [] }
  await run({ ...jobs.search, seconds: 1 })
  for (let i = 0; i < ROUNDS; i++) {
    for (const [which, job] of Object.entries(jobs)) found[which].push(await run(job))
  }
  for (const echo of Object.values(echoes)) await echo.end()
  const middle = (which, key) => median(found[which].map((one) => one[key]))
  const qps = middle('search', 'qps')
  const cells = [name, bodies[0].length, answer.length, round(qps)]
  cells.push(middle('search', 'p50Ms').toFixed(1), middle('search', 'p99Ms').toFixed(1))
  cells.push(round(middle('search', 'cpuUs')))
  for (const which of ['libraries', 'bare']) {
    const echo = middle(which, 'qps')
    const cpu = middle(which, 'cpuUs')
    const shares = [qps / echo, cpu / middle('search', 'cpuUs')].map((n) => round(100 * n))
    cells.push(`${round(echo)} (${shares[0]} %)`, `${round(cpu)} (${shares[1]} %)`)
  }
  cells.push(
    Object.values(found)
      .flat()
      .reduce((sum, one) => sum + one.errors, 0),
  )
  console.log(`| ${cells.join(' | ')} |`)
}
console.log(`\nload after: ${loadavg()[0].toFixed(1)}`)
const share = round((100 * remoteRate) / localRate)
console.log(
  `upload: ${remoteRate.toFixed(1)} MB/s; in this process ${localRate.toFixed(1)} (${share} %)`,
)
await client.close()
await server.close()
