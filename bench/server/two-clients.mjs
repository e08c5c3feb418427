// node bench/server/two-clients.mjs: one client uploads in batches while another one searches.
//
// The server, on a database on disk, and the uploading client run here, the searching client in a
// process of its own with one connection for each of its calls. Recall is measured at the end
// against exact truth, and beside a database in this process that took the same batches.
// Results go to bench/results/two-clients.json and .md. ROWS, BATCHES and CONNECTIONS change the
// size.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client, DB } from 'omendb'
import { createServer } from 'omendb/server'
import { availableSets, K, openSet } from '../lib/data.mjs'
import { exactTruth, recallOf } from '../lib/exact.mjs'
import { describeMachine } from '../lib/machine.mjs'
import { writeSection } from '../lib/report.mjs'

const ROWS = Number(process.env.ROWS ?? 200_000)
const BATCHES = Number(process.env.BATCHES ?? 20)
const CONNECTIONS = Number(process.env.CONNECTIONS ?? 64)
const QUERIES = 200
const EF = 64
const IDLE_MS = 5000

const full = openSet(availableSets()[0])
const { dimensions, metric } = full
const rows = Math.min(ROWS, full.base.length / dimensions)
const set = { ...full, base: full.base.subarray(0, rows * dimensions), queryCount: QUERIES }
const batchRows = Math.ceil(rows / BATCHES)

function batches() {
  return Array.from({ length: Math.ceil(rows / batchRows) }, (_, b) => {
    const [from, to] = [b * batchRows, Math.min(rows, (b + 1) * batchRows)]
    const ids = Uint32Array.from({ length: to - from }, (_, i) => from + i)
    return { ids, vectors: set.base.subarray(from * dimensions, to * dimensions), dimensions }
  })
}

async function upload(collection) {
  const times = []
  for (const batch of batches()) {
    const begun = performance.now()
    await collection.addBatch(batch, { timeoutMs: 600_000 })
    times.push(performance.now() - begun)
  }
  return times
}

/** The searching client: `mark` gives what it measured since the last mark. */
function searching(job) {
  const file = fileURLToPath(new URL('searcher.mjs', import.meta.url))
  const child = spawn(process.execPath, [file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })
  child.stdin.write(`${JSON.stringify(job)}\n`)
  return {
    async mark() {
      const answer = once(answers, 'line')
      child.stdin.write('\n')
      return JSON.parse((await answer)[0])
    },
    async end() {
      const closed = once(child, 'close')
      child.stdin.end()
      await closed
    },
  }
}

async function recall(collection, truth) {
  const answers = []
  for (let q = 0; q < QUERIES; q++) {
    const query = set.queries.subarray(q * dimensions, (q + 1) * dimensions)
    const hits = await collection.search(query, { k: K, ef: EF, include: 'none' })
    answers.push(hits.map(({ id }) => id))
  }
  return recallOf(set, truth, answers, K)
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const made = mkdtempSync(path.join(tmpdir(), 'omendb-two-clients-'))
try {
  const machine = describeMachine()
  const loadBefore = loadavg()[0]
  const data = path.join(made, 'served')
  const server = await createServer({ data, port: 0, grpcPort: false, logLevel: 'warn' })
  const client = new Client(server.url, { timeoutMs: 600_000 })
  const remote = await client.collection('bench', { dimensions, metric })
  const shape = { name: 'bench', set: full.name, queries: QUERIES, k: K, ef: EF }
  const searcher = searching({ url: server.url, connections: CONNECTIONS, ...shape })
  await wait(IDLE_MS)
  await searcher.mark() // Connections are open, code is compiled.
  await wait(IDLE_MS)
  const before = await searcher.mark()
  const begun = performance.now()
  const times = await upload(remote)
  const seconds = (performance.now() - begun) / 1000
  const during = await searcher.mark()
  await wait(IDLE_MS)
  const after = await searcher.mark()
  await searcher.end()
  const truth = exactTruth(set, QUERIES, K)
  const served = await recall(remote, truth)
  const count = await remote.count()
  const [report] = await client.check()
  await client.close()
  await server.close()

  const db = await DB.open(path.join(made, 'local'))
  const local = await db.collection('bench', { dimensions, metric })
  const localStart = performance.now()
  const localTimes = await upload(local)
  const localSeconds = (performance.now() - localStart) / 1000
  const within = await recall(local, truth)
  await db.close()

  const load = { before: loadBefore, after: loadavg()[0] }
  const phases = [
    ['of an empty collection', before],
    [`while ${times.length} batches come`, during],
    [`of ${rows} rows, alone`, after],
  ]
  const rowOf = ([name, m]) => {
    const numbers = [m.p50Ms, m.p99Ms, m.maxMs].map((ms) => ms.toFixed(1))
    return [name, m.qps.toFixed(0), ...numbers, m.errors, m.wrong]
  }
  const told = (s, all) =>
    `${s.toFixed(1)} s, longest batch ${(Math.max(...all) / 1000).toFixed(1)} s`
  writeSection('two-clients', {
    machine,
    title: 'Two clients',
    tables: [
      {
        caption: `${full.name}: ${rows} x ${dimensions} in batches of ${batchRows}, on disk, sync`,
        header: ['Searches', 'searches/s', 'p50 ms', 'p99 ms', 'longest ms', 'errors', 'wrong'],
        rows: phases.map(rowOf),
      },
    ],
    notes: [
      `Searches: ${CONNECTIONS} connections, k = ${K}, ef = ${EF}.`,
      `Upload beside the searches: ${told(seconds, times)}.`,
      `In this process, alone: ${told(localSeconds, localTimes)}.`,
      `Recall: server ${served.toFixed(4)}, this process ${within.toFixed(4)}.`,
      `Records ${count}, check ${report.ok ? 'ok' : report.problem}.`,
      `Load of the machine: ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} after.`,
      ...phases.filter(([, m]) => m.fault).map(([name, m]) => `First error ${name}: ${m.fault}.`),
    ],
    data: {
      set: full.name,
      rows,
      dimensions,
      batchRows,
      k: K,
      ef: EF,
      connections: CONNECTIONS,
      searches: { before, during, after },
      uploadSeconds: { server: seconds, process: localSeconds },
      recall: { server: served, process: within },
      count,
      check: report,
      load,
    },
  })
} finally {
  rmSync(made, { recursive: true, force: true })
}
