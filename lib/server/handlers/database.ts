/**
 * The database as a whole: collections, stats, flush, check.
 *
 * Native code ends none of these. A caller whose time is over is told so, and the work goes on; a
 * write then is remembered as what it came to, for whoever sends it again.
 */

import type { NativeCollectionOptions, NativeCollectionStats } from '../../../types/native.js'
import { OmenError } from '../../errors.js'
import { argumentError, collectionName, readCollection } from '../../options.js'
import {
  type CheckRequest,
  type CheckResponse,
  CheckResponseSchema,
  type CollectionOptions,
  type CollectionStats,
  CollectionStatsSchema,
  create,
  type DatabaseStats,
  DatabaseStatsSchema,
  type DropCollectionRequest,
  type DropCollectionResponse,
  DropCollectionResponseSchema,
  type FlushRequest,
  type FlushResponse,
  FlushResponseSchema,
  type GetCollectionStatsRequest,
  type GetDatabaseStatsRequest,
  type ListCollectionsRequest,
  type ListCollectionsResponse,
  ListCollectionsResponseSchema,
  type MessageInitShape,
  type OpenCollectionRequest,
  OpenCollectionRequestSchema,
  type OpenCollectionResponse,
  OpenCollectionResponseSchema,
  OpenMode,
  toBinary,
} from '../../wire/protocol.js'
import { within } from '../bounded.js'
import type { Caller } from '../caller.js'
import { checkDepth } from '../depth.js'
import { type Receipt, whatOf } from '../requests.js'
import type { Limits } from '../settings.js'
import type { Context } from './context.js'

export async function listCollections(
  { engine }: Context,
  _caller: Caller,
  _request: ListCollectionsRequest,
): Promise<ListCollectionsResponse> {
  const names = engine.database.listCollections().sort()
  return create(ListCollectionsResponseSchema, { names })
}

/** Checked as `collection()` checks them. */
function nativeOptions(
  options: CollectionOptions | undefined,
  { jsonDepth }: Limits,
): NativeCollectionOptions {
  if (options === undefined) return {}
  const { $typeName: _, $unknown: __, schema, ...given } = options
  const all = schema === undefined ? given : { ...given, schema: schemaOf(schema, jsonDepth) }
  return readCollection(all, false).native
}

function schemaOf(text: string, depthMax: number): unknown {
  checkDepth(Buffer.from(text), depthMax)
  try {
    return JSON.parse(text)
  } catch {
    throw argumentError('the schema is no JSON')
  }
}

export function openCollection(
  { engine, limits, requests }: Context,
  caller: Caller,
  request: OpenCollectionRequest,
): Promise<OpenCollectionResponse> {
  const run = async (_by: Caller, tag: Uint8Array | undefined) => {
    const name = collectionName(request.name)
    const { database } = engine
    const options = nativeOptions(request.options, limits)
    if (caller.access !== 'write' && request.mode !== OpenMode.OPEN) {
      const exists = database.listCollections().includes(name)
      if (!exists || request.mode === OpenMode.CREATE) {
        const message = `this API key may only read, and the collection ${name} is to be created`
        throw new OmenError('ERR_FORBIDDEN', message)
      }
    }
    const mode = request.mode
    if (mode !== 0 && mode !== 1 && mode !== 2) throw argumentError(`the mode ${mode} is unknown`)
    const { dimensions } = engine.openCollection(database, name, options, mode, tag)
    await engine.settle()
    return create(OpenCollectionResponseSchema, { dimensions })
  }
  const told = () => {
    const { dimensions } = engine.collection(request.name)
    return create(OpenCollectionResponseSchema, { dimensions })
  }
  const what = () =>
    whatOf('OpenCollection', request.name, toBinary(OpenCollectionRequestSchema, request))
  return within(caller, () => requests.once(caller, { what, run, told }))
}

export function dropCollection(
  { engine, requests }: Context,
  caller: Caller,
  request: DropCollectionRequest,
): Promise<DropCollectionResponse> {
  const run = async (_by: Caller, tag: Uint8Array | undefined) => {
    const existed = engine.dropCollection(request.name, tag)
    await engine.settle()
    return create(DropCollectionResponseSchema, { existed })
  }
  const told = ({ count }: Receipt) => {
    return create(DropCollectionResponseSchema, { existed: count > 0 })
  }
  const what = () => `DropCollection ${request.name}`
  return within(caller, () => requests.once(caller, { what, run, told }))
}

function statsMessage(stats: NativeCollectionStats): CollectionStats {
  const { schema, count, deleted, freeSlots, nextId, clamped, consolidations, bytes } = stats
  const init: MessageInitShape<typeof CollectionStatsSchema> = {
    name: stats.name,
    dimensions: stats.dimensions,
    metric: stats.metric,
    quantization: stats.quantization,
    layout: stats.layout,
    m: stats.m,
    efConstruction: stats.efConstruction,
    keepVectors: stats.keepVectors,
    count: BigInt(count),
    deleted: BigInt(deleted),
    freeSlots: BigInt(freeSlots),
    levels: stats.levels,
    indexedFields: stats.indexedFields,
    nextId: BigInt(nextId),
    trained: stats.trained,
    clamped: BigInt(clamped),
    consolidations: BigInt(consolidations),
    bytes: integers(bytes),
  }
  return create(CollectionStatsSchema, schema === undefined ? init : { ...init, schema })
}

function integers<K extends string>(numbers: Record<K, number>): Record<K, bigint> {
  const out = {} as Record<K, bigint>
  for (const key of Object.keys(numbers) as K[]) out[key] = BigInt(numbers[key])
  return out
}

export async function collectionStats(
  { engine }: Context,
  caller: Caller,
  request: GetCollectionStatsRequest,
): Promise<CollectionStats> {
  const collection = engine.collection(request.collection)
  return statsMessage(await within(caller, () => collection.stats()))
}

export async function databaseStats(
  { engine }: Context,
  caller: Caller,
  _request: GetDatabaseStatsRequest,
): Promise<DatabaseStats> {
  const stats = await within(caller, () => engine.database.stats())
  const { recovery, storage } = stats
  const init: MessageInitShape<typeof DatabaseStatsSchema> = {
    collections: stats.collections.map(statsMessage),
    bytes: BigInt(stats.bytes),
    bytesLimit: BigInt(stats.bytesLimit),
    simd: stats.simd,
    simdFeatures: stats.simdFeatures,
    threads: stats.threads,
    nativeSliceNsMax: BigInt(engine.addon.sliceNsMax()),
  }
  if (recovery !== undefined) {
    const { rebuiltCollections, ...counts } = recovery
    init.recovery = { ...integers(counts), rebuiltCollections }
  }
  if (storage !== undefined) {
    const { checkpointError, ...bytes } = storage
    init.storage = {
      ...integers(bytes),
      checkpointError: engine.withoutPaths(checkpointError),
    }
  }
  return create(DatabaseStatsSchema, init)
}

export async function flush(
  { engine }: Context,
  caller: Caller,
  _request: FlushRequest,
): Promise<FlushResponse> {
  const { database, isOnDisk } = engine
  if (isOnDisk) await within(caller, () => database.flush())
  return create(FlushResponseSchema)
}

export async function check(
  { engine }: Context,
  caller: Caller,
  _request: CheckRequest,
): Promise<CheckResponse> {
  const reports = await within(caller, () => engine.check())
  return create(CheckResponseSchema, {
    reports: reports.map(({ records, unreachable, problem, ...report }) => ({
      ...report,
      problem: engine.withoutPaths(problem),
      records: BigInt(records),
      unreachable: BigInt(unreachable),
    })),
  })
}
