/**
 * Searches: the fast path of searchSync, and what its siblings share.
 *
 * searchSync allocates nothing but its hits: options are read into one object of this module, and
 * native code writes into one buffer of this thread. Both are used between two calls of the
 * caller's code, so that a getter among the options may search as well.
 */

import type {
  NativeAddon,
  NativeCollection,
  NativeInclude,
  NativeRows,
} from '../../types/native.js'
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
  type FlatHits,
  flatHits,
  hitsFrom,
  hitsOf,
  NO_BATCH,
} from '../rows/results.js'
import { packRows, querySet, toVector } from '../vectors.js'
import { expectedMs, loneSearches, SearchCost } from './lone.js'

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

/** What becomes of hits without vectors; they lie in a buffer that the next search overwrites. */
export type FlatMake<T> = (hits: FlatHits, json: string | undefined) => T

/** What becomes of an answer, in whichever form it comes. */
export interface Makes<T> {
  readonly flat: FlatMake<T>
  readonly rows: (rows: NativeRows) => T
}

/** Where a search runs. */
export interface Place {
  readonly addon: NativeAddon
  readonly collection: NativeCollection
  /** What a search that runs here may be expected to take; see lone.ts for the default. */
  readonly msMax?: number
}

/** A search for hits without vectors, at once, into the buffer of this thread. */
function searchNow<T>(
  { addon, collection }: Place,
  vector: Float32Array,
  { k, ef, mode, maxDistance, filter, include }: SearchCall,
  make: FlatMake<T>,
): T {
  if (k > scratch.capacity) scratch.grow(addon, k)
  const bits = include as 0 | 1
  const json = collection.searchSync(vector, k, ef, mode, maxDistance, filter, bits)
  const flags = scratch.head[1] as number
  found.count = scratch.head[0] as number
  found.ids = (flags & IDS_IN_JSON) === 0 ? scratch.ids : undefined
  found.distances = scratch.distances
  found.hasDates = (flags & HAS_DATES) !== 0
  found.approximate = (flags & APPROXIMATE) !== 0
  return make(found, json)
}

const HITS: readonly Makes<AnyRow[]>[] = ([0, 1, 2, 3] as const).map((include) => ({
  flat: (hits, json) => hitsFrom(hits, json, include === 1),
  rows: (rows) => hitsOf(rows, include),
}))

/** As hits of the caller's, by the bits of NativeInclude. */
function asHits(include: NativeInclude): Makes<AnyRow[]> {
  return HITS[include] as Makes<AnyRow[]>
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
  if (include <= 1) {
    return searchNow({ addon, collection }, vector, shared, asHits(include).flat)
  }
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

  /** Reads the answer at a place, once. @param note  Is given what it took in milliseconds. */
  take<T>(place: number, json: string | undefined, make: FlatMake<T>, note: (ms: number) => void) {
    const words = this.#words as Uint32Array
    const at = place / 4
    const count = words[at] as number
    const flags = words[at + 1] as number
    note((words[at + 2] as number) / 1e6)
    const hits = this.#hits
    hits.count = count
    hits.ids = (flags & IDS_IN_JSON) === 0 ? this.#ids : undefined
    hits.idsFrom = (place + 16) / 8
    hits.distances = this.#distances
    hits.distancesFrom = at + 4 + 2 * count
    hits.hasDates = (flags & HAS_DATES) !== 0
    hits.approximate = (flags & APPROXIMATE) !== 0
    words[0] = (words[0] as number) - 1
    return make(hits, json)
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

let threads = 0

function threadsOf(addon: NativeAddon): number {
  if (threads === 0) threads = addon.threads()
  return threads
}

/**
 * Runs a search here and now if it may (lone.ts); undefined if it must go to the pool. The signal
 * and the time of the call are not looked at: it is over before they could matter.
 */
export function searchLone<T>(
  place: Place,
  vector: Float32Array,
  call: SearchCall,
  make: FlatMake<T>,
): T | undefined {
  const cost = costOf(place.collection)
  if (call.include > 1 || !loneSearches.admits(call, cost, threadsOf(place.addon), place.msMax))
    return undefined
  const start = nowMs()
  const made = searchNow(place, vector, call, make)
  const ms = nowMs() - start
  cost.note(call.ef, ms)
  loneSearches.ran(ms)
  return made
}

/** Runs a search on the pool, under the signal and the time of its call. */
export async function searchOnPool<T>(
  { addon, collection }: Place,
  vector: Float32Array,
  call: SearchCall,
  make: Makes<T>,
): Promise<T> {
  const { k, ef, mode, maxDistance, filter, include } = call
  const running = startCall(addon, call)
  const operation = running?.operation
  if (include > 1) {
    const work = collection.search(vector, k, ef, mode, maxDistance, filter, include, operation)
    return make.rows(await settle(work, running))
  }
  answers.open(addon)
  const bits = include as 0 | 1
  const cost = costOf(collection)
  const ms = expectedMs(call, cost)
  if (ms !== undefined) loneSearches.pooled(ms)
  try {
    const all = [vector, k, ef, mode, maxDistance, filter, bits, operation, ms] as const
    const answer = await settle(collection.searchQueued(...all), running)
    const note = (took: number): void => cost.note(ef, took)
    if (typeof answer === 'number') return answers.take(answer, undefined, make.flat, note)
    if (Array.isArray(answer)) return answers.take(answer[0], answer[1], make.flat, note)
    return make.rows(answer)
  } finally {
    if (ms !== undefined) loneSearches.returned(ms)
  }
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
  const make = asHits(call.include)
  const place = { addon, collection }
  const isBound = call.signal !== undefined || call.timeoutMs !== undefined
  const hits = isBound ? undefined : searchLone(place, vector, call, make.flat)
  return hits ?? searchOnPool(place, vector, call, make)
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
