// What does a disk cost? Write rates beside those of memory, in turns, and searches during
// checkpoints: node bench/disk.mjs [rows] [rounds]
//
// Databases are made in a folder of the system's for temporary files, and removed.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
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
const db = await DB.open(where, { metric: 'l2', dimensions, durability: 'os' })
await write(db, 0, Math.floor(all / BATCH) * BATCH)
await db.optimize()
console.log(`at rest:             ${await latencies(db, (n) => n >= 5000)}`)
const replaced = Math.floor(all / 100)
const before = readdirSync(where)
for (let i = 0; i < replaced; i++) {
  const id = (i * 7919) % all
  await db.upsert({ id, vector: base.subarray(id * dimensions, (id + 1) * dimensions) })
}
let isDone = false
const backup = db.backup(join(home, 'copy')).then(() => {
  isDone = true
})
const during = await latencies(db, (n) => isDone && n >= 200)
await backup
const bytes = readdirSync(where)
  .filter((name) => !before.includes(name))
  .reduce((sum, name) => sum + statSync(join(where, name)).size, 0)
console.log(`during a checkpoint: ${during}`)
console.log(
  `(a checkpoint of 1 % replaced rows, and the copy of a backup; new files: ${bytes} bytes)`,
)
await db.close()
rmSync(home, { recursive: true, force: true })
