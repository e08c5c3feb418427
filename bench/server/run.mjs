// npm run bench:server: what the network costs. Searches over every transport, each beside echoes
// that take as many bytes and answer as many (echo.mjs), in turns; uploads beside the build in this
// process.
//
// Results go to bench/results/server.json and .md, as of the other benches.
//
// `CPU us` is what the serving process spent on one request, on all its threads: it hardly changes
// with what else the machine does. In brackets: the share of an echo that a search reaches.
//
// The server and the echoes run here, the load in a second process on the loopback. Recall stands
// beside speed. ROWS, SECONDS, ROUNDS and CONNECTIONS change the size; ONLY=REST measures a part,
// which is recorded alike.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Client, DB } from 'omendb'
import { createServer } from 'omendb/server'
import protocol from '../../dist/lib/wire/protocol.js'
import { availableSets, K, openSet } from '../lib/data.mjs'
import { exactTruth, recallOf } from '../lib/exact.mjs'
import { describeMachine } from '../lib/machine.mjs'
import { median } from '../lib/measure.mjs'
import { writeSection } from '../lib/report.mjs'
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

const machine = describeMachine() // Before the run: the checkout may move on meanwhile.
const loadBefore = loadavg()[0]
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

const heads = ['Transport', 'bytes in', 'out', 'searches/s', 'p50 ms', 'p99 ms']
heads.push('CPU us', 'echo/s, libraries', 'CPU us', 'echo/s, bare', 'CPU us', 'errors')
const results = []
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
  const middle = (which) => {
    const of = (key) => median(found[which].map((one) => one[key]))
    return { qps: of('qps'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms'), cpuUs: of('cpuUs') }
  }
  const errors = Object.values(found)
    .flat()
    .reduce((sum, one) => sum + one.errors, 0)
  const [search, libraries, bare] = ['search', 'libraries', 'bare'].map(middle)
  const bytes = { in: bodies[0].length, out: answer.length }
  results.push({ transport: name, bytes, search, libraries, bare, errors })
  process.stderr.write(`${name}: ${search.qps.toFixed(0)} searches/s\n`)
}
await client.close()
await server.close()

const round = (n) => n.toFixed(0)
const rowOf = ({ transport, bytes, search, libraries, bare, errors }) => {
  const beside = ({ qps, cpuUs }) => [
    `${round(qps)} (${round((100 * search.qps) / qps)} %)`,
    `${round(cpuUs)} (${round((100 * cpuUs) / search.cpuUs)} %)`,
  ]
  const times = [search.p50Ms, search.p99Ms].map((ms) => ms.toFixed(1))
  const own = [transport, bytes.in, bytes.out, round(search.qps), ...times, round(search.cpuUs)]
  return [...own, ...beside(libraries), ...beside(bare), errors]
}
const load1 = { before: loadBefore, after: loadavg()[0] }
const share = round((100 * remoteRate) / localRate)
const rates = [remoteRate, localRate].map((rate) => rate.toFixed(1))
writeSection('server', {
  machine,
  title: 'Server',
  tables: [
    {
      caption: `${full.name}: ${rows} x ${dimensions}, k = ${K}, recall ${recall.toFixed(3)}`,
      header: heads,
      rows: results.map(rowOf),
    },
  ],
  notes: [
    `${CONNECTIONS} connections, medians of ${ROUNDS} rounds of ${SECONDS} s in turns.`,
    'In brackets: the share of an echo that a search reaches, and of its CPU time an echo takes.',
    `searchSync in this process: ${localUs.toFixed(0)} us of CPU.`,
    `Upload: ${rates[0]} MB/s; in this process ${rates[1]} (${share} %).`,
    `Load of the machine: ${load1.before.toFixed(1)} before, ${load1.after.toFixed(1)} after.`,
  ],
  data: {
    set: full.name,
    rows,
    dimensions,
    k: K,
    recall,
    connections: CONNECTIONS,
    rounds: ROUNDS,
    seconds: SECONDS,
    searchSyncCpuUs: localUs,
    uploadMBPerSecond: { server: remoteRate, process: localRate },
    load: load1,
    results,
  },
})
