/** Reads: get, count, search, searchBatch, explain, scroll. */

import type { NativeCollection, NativeInclude, NativeMode } from '../../../types/native.js'
import { type Makes, searchLone, searchOnPool } from '../../collection/search.js'
import { OmenError } from '../../errors.js'
import { argumentError, readSearch, type SearchCall, searchCall } from '../../options.js'
import { floatsOf } from '../../wire/bytes.js'
import {
  batchToMessage,
  flatToMessage,
  idsOfMessage,
  includeBits,
  rowsToMessage,
} from '../../wire/messages.js'
import {
  type CountRequest,
  type CountResponse,
  CountResponseSchema,
  create,
  type GetRequest,
  type Plan,
  PlanSchema,
  type Rows,
  type ScrollRequest,
  type ScrollResponse,
  ScrollResponseSchema,
  type SearchBatchRequest,
  type SearchBatchResponse,
  type SearchRequest,
} from '../../wire/protocol.js'
import { type Caller, startCall } from '../caller.js'
import type { Limits } from '../settings.js'
import type { Context } from './context.js'
import { checkLimit, checkVectors, type Form } from './limits.js'

const PAGE_ROWS_MAX = 10_000

type Asked = Pick<SearchRequest, 'k' | 'ef' | 'maxDistance' | 'exact' | 'filter'>

/** Checked as `search()` checks them, so that faults have the same words. */
export function searchOf({ k, ef, maxDistance, exact, filter }: Asked, limits: Limits): SearchCall {
  const call = searchCall()
  readSearch({ k, ef, maxDistance, exact }, call, 0)
  checkLimit(call.k, limits.k, 'k')
  // `ef` may have been raised to k, or be the default.
  if (ef !== undefined) checkLimit(ef, limits.ef, 'ef')
  call.filter = filter
  return call
}

export async function get(
  context: Context,
  caller: Caller,
  request: GetRequest,
  form: Form = 'binary',
): Promise<Rows> {
  const { engine, limits } = context
  const collection = engine.collection(request.collection)
  const ids = idsOfMessage(request.ids) ?? []
  checkLimit(ids.length, limits.batchQueries, 'ids')
  const include = includeBits(request.include)
  checkVectors(collection, include, ids.length, form)
  const call = startCall(engine.addon, caller)
  const work = collection.get(ids, include, call.operation)
  return rowsToMessage(await call.settle(work))
}

export async function count(
  { engine }: Context,
  caller: Caller,
  request: CountRequest,
): Promise<CountResponse> {
  const collection = engine.collection(request.collection)
  const call = startCall(engine.addon, caller)
  const found = await call.settle(collection.count(request.filter, call.operation))
  return create(CountResponseSchema, { count: BigInt(found) })
}

/** What a search asks for, in words of the contract. */
export type SearchAsked = Asked & Pick<SearchRequest, 'collection' | 'query' | 'include'>

// With other requests at work a search that takes longer is better done on the pool, beside them:
// to hand it over costs this thread about half of this.
const BUSY_MS_MAX = 0.1

/** How the hits of a search become an answer. */
export interface Making<T> {
  readonly form: Form
  makes(include: NativeInclude, collection: NativeCollection): Makes<T>
}

/** A search whose hits become what `making` makes of them. */
export async function searchAs<T>(
  { engine, limits, gate }: Context,
  caller: Caller,
  asked: SearchAsked,
  { form, makes }: Making<T>,
): Promise<T> {
  const collection = engine.collection(asked.collection)
  const call = searchOf(asked, limits)
  const query = floatsOf(asked.query, 'query')
  call.include = includeBits(asked.include)
  checkVectors(collection, call.include, call.k, form)
  const make = makes(call.include, collection)
  const { addon } = engine
  const place = gate.running > 1 ? { addon, collection, msMax: BUSY_MS_MAX } : { addon, collection }
  const done = caller.timeoutMs < 1 ? undefined : searchLone(place, query, call, make.flat)
  if (done !== undefined) return done
  call.signal = caller.signal
  call.timeoutMs = caller.timeoutMs
  return searchOnPool(place, query, call, make)
}

const ROWS: Making<Rows> = {
  form: 'binary',
  makes: (_include, { dimensions }) => ({
    flat: (hits, json) => flatToMessage(hits, json, dimensions),
    rows: rowsToMessage,
  }),
}

export function search(context: Context, caller: Caller, request: SearchRequest): Promise<Rows> {
  return searchAs(context, caller, request, ROWS)
}

export async function searchBatch(
  { engine, limits }: Context,
  caller: Caller,
  request: SearchBatchRequest,
): Promise<SearchBatchResponse> {
  const collection = engine.collection(request.collection)
  const { k, ef, mode, maxDistance, filter } = searchOf(request, limits)
  const { count: rows } = request
  checkLimit(rows, limits.batchQueries, 'queries')
  checkLimit(rows * k, limits.batchHits, 'hits of all queries')
  const queries = floatsOf(request.queries, 'queries')
  if (rows === 0) throw argumentError('searchBatch needs `count`, the number of queries')
  if (queries.length % rows !== 0 || queries.length === 0) {
    throw new OmenError('ERR_DIMENSIONS', `${queries.length} numbers are not ${rows} queries`)
  }
  const call = startCall(engine.addon, caller)
  const work = collection.searchBatch(
    queries,
    rows,
    queries.length / rows,
    k,
    ef,
    mode as NativeMode,
    maxDistance,
    filter,
    call.operation,
  )
  return batchToMessage(await call.settle(work), k)
}

export async function explain(
  { engine, limits }: Context,
  caller: Caller,
  request: SearchRequest,
): Promise<Plan> {
  const collection = engine.collection(request.collection)
  const { k, ef, mode, maxDistance, filter } = searchOf(request, limits)
  const query = floatsOf(request.query, 'query')
  const call = startCall(engine.addon, caller)
  const work = collection.explain(query, k, ef, mode, maxDistance, filter, call.operation)
  const { matches, rowsScored, hops, reranked, nativeNs, ...plan } = await call.settle(work)
  return create(PlanSchema, {
    ...plan,
    matches: BigInt(matches),
    rowsScored: BigInt(rowsScored),
    hops: BigInt(hops),
    reranked: BigInt(reranked),
    nativeNs: BigInt(Math.round(nativeNs)),
  })
}

export async function scroll(
  { engine }: Context,
  caller: Caller,
  request: ScrollRequest,
  form: Form = 'binary',
): Promise<ScrollResponse> {
  const { cursor, limit, filter } = request
  if (limit < 1 || limit > PAGE_ROWS_MAX) {
    throw argumentError(`limit is an integer from 1 to ${PAGE_ROWS_MAX}, not ${limit}`)
  }
  const collection = engine.collection(request.collection)
  const include = includeBits(request.include)
  checkVectors(collection, include, limit, form)
  const call = startCall(engine.addon, caller)
  const work = collection.scroll(cursor, limit, filter, include, call.operation)
  const page = await call.settle(work)
  const init = { rows: rowsToMessage(page) }
  return create(ScrollResponseSchema, page.next === undefined ? init : { ...init, next: page.next })
}

/** Pages, each read when the one before was taken. */
export async function* scrollStream(
  context: Context,
  caller: Caller,
  request: ScrollRequest,
): AsyncGenerator<ScrollResponse, undefined> {
  let { cursor } = request
  do {
    const asked = cursor === undefined ? request : { ...request, cursor }
    const page = await scroll(context, caller, asked)
    cursor = page.next
    yield page
  } while (cursor !== undefined)
}
