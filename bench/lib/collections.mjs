// Collections: building one from a set and measuring searches on it, for the sections and the
// peers.

import { DB } from 'omendb'
import { K } from './data.mjs'
import { recallOf } from './exact.mjs'
import { median, residentBytes, timed, timeEach } from './measure.mjs'

export { DB }

/**
 * Adds rows to a fresh collection.
 *
 * @param set      From openSet.
 * @param rows     { ids, vectors, metadata? } as selectRows gives them.
 * @param options.quantization  'sq8' or 'none'.
 * @param options.batchRows     Rows of one addBatch; all at once by default.
 * @returns The open database, its collection, and what the build took.
 */
export async function build(set, rows, { quantization = 'sq8', batchRows = Infinity } = {}) {
  const { dimensions, metric } = set
  const db = new DB()
  const collection = await db.collection('bench', { dimensions, metric, quantization })
  const residentBefore = residentBytes()
  const { wallSeconds, cpuSeconds } = await timed(() =>
    addRows(collection, rows, dimensions, batchRows),
  )
  const residentAfter = residentBytes()
  const count = rows.ids.length
  return {
    db,
    collection,
    figures: {
      rows: count,
      wallSeconds,
      cpuSeconds,
      rate: count / wallSeconds,
      ratePerCpuSecond: count / cpuSeconds,
      residentPerVector: (residentAfter - residentBefore) / count,
    },
  }
}

/** addBatch (or upsert) in batches, one after the other. */
export async function addRows(collection, rows, dimensions, batchRows, verb = 'addBatch') {
  const { ids, vectors, metadata } = rows
  for (let from = 0; from < ids.length; from += batchRows) {
    const to = Math.min(ids.length, from + batchRows)
    await collection[verb]({
      ids: ids.subarray(from, to),
      vectors: vectors.subarray(from * dimensions, to * dimensions),
      ...(metadata === undefined ? {} : { metadata: metadata.slice(from, to) }),
    })
  }
}

/** Bytes per vector by use, from stats(); `derived` is all but the originals and the metadata. */
export async function bytesPerVector(collection) {
  const { bytes, count } = await collection.stats()
  const parts = Object.fromEntries(
    Object.entries(bytes).map(([use, amount]) => [use, amount / Math.max(1, count)]),
  )
  parts.derived = parts.total - parts.vectors - parts.metadata - parts.columns
  return parts
}

/** Records that no path reaches, by the collection's own check. */
export async function unreachable(db) {
  const reports = await db.check()
  const list = Array.isArray(reports) ? reports : [reports]
  const broken = list.find((report) => !report.ok)
  if (broken !== undefined) throw new Error(`check: ${broken.problem}`)
  return list.reduce((sum, report) => sum + (report.unreachable ?? 0), 0)
}

/** Query `q` of a set, as a view. */
export function queryAt({ queries, dimensions }, q) {
  return queries.subarray(q * dimensions, (q + 1) * dimensions)
}

/**
 * Single searches, one after the other: recall, and medians over `repeats` rounds.
 *
 * @param options  Search options; `filterOf(q)` may give each query its own filter.
 */
export function measureSearch(collection, set, truth, options = {}) {
  const { repeats = 3, queryCount = set.queryCount, filterOf, ...search } = options
  const call = (q) =>
    collection.searchSync(queryAt(set, q), {
      k: K,
      include: 'none',
      ...search,
      ...(filterOf === undefined ? {} : { filter: filterOf(q) }),
    })
  const first = timeEach(1, call)
  const rounds = Array.from({ length: repeats + 1 }, () => timeEach(queryCount, call)).slice(1)
  const answers = rounds[0].answers.map((hits) => hits.map(({ id }) => id))
  return {
    recall: recallOf(set, truth, answers, K),
    qps: median(rounds.map((round) => round.qps)),
    p50Us: median(rounds.map((round) => round.p50Us)),
    p99Us: median(rounds.map((round) => round.p99Us)),
    cpuUs: median(rounds.map((round) => (round.cpuSeconds / queryCount) * 1e6)),
    firstUs: first.p50Us,
    fewest: Math.min(...answers.map((ids) => ids.length)),
  }
}

/**
 * How the same searches were answered: the plan of the first, and the share of all whose walk of
 * the graph found too few, so that the exact scan answered. To be asked after measuring: explain()
 * fills the caches that a first search finds empty.
 */
export function explainSearch(collection, set, options = {}) {
  const { queryCount = set.queryCount, filterOf, ...search } = options
  const plans = Array.from({ length: queryCount }, (_, q) =>
    collection.explainSync(queryAt(set, q), {
      k: K,
      ...search,
      ...(filterOf === undefined ? {} : { filter: filterOf(q) }),
    }),
  )
  const fallbacks = plans.filter(({ fallback }) => fallback).length
  return { plan: plans[0].plan, fallback: fallbacks / queryCount }
}

/** Planned, by the forced graph and by the exact scan; then how the first two were answered. */
export function measurePlans(collection, set, truth, common, exactOnly) {
  const graphOnly = { ...common, exact: false }
  const planned = measureSearch(collection, set, truth, common)
  const graph = measureSearch(collection, set, truth, graphOnly)
  const exact = measureSearch(collection, set, truth, { ...common, exact: true, ...exactOnly })
  const { repeats: _, ...asked } = common
  const { plan, fallback } = explainSearch(collection, set, asked)
  graph.fallback = explainSearch(collection, set, { ...asked, exact: false }).fallback
  return { plan, planned: { ...planned, fallback }, graph, exact }
}

/** All queries in one searchBatch: queries per second on all threads, and the recall. */
export async function measureBatch(collection, set, truth, { repeats = 3, ...search } = {}) {
  const { queryCount, dimensions } = set
  const queries = set.queries.subarray(0, queryCount * dimensions)
  const rates = []
  let hits
  for (let round = 0; round <= repeats; ++round) {
    const { result, wallSeconds } = await timed(() =>
      collection.searchBatch(queries, { k: K, ...search }),
    )
    if (round > 0) rates.push(queryCount / wallSeconds)
    hits = result
  }
  const answers = Array.from({ length: queryCount }, (_, q) =>
    Array.from({ length: hits.counts[q] }, (_unused, j) => hits.id(q, j)),
  )
  return { recall: recallOf(set, truth, answers, K), qps: median(rates) }
}
