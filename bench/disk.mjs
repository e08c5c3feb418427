// What does a disk cost? Write rates beside those of memory, and commits that wait for the device
// beside its bare syncs, in turns; searches during checkpoints: node bench/disk.mjs [rows] [rounds]
//
// Databases are made in a folder of the system's for temporary files, and removed.
import {
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DB } from '../dist/index.mjs'
import { openSet } from './lib/data.mjs'
import { median, percentile } from './lib/measure.mjs'

const rows = Number(process.argv[2] ?? 40_000)
const rounds = Number(process.argv[3] ?? 3)
const BATCH = 1000
const { base, queries, truth, depth, dimensions } = openSet('sift')
const home = mkdtempSync(join(tmpdir(), 'omendb-bench-'))
const metadata = Array.from({ length: BATCH }, (_, i) => ({
  year: 1950 + (i % 70),
  kind: `k${i % 9}`,
}))

async function write(db, first, count) {
  for (let at = first; at < first + count; at += BATCH) {
    const ids = Float64Array.from({ length: BATCH }, (_, i) => at + i)
    const vectors = base.subarray(at * dimensions, (at + BATCH) * dimensions)
    await db.upsert({ ids, vectors, metadata })
  }
}

const kinds = ['memory', 'os', 'periodic', 'sync']
const rates = Object.fromEntries(kinds.map((kind) => [kind, []]))
let made = 0
for (let round = 0; round < rounds; round++) {
  for (const kind of kinds) {
    const options = { metric: 'l2', dimensions }
    const where = join(home, `w${made++}`)
    const db =
      kind === 'memory' ? new DB(options) : await DB.open(where, { ...options, durability: kind })
    const start = performance.now()
    await write(db, 0, rows)
    rates[kind].push(rows / ((performance.now() - start) / 1000))
    await db.close()
    rmSync(where, { recursive: true, force: true })
  }
}
console.log(`${rows} x ${dimensions} with metadata, upserts of ${BATCH}, medians of ${rounds}`)
for (const kind of kinds) {
  const rate = median(rates[kind])
  const share = ((100 * rate) / median(rates.memory)).toFixed(0)
  console.log(`${kind.padEnd(9)} ${rate.toFixed(0).padStart(7)} vectors/s  ${share} % of memory's`)
}

// Group commit: so many writers, each of which awaits one record after the other. One sync serves
// all that wait, so that commits come to the device's syncs a second times those that wait.
const SECONDS = 2
const RECORD = 700 // About what one such commit appends to the log.
function syncsPerSecond() {
  const file = openSync(join(home, 'bare'), 'w')
  const bytes = Buffer.alloc(RECORD, 1)
  let count = 0
  const start = performance.now()
  while (performance.now() - start < 1000 * SECONDS) {
    writeSync(file, bytes)
    fdatasyncSync(file)
    count += 1
  }
  closeSync(file)
  return (1000 * count) / (performance.now() - start)
}
async function commitsPerSecond(writers) {
  const where = join(home, `g${made++}`)
  const db = await DB.open(where, { metric: 'l2', dimensions, durability: 'sync' })
  let id = 0
  const start = performance.now()
  const run = async () => {
    while (performance.now() - start < 1000 * SECONDS) {
      const at = id++ % (base.length / dimensions)
      const vector = base.subarray(at * dimensions, (at + 1) * dimensions)
      await db.add({ id: id, vector, metadata: metadata[id % BATCH] })
    }
  }
  await Promise.all(Array.from({ length: writers }, run))
  const rate = (1000 * id) / (performance.now() - start)
  await db.close()
  rmSync(where, { recursive: true, force: true })
  return rate
}
const syncs = []
const commits = new Map([1, 8, 64].map((writers) => [writers, []]))
for (let round = 0; round < rounds; round++) {
  syncs.push(syncsPerSecond())
  for (const [writers, found] of commits) found.push(await commitsPerSecond(writers))
}
const bare = median(syncs)
console.log(`\n${bare.toFixed(0)} writes with fdatasync a second, one after the other`)
for (const [writers, found] of commits) {
  const rate = median(found)
  console.log(
    `${String(writers).padStart(2)} writers wait   ${rate.toFixed(0).padStart(6)} commits/s` +
      `  ${(rate / bare).toFixed(2)} for each of these`,
  )
}
console.log()

// One thread asks one query after the other; recall@10 is that of all rows' truth where all are in.
async function latencies(db, until) {
  const times = []
  let found = 0
  for (let q = 0; !until(times.length); q = (q + 1) % (queries.length / dimensions)) {
    const start = performance.now()
    const hits = await db.search(queries.subarray(q * dimensions, (q + 1) * dimensions))
    times.push(1000 * (performance.now() - start))
    const nearest = truth.subarray(q * depth, q * depth + 10)
    for (const { id } of hits) found += nearest.includes(id) ? 1 : 0
    if (times.length % 200 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const at = (share) => percentile(times, share).toFixed(0)
  const recall = (found / times.length / 10).toFixed(3)
  return `${times.length} searches, p50 ${at(0.5)} us, p99 ${at(0.99)} us, ` + `recall@10 ${recall}`
}

const where = join(home, 'searched')
const all = base.length / dimensions
const replaced = Math.floor(all / 100)
const options = { metric: 'l2', dimensions, durability: 'os' }
let db = await DB.open(where, options)
await write(db, 0, Math.floor(all / BATCH) * BATCH)
await db.optimize()
await db.close()
// The last of the replaced rows makes a checkpoint due.
const rowBytes = dimensions * 4
db = await DB.open(where, { ...options, checkpointBytes: Math.floor(replaced * rowBytes) })
await latencies(db, (n) => n >= 2000)
console.log(`at rest:             ${await latencies(db, (n) => n >= 5000)}`)
const before = readdirSync(where)
const checkpoints = async () => (await db.stats()).storage.checkpoints
async function replace(first) {
  const ids = Float64Array.from({ length: 50 }, (_, j) => ((first + j) * 7919) % all)
  const vectors = new Float32Array(50 * dimensions)
  for (const [j, id] of ids.entries())
    vectors.set(base.subarray(id * dimensions, (id + 1) * dimensions), j * dimensions)
  await db.upsert({ ids, vectors })
}
for (let i = 0; (await checkpoints()) === 0 && i < 2 * replaced; i += 50) await replace(i)
const bytes = readdirSync(where)
  .filter((name) => name.endsWith('.seg') && !before.includes(name))
  .reduce((sum, name) => sum + statSync(join(where, name)).size, 0)
const times = (bytes / (replaced * rowBytes)).toFixed(1)
console.log(
  `1 % of the rows replaced at random: ${bytes} bytes written, ${times} times their vectors`,
)
// A checkpoint that writes the graph too, and the copy of all files.
for (let i = 0; i < 2 * replaced; i += 50) await replace(i)
let isDone = false
const backup = db.backup(join(home, 'copy')).finally(() => {
  isDone = true
})
console.log(`during a backup:     ${await latencies(db, (n) => isDone && n >= 200)}`)
await backup
await db.close()
rmSync(home, { recursive: true, force: true })
