// A client that searches without a pause until its stdin ends: node bench/server/searcher.mjs, with
// the job as its first line: { url, name, set, rows, queries, k, ef, connections }.
//
// Every answer is judged as it comes: hits in order of distance, and each distance that of the row
// it names. A line that is sent is a mark: what was measured since the last one is printed as JSON,
// { qps, p50Ms, p99Ms, maxMs, errors, wrong }.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Client } from 'omendb'
import { openSet } from '../lib/data.mjs'
import { percentile } from '../lib/measure.mjs'

const lines = createInterface({ input: process.stdin })
const [first] = await once(lines, 'line')
const { url, name, set: setName, queries, k, ef, connections } = JSON.parse(first)
const { base, dimensions, queries: all } = openSet(setName)
// Nothing is repeated: what fails is counted.
const client = new Client(url, { retries: 0 })
const collection = await client.collection(name)

/** Whether a hit's distance is that of its row. */
function isTrue(query, { id, distance }) {
  let sum = 0
  for (let i = 0; i < dimensions; i++) sum += (query[i] - base[id * dimensions + i]) ** 2
  return Math.abs(sum - distance) <= 1e-4 * Math.max(1, sum)
}

function isRight(query, hits) {
  return hits.every(
    (hit, i) => (i === 0 || hits[i - 1].distance <= hit.distance) && isTrue(query, hit),
  )
}

let isOver = false
let since = performance.now()
let times = []
let faults = []
let wrong = 0

lines.on('line', () => {
  const seconds = (performance.now() - since) / 1000
  const [p50Ms, p99Ms, maxMs] = [0.5, 0.99, 1].map((share) => percentile(times, share))
  const found = { qps: times.length / seconds, p50Ms, p99Ms, maxMs, errors: faults.length, wrong }
  console.log(JSON.stringify({ ...found, fault: faults[0] }))
  since = performance.now()
  times = []
  faults = []
  wrong = 0
})
lines.on('close', () => {
  isOver = true
})

await Promise.all(
  Array.from({ length: connections }, async (_, c) => {
    for (let i = c; !isOver; i += 1) {
      const q = i % queries
      const query = all.subarray(q * dimensions, (q + 1) * dimensions)
      const begun = performance.now()
      try {
        const hits = await collection.search(query, { k, ef, include: 'none' })
        times.push(performance.now() - begun)
        if (!isRight(query, hits)) wrong += 1
      } catch (error) {
        faults.push(`${error.code}: ${error.message}`)
      }
    }
  }),
)
await client.close()
