// Calls of JavaScript beside the same calls of C++ (bench/native/calls_bench.cc), in turns.
//
// Why turns: the machine's speed changes from second to second, and the difference looked for is a
// tenth of what is measured. Why CPU time: the difference is not to tell who was interrupted, nor
// what it costs to read a clock. Both processes hold the same graph: OMENDB_THREADS is 1 for both,
// so that rows are linked one after the other; `sameGraph` tells.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build, queryAt } from '../lib/collections.mjs'
import { K, openMetadata, openSet, selectRows } from '../lib/data.mjs'
import { recallOf } from '../lib/exact.mjs'
import { median, percentile, spreadPercent } from '../lib/measure.mjs'

/**
 * @param job.set, job.rows, job.efs, job.rounds
 * @param job.program  The path of calls_bench.
 */
export async function run({ set: name, rows, efs, rounds, program }) {
  const set = openSet(name)
  const selected = selectRows(set, { rows })
  const all = openMetadata(name)
  selected.metadata = Array.from(selected.ids, (id) => all[id])
  const rowOf = selected.ids // C++ gives ids from 0 on, and so does this side.
  selected.ids = selected.ids.map((_, i) => i)
  const native = await Native.start(program, set, selected)
  const { db, collection } = await build(set, selected)
  const queries = Array.from({ length: set.queryCount }, (_, q) => queryAt(set, q).slice())
  const results = []
  for (const ef of efs) {
    const options = { k: K, ef, exact: false }
    const found = queries.map((query) =>
      collection.searchSync(query, options).map(({ id }) => rowOf[id]),
    )
    const recall = recallOf(set, selected.truth, found, K)
    for (const [call, make] of Object.entries(CALLS)) {
      const one = make(collection, set, queries, options)
      results.push({ call, ef, recall, ...(await compare(one, native, ef, rounds)) })
    }
  }
  const sameGraph = (await native.ask(`work ${efs[0]}`))[0] === rowsScored(collection, queries, efs)
  await native.close()
  await db.close()
  return { sameGraph, queryCount: set.queryCount, results }
}

function rowsScored(collection, queries, efs) {
  const options = { k: K, ef: efs[0], exact: false }
  return queries.reduce((sum, query) => sum + collection.explainSync(query, options).rowsScored, 0)
}

/** One round of each call in nanoseconds, [CPU of one, p50, p99], and its twin in C++. */
const CALLS = {
  searchInto: (collection, _set, queries, options) => {
    const ids = new Float64Array(K)
    const distances = new Float32Array(K)
    const call = (query) => collection.searchInto(query, ids, distances, options)
    return { twin: 'search', suffix: ' 0', round: () => singles(queries, call) }
  },
  'searchSync without metadata': (collection, _set, queries, options) => {
    const bare = { ...options, include: 'none' }
    const call = (query) => collection.searchSync(query, bare)
    return { twin: 'search', suffix: ' 0', round: () => singles(queries, call) }
  },
  searchSync: (collection, _set, queries, options) => {
    const call = (query) => collection.searchSync(query, options)
    return { twin: 'search', suffix: ' 1', round: () => singles(queries, call) }
  },
  'searchBatchSync, a query': (collection, { queryCount, dimensions, queries }, _each, options) => {
    const all = queries.subarray(0, queryCount * dimensions)
    const round = () => {
      const cpu = process.cpuUsage()
      collection.searchBatchSync(all, options)
      return [cpuNs(cpu) / queryCount]
    }
    return { twin: 'batch', suffix: '', round }
  },
}

/** CPU nanoseconds of the process since `before`. */
function cpuNs(before) {
  const { user, system } = process.cpuUsage(before)
  return (user + system) * 1000
}

function singles(queries, call) {
  const cpu = process.cpuUsage()
  for (let q = 0; q < queries.length; ++q) call(queries[q])
  const mean = cpuNs(cpu) / queries.length
  const nanos = new Float64Array(queries.length)
  for (let q = 0; q < queries.length; ++q) {
    const start = performance.now()
    call(queries[q])
    nanos[q] = (performance.now() - start) * 1e6
  }
  return [mean, median(nanos), percentile(nanos, 0.99)]
}

async function compare({ twin, suffix, round }, native, ef, rounds) {
  const [ours, theirs] = [[], []]
  for (let i = -2; i < rounds; ++i) {
    const pair = []
    // Who begins takes turns; the first rounds only warm.
    for (const isOurs of i % 2 === 0 ? [true, false] : [false, true]) {
      pair[isOurs ? 0 : 1] = isOurs ? round() : await native.ask(`${twin} ${ef}${suffix}`)
    }
    if (i < 0) continue
    ours.push(pair[0])
    theirs.push(pair[1])
  }
  const differences = ours.map(([cpu], i) => cpu - theirs[i][0])
  const ratios = ours.map(([cpu], i) => cpu / theirs[i][0])
  const of = (all, figure) =>
    all[0].length > figure ? median(all.map((one) => one[figure])) : null
  return {
    cpuNs: of(ours, 0),
    nativeCpuNs: of(theirs, 0),
    p50Ns: of(ours, 1),
    nativeP50Ns: of(theirs, 1),
    p99Ns: of(ours, 2),
    nativeP99Ns: of(theirs, 2),
    overheadNs: median(differences),
    ratio: median(ratios),
    spread: spreadPercent(ratios),
  }
}

/** The C++ side. */
class Native {
  #child
  #lines
  #folder

  static async start(program, set, { vectors, metadata }) {
    const native = new Native()
    native.#folder = mkdtempSync(join(tmpdir(), 'omendb-calls-'))
    const bytes = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    writeFileSync(join(native.#folder, 'base.f32'), bytes(vectors))
    const queries = set.queries.subarray(0, set.queryCount * set.dimensions)
    writeFileSync(join(native.#folder, 'query.f32'), bytes(queries))
    const lines = metadata.map((record) => `${JSON.stringify(record)}\n`)
    writeFileSync(join(native.#folder, 'metadata.jsonl'), lines.join(''))
    const args = [native.#folder, set.metric, String(set.dimensions)]
    native.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const reader = createInterface({ input: native.#child.stdout })
    native.#lines = reader[Symbol.asyncIterator]()
    await native.#read()
    return native
  }

  async #read() {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('calls_bench ended early')
    return value
  }

  async ask(line) {
    this.#child.stdin.write(`${line}\n`)
    return (await this.#read()).split(' ').map(Number)
  }

  async close() {
    const exit = once(this.#child, 'exit')
    this.#child.stdin.end()
    await exit
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
