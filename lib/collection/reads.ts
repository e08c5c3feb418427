/** Reads by id and by page: get, scroll, records, and what the stats of a collection say. */

import type { NativeAddon, NativeCollection, NativeCollectionStats } from '../../types/native.js'
import type { CollectionStats } from '../../types/stats.js'
import { Call } from '../call.js'
import { nowMs } from '../clock.js'
import { isIds, normalId, normalIds } from '../ids.js'
import { type ReadCall, readGet, readRecords, readScroll } from '../options.js'
import { type AnyRow, foundRows, rowsOf } from '../rows/results.js'
import { settle } from './search.js'

/** Ids of one native call of an asynchronous get: its results are built in one turn. */
const GET_IDS_MAX = 4096

function startCall(addon: NativeAddon, { signal, timeoutMs }: ReadCall): Call | undefined {
  return Call.start(addon, { signal, timeoutMs, onProgress: undefined })
}

export function getSync(
  collection: NativeCollection,
  which: unknown,
  options: unknown,
): AnyRow | undefined | (AnyRow | undefined)[] {
  const { include } = readGet(options, true)
  const ids = isIds(which) ? normalIds(which) : [normalId(which)]
  const rows = foundRows(collection.getSync(ids, include), ids, include)
  return isIds(which) ? rows : rows[0]
}

export async function get(
  addon: NativeAddon,
  collection: NativeCollection,
  which: unknown,
  options: unknown,
): Promise<AnyRow | undefined | (AnyRow | undefined)[]> {
  const read = readGet(options)
  const ids = isIds(which) ? normalIds(which) : [normalId(which)]
  let rows: (AnyRow | undefined)[] = []
  let from = 0
  const end = nowMs() + (read.timeoutMs ?? 0)
  do {
    const part = ids.length <= GET_IDS_MAX ? ids : ids.slice(from, from + GET_IDS_MAX)
    const call = startCall(addon, read)
    const found = await settle(collection.get(part, read.include, call?.operation), call)
    const partRows = foundRows(found, part, read.include)
    rows = from === 0 ? partRows : rows.concat(partRows)
    from += GET_IDS_MAX
    if (read.timeoutMs !== undefined) read.timeoutMs = Math.max(0, end - nowMs())
  } while (from < ids.length)
  return isIds(which) ? rows : rows[0]
}

/** A page before its type is narrowed. */
export interface AnyPage {
  records: AnyRow[]
  next?: string
}

export function scrollSync(collection: NativeCollection, options: unknown): AnyPage {
  const { cursor, limit, filter, include } = readScroll(options, true)
  const rows = collection.scrollSync(cursor, limit, filter, include)
  const records = rowsOf(rows, include)
  return rows.next === undefined ? { records } : { records, next: rows.next }
}

export async function scroll(
  addon: NativeAddon,
  collection: NativeCollection,
  options: unknown,
): Promise<AnyPage> {
  return readPage(addon, collection, readScroll(options))
}

async function readPage(
  addon: NativeAddon,
  collection: NativeCollection,
  read: ReadCall,
): Promise<AnyPage> {
  const { cursor, limit, filter, include } = read
  const call = startCall(addon, read)
  const work = collection.scroll(cursor, limit, filter, include, call?.operation)
  const rows = await settle(work, call)
  const records = rowsOf(rows, include)
  return rows.next === undefined ? { records } : { records, next: rows.next }
}

/** @param open  Gives the collection for each page: throws once the database is closed. */
export async function* records(
  addon: NativeAddon,
  open: () => NativeCollection,
  options: unknown,
): AsyncGenerator<AnyRow, undefined> {
  const read = readRecords(options)
  do {
    const page = await readPage(addon, open(), read)
    yield* page.records
    read.cursor = page.next
  } while (read.cursor !== undefined)
}

/** The public stats of a collection. */
export function collectionStats(stats: NativeCollectionStats): CollectionStats {
  const { schema, ...rest } = stats
  const out: CollectionStats = { ...rest }
  if (schema !== undefined) out.schema = JSON.parse(schema)
  return out
}
