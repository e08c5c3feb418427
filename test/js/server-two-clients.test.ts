// Two clients at once: one uploads in batches while the other searches on 64 connections. A small
// slice of bench/server/two-clients.mjs: no call may fail, no answer may be wrong, and the graph
// that came of it must be as good as one that was built in this process.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { Client, type Collection, DB } from 'omendb'
import { random } from './support.js'

const ROWS = 10_000
const BATCHES = 20
const CONNECTIONS = 64
const DIMENSIONS = 16
const QUERIES = 100
const [K, EF] = [10, 10]

/** Points around 200 centres, so that neighbours are clear. */
function clustered(rows: number, seed: number): Float32Array {
  const [place, next] = [random(7), random(seed)]
  const centres = Float32Array.from({ length: 200 * DIMENSIONS }, () => place() * 4)
  const out = new Float32Array(rows * DIMENSIONS)
  for (let row = 0; row < rows; row++) {
    const centre = Math.floor(next() * 200) * DIMENSIONS
    for (let i = 0; i < DIMENSIONS; i++)
      out[row * DIMENSIONS + i] = (centres[centre + i] as number) + next() - 0.5
  }
  return out
}

const base = clustered(ROWS, 1)
const queries = Array.from({ length: QUERIES }, (_, q) => clustered(1, 100 + q))

async function upload(collection: Collection): Promise<void> {
  const rows = ROWS / BATCHES
  for (let b = 0; b < BATCHES; b++) {
    const ids = Uint32Array.from({ length: rows }, (_, i) => b * rows + i)
    await collection.addBatch({
      ids,
      vectors: base.subarray(b * rows * DIMENSIONS, (b + 1) * rows * DIMENSIONS),
      dimensions: DIMENSIONS,
    })
  }
}

function distance(query: Float32Array, row: number): number {
  return query.reduce((sum, x, i) => sum + (x - (base[row * DIMENSIONS + i] as number)) ** 2, 0)
}

/** The share of the true nearest that a search finds. */
async function recall(collection: Collection): Promise<number> {
  let found = 0
  for (const query of queries) {
    const truth = await collection.search(query, { k: K, exact: true, include: 'none' })
    const ids = new Set(truth.map(({ id }) => id))
    const hits = await collection.search(query, { k: K, ef: EF, exact: false, include: 'none' })
    found += hits.filter(({ id }) => ids.has(id)).length
  }
  return found / (QUERIES * K)
}

test('one client uploads while another searches on 64 connections', {
  timeout: 120_000,
}, async (t) => {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-two-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  const main = path.join(__dirname, 'server-child.js')
  const child = spawn(process.execPath, [main, path.join(made, 'db'), '0'])
  t.after(() => child.kill('SIGKILL'))
  const [line] = await once(child.stdout, 'data')
  const url = String(line).trim()
  const [uploader, searcher] = [new Client(url), new Client(url, { retries: 0 })]
  const stored = await uploader.collection('c', { metric: 'l2', dimensions: DIMENSIONS })
  const searched = await searcher.collection('c')
  let isOver = false
  const times: number[] = []
  const searches = Array.from({ length: CONNECTIONS }, async (_, c) => {
    for (let i = c; !isOver; i++) {
      const query = queries[i % QUERIES] as Float32Array
      const begun = performance.now()
      const hits = await searched.search(query, { k: K, ef: EF, include: 'none' })
      times.push(performance.now() - begun)
      for (const [n, hit] of hits.entries()) {
        assert.ok(n === 0 || (hits[n - 1]?.distance as number) <= hit.distance)
        const own = distance(query, hit.id as number)
        assert.ok(Math.abs(own - hit.distance) <= 1e-4 * Math.max(1, own), `${hit.id}: ${own}`)
      }
    }
  })
  const all = Promise.all(searches) // A search that fails ends the test.
  await Promise.race([upload(stored), all])
  isOver = true
  await all
  assert.equal(await stored.count(), ROWS)
  assert.ok(times.length > CONNECTIONS)
  const p99 = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] as number
  const served = await recall(stored)
  const db = await DB.open(path.join(made, 'local'))
  t.after(() => db.close())
  const local = await db.collection('c', { metric: 'l2', dimensions: DIMENSIONS })
  await upload(local)
  const within = await recall(local)
  t.diagnostic(`${times.length} searches, p99 ${p99.toFixed(0)} ms`)
  t.diagnostic(`recall ${served}, in this process ${within}`)
  assert.ok(served >= within - 0.01, `recall ${served}, in this process ${within}`)
  assert.ok(served >= 0.9, `recall ${served}`)
  await Promise.all([uploader.close(), searcher.close()])
})
