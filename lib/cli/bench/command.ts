/**
 * `omendb bench`: builds a database in memory and measures it: how fast it is filled, what it finds
 * of the exact answer, how fast it answers, what it takes.
 *
 * Queries are asked one at a time, by the Sync call on this thread, after a round that is not
 * counted; the first column of rates is that. `searchBatch` answers all of them on all threads.
 */

import type { BatchHits } from '../../../types/records.js'
import { DB } from '../../db.js'
import type { Call } from '../arguments.js'
import { EXIT, UsageError } from '../exit.js'
import { FORMATS } from '../formats/format.js'
import { chooseFormat } from '../formats/index.js'
import { Interrupt } from '../interrupt.js'
import { print } from '../output.js'
import { Progress } from '../progress.js'
import { table } from '../table.js'
import { type BenchData, clusters, fromFile } from './data.js'

const ROWS = 50_000
const QUERIES = 500
const DIMENSIONS = 128

interface Point {
  ef: number
  recall: number
  queriesPerSecond: number
  p50Us: number
  p99Us: number
  batchQueriesPerSecond: number
}

interface Report {
  data: string
  rows: number
  dimensions: number
  metric: string
  quantization: string
  k: number
  queries: number
  seconds: number
  vectorsPerSecond: number
  bytesPerVector: number
  simd: string
  threads: number
  points: Point[]
}

export async function bench(call: Call): Promise<number> {
  const k = call.integer('k', 1, 1000) ?? 10
  const efs = (call.text('ef') ?? '16,32,64,128,256').split(',').map((text) => {
    const ef = Number(text)
    if (!/^\d+$/.test(text) || ef < 1 || ef > 10_000) {
      throw new UsageError(`--ef is a list of integers from 1 to 10000, not '${call.text('ef')}'`)
    }
    return Math.max(ef, k)
  })
  const metric = call.oneOf('metric', ['cosine', 'l2', 'dot']) ?? 'l2'
  const quantization = call.oneOf('quantization', ['sq8', 'none', 'binary']) ?? 'sq8'
  const interrupt = new Interrupt(() => process.exit(EXIT.interrupted))
  const data = await readData(call)
  const db = new DB({ dimensions: data.dimensions, metric, quantization })
  try {
    const rows = data.base.length / data.dimensions
    const progress = new Progress('building', 'vectors', call.json || call.flag('quiet'))
    const started = performance.now()
    await db.addBatch(
      { vectors: data.base, dimensions: data.dimensions },
      { onProgress: ({ done, total }) => progress.update(done, done / total) },
    )
    const seconds = (performance.now() - started) / 1000
    progress.clear()
    const truth = await db.searchBatch(data.queries, { k, exact: true })
    const { bytes, simd, threads } = await db.stats()
    const points: Point[] = []
    for (const ef of [...new Set(efs)]) points.push(await measure(db, data, truth, k, ef))
    const report: Report = {
      data: data.name,
      rows,
      dimensions: data.dimensions,
      metric,
      quantization,
      k,
      queries: truth.length,
      seconds,
      vectorsPerSecond: rows / seconds,
      bytesPerVector: bytes / rows,
      simd,
      threads,
      points,
    }
    await print(call.json ? `${JSON.stringify(report)}\n` : describe(report))
  } finally {
    await db.close()
    interrupt.dispose()
  }
  return EXIT.ok
}

function readData(call: Call): BenchData | Promise<BenchData> {
  const rows = call.integer('rows', 20, 100_000_000)
  const queries = call.integer('queries', 1, 100_000) ?? QUERIES
  const [file] = call.positionals
  if (file !== undefined) {
    for (const name of ['dimensions', 'seed']) {
      if (call.text(name) !== undefined) throw new UsageError(`--${name} is for synthetic data`)
    }
    const format = chooseFormat(file, call.oneOf('format', FORMATS))
    return fromFile(file, format, call.text('vector'), rows ?? 200_000, queries)
  }
  const dimensions = call.integer('dimensions', 1, 16_384) ?? DIMENSIONS
  return clusters(rows ?? ROWS, queries, dimensions, call.integer('seed', 0, 2 ** 31) ?? 1)
}

async function measure(
  db: DB,
  { queries, dimensions }: BenchData,
  truth: BatchHits,
  k: number,
  ef: number,
): Promise<Point> {
  const count = truth.length
  const ids = new Float64Array(k)
  const distances = new Float32Array(k)
  const times = new Float64Array(count)
  let found = 0
  let wanted = 0
  for (let round = 0; round < 2; round++) {
    for (let q = 0; q < count; q++) {
      const query = queries.subarray(q * dimensions, (q + 1) * dimensions)
      const started = performance.now()
      const n = db.searchInto(query, ids, distances, { k, ef, exact: false })
      times[q] = performance.now() - started
      if (round === 0) continue
      // By distance, so that a record as near as the k-th of the truth counts as well.
      const last = truth.distances[q * k + (truth.counts[q] as number) - 1] as number
      wanted += truth.counts[q] as number
      for (let i = 0; i < n; i++) if ((distances[i] as number) <= last) found += 1
    }
  }
  const total = times.reduce((sum, t) => sum + t, 0)
  times.sort()
  const at = (part: number) =>
    (times[Math.min(count - 1, Math.floor(count * part))] as number) * 1e3
  const started = performance.now()
  await db.searchBatch(queries, { k, ef, exact: false })
  const batchSeconds = (performance.now() - started) / 1000
  return {
    ef,
    recall: found / wanted,
    queriesPerSecond: count / (total / 1000),
    p50Us: at(0.5),
    p99Us: at(0.99),
    batchQueriesPerSecond: count / batchSeconds,
  }
}

function describe(report: Report): string {
  const { data, rows, dimensions, metric, quantization, queries, k, simd, threads } = report
  const number = (value: number) => Math.round(value).toLocaleString('en')
  const head = ['ef', `recall@${k}`, 'queries/s', 'p50 us', 'p99 us', 'queries/s, batch']
  const lines = report.points.map((p) => [
    p.ef,
    p.recall.toFixed(4),
    number(p.queriesPerSecond),
    p.p50Us.toFixed(1),
    p.p99Us.toFixed(1),
    number(p.batchQueriesPerSecond),
  ])
  const rate = `${number(report.vectorsPerSecond)} vectors/s`
  const bytes = `${number(report.bytesPerVector)} bytes a vector`
  const built = `built in ${report.seconds.toFixed(2)} s: ${rate}, ${bytes}`
  return `${data}: ${number(rows)} vectors of ${dimensions} dimensions, ${metric}, ${quantization}
${built}
${number(queries)} queries, one at a time on one thread, and as a batch on ${threads} (${simd}):
${table(head, lines)}`
}
