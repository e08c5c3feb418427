/**
 * Searches: the fast path of searchSync, and what its siblings share.
 *
 * searchSync allocates nothing but its hits: options are read into one object of this module, and
 * native code writes into one buffer of this thread. Both are used between two calls of the
 * caller's code, so that a getter among the options may search as well.
 */

import type { NativeAddon, NativeCollection } from '../../types/native.js'
import type { Plan } from '../../types/stats.js'
import { Call } from '../call.js'
import { nowMs } from '../clock.js'
import {
  type CallSettings,
  readSearch,
  type SearchCall,
  searchCall,
  TAKES_INCLUDE,
  TAKES_SIGNAL,
} from '../options.js'
import {
  type AnyRow,
  BatchHitArrays,
  flatHits,
  hitsFrom,
  hitsOf,
  NO_BATCH,
} from '../rows/results.js'
import { packRows, querySet, toVector } from '../vectors.js'
import { loneSearches, SearchCost } from './lone.js'

const shared = searchCall()

/** Views of the buffer that searchSync's native half writes into. */
class Scratch {
  capacity = 0
  head = new Uint32Array(2)
  ids = new Float64Array(0)
  distances = new Float32Array(0)

  grow(addon: NativeAddon, k: number): void {
    const buffer = addon.scratch(k)
    this.capacity = (buffer.byteLength - 8) / 12
    this.head = new Uint32Array(buffer, 0, 2)
    this.ids = new Float64Array(buffer, 8, this.capacity)
    this.distances = new Float32Array(buffer, 8 + 8 * this.capacity, this.capacity)
  }
}

const scratch = new Scratch()
const IDS_IN_JSON = 1
const HAS_DATES = 2
const APPROXIMATE = 4

const found = flatHits()

/** A search for hits without vectors, at once, into the buffer of this thread. */
function searchNow(
  addon: NativeAddon,
  collection: NativeCollection,
  vector: Float32Array,
  { k, ef, mode, maxDistance, filter, include }: SearchCall,
): AnyRow[] {
  if (k > scratch.capacity) scratch.grow(addon, k)
  const bits = include as 0 | 1
  const json = collection.searchSync(vector, k, ef, mode, maxDistance, filter, bits)
  const flags = scratch.head[1] as number
  found.count = scratch.head[0] as number
  found.ids = (flags & IDS_IN_JSON) === 0 ? scratch.ids : undefined
  found.distances = scratch.distances
  found.hasDates = (flags & HAS_DATES) !== 0
  found.approximate = (flags & APPROXIMATE) !== 0
  return hitsFrom(found, json, bits === 1)
}

export function searchSync(
  addon: NativeAddon,
  collection: NativeCollection,
  query: unknown,
  options: unknown,
): AnyRow[] {
  const vector = toVector(query)
  readSearch(options, shared, TAKES_INCLUDE)
  const { k, ef, mode, maxDistance, filter, include } = shared
  if (include <= 1) return searchNow(addon, collection, vector, shared)
  const rows = collection.searchRowsSync(vector, k, ef, mode, maxDistance, filter, include)
  return hitsOf(rows, include)
}

export function searchInto(
  collection: NativeCollection,
  query: unknown,
  ids: Float64Array | BigUint64Array,
  distances: Float32Array,
  options: unknown,
): number {
  const vector = toVector(query)
  readSearch(options, shared, 0)
  const { k, ef, mode, maxDistance, filter } = shared
  return collection.searchIntoSync(vector, ids, distances, k, ef, mode, maxDistance, filter)
}

function startCall(addon: NativeAddon, call: SearchCall): Call | undefined {
  if (call.signal === undefined && call.timeoutMs === undefined) return undefined
  const { signal, timeoutMs } = call
  const settings: CallSettings = { signal, timeoutMs, onProgress: undefined }
  return Call.start(addon, settings)
}

/** Settles native work under the call's signal, if it has a call. */
export function settle<T>(work: Promise<T>, call: Call | undefined): Promise<T> {
  return call === undefined ? work : call.settle(work)
}

/** The buffer that answers from the pool come in; see NativeAddon.answers. */
class Answers {
  #words: Uint32Array | undefined
  #ids = new Float64Array(0)
  #distances = new Float32Array(0)
  readonly #hits = flatHits()

  /** Before the first answer. */
  open(addon: NativeAddon): void {
    if (this.#words !== undefined) return
    const buffer = addon.answers()
    this.#words = new Uint32Array(buffer)
    this.#ids = new Float64Array(buffer)
    this.#distances = new Float32Array(buffer)
  }

  /** Reads the answer at a place, once. Notes what it took. */
  take(place: number, json: string | undefined, call: SearchCall, cost: SearchCost): AnyRow[] {
    const words = this.#words as Uint32Array
    const at = place / 4
    const count = words[at] as number
    const flags = words[at + 1] as number
    cost.note(call.ef, (words[at + 2] as number) / 1e6)
    const hits = this.#hits
    hits.count = count
    hits.ids = (flags & IDS_IN_JSON) === 0 ? this.#ids : undefined
    hits.idsFrom = (place + 16) / 8
    hits.distances = this.#distances
    hits.distancesFrom = at + 4 + 2 * count
    hits.hasDates = (flags & HAS_DATES) !== 0
    hits.approximate = (flags & APPROXIMATE) !== 0
    words[0] = (words[0] as number) - 1
    return hitsFrom(hits, json, call.include === 1)
  }
}

const answers = new Answers()
const costs = new WeakMap<NativeCollection, SearchCost>()

function costOf(collection: NativeCollection): SearchCost {
  let cost = costs.get(collection)
  if (cost === undefined) {
    cost = new SearchCost()
    costs.set(collection, cost)
  }
  return cost
}

export async function search(
  addon: NativeAddon,
  collection: NativeCollection,
  query: unknown,
  options: unknown,
): Promise<AnyRow[]> {
  const vector = toVector(query)
  const call = searchCall()
  readSearch(options, call, TAKES_INCLUDE | TAKES_SIGNAL)
  const { k, ef, mode, maxDistance, filter, include } = call
  const cost = costOf(collection)
  if (include <= 1 && loneSearches.admits(call, cost)) {
    const start = nowMs()
    const hits = searchNow(addon, collection, vector, call)
    const ms = nowMs() - start
    cost.note(ef, ms)
    loneSearches.ran(ms)
    return hits
  }
  const running = startCall(addon, call)
  const operation = running?.operation
  loneSearches.queued++
  try {
    if (include > 1) {
      const work = collection.search(vector, k, ef, mode, maxDistance, filter, include, operation)
      return hitsOf(await settle(work, running), include)
    }
    answers.open(addon)
    const bits = include as 0 | 1
    const work = collection.searchQueued(vector, k, ef, mode, maxDistance, filter, bits, operation)
    const answer = await settle(work, running)
    if (typeof answer === 'number') return answers.take(answer, undefined, call, cost)
    if (Array.isArray(answer)) return answers.take(answer[0], answer[1], call, cost)
    return hitsOf(answer, include)
  } finally {
    loneSearches.queued--
  }
}

export function searchBatchSync(
  collection: NativeCollection,
  queries: unknown,
  options: unknown,
): BatchHitArrays {
  const set = querySet(queries, collection.dimensions)
  const floats = packRows(set)
  readSearch(options, shared, 0)
  const { k, ef, mode, maxDistance, filter } = shared
  if (set.rows === 0) return new BatchHitArrays(NO_BATCH, k)
  const batch = collection.searchBatchSync(
    floats,
    set.rows,
    set.dimensions,
    k,
    ef,
    mode,
    maxDistance,
    filter,
  )
  return new BatchHitArrays(batch, k)
}

export async function searchBatch(
  addon: NativeAddon,
  collection: NativeCollection,
  queries: unknown,
  options: unknown,
): Promise<BatchHitArrays> {
  const set = querySet(queries, collection.dimensions)
  const floats = packRows(set)
  const call = searchCall()
  readSearch(options, call, TAKES_SIGNAL)
  const { k, ef, mode, maxDistance, filter } = call
  if (set.rows === 0) return new BatchHitArrays(NO_BATCH, k)
  const running = startCall(addon, call)
  const work = collection.searchBatch(
    floats,
    set.rows,
    set.dimensions,
    k,
    ef,
    mode,
    maxDistance,
    filter,
    running?.operation,
  )
  return new BatchHitArrays(await settle(work, running), k)
}

export function explainSync(collection: NativeCollection, query: unknown, options: unknown): Plan {
  const vector = toVector(query)
  readSearch(options, shared, 0)
  const { k, ef, mode, maxDistance, filter } = shared
  return collection.explainSync(vector, k, ef, mode, maxDistance, filter)
}

export async function explain(
  addon: NativeAddon,
  collection: NativeCollection,
  query: unknown,
  options: unknown,
): Promise<Plan> {
  const vector = toVector(query)
  const call = searchCall()
  readSearch(options, call, TAKES_SIGNAL)
  const { k, ef, mode, maxDistance, filter } = call
  const running = startCall(addon, call)
  const operation = running?.operation
  const work = collection.explain(vector, k, ef, mode, maxDistance, filter, operation)
  return settle(work, running)
}
