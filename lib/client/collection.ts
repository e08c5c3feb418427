/**
 * The methods of collections on a server: what RecordMethods of lib/collection.ts is in this
 * process, with the same checks before and the same results after.
 *
 * Messages are made before a method gives way, so that its arguments may be reused; only rows of
 * writes are read while the promise is pending.
 */

import type { Collection, Records } from '../../types/collection.js'
import type { Filter } from '../../types/filter.js'
import type { NativeBatch, NativeInclude } from '../../types/native.js'
import type {
  CallOptions,
  Change,
  GetOptions,
  RecordsOptions,
  ScrollOptions,
  SearchOptions,
  WriteOptions,
} from '../../types/options.js'
import type { Batch, BatchHits, Hit, Include, NewRecord, Page, Row } from '../../types/records.js'
import type { CollectionStats, Plan } from '../../types/stats.js'
import type { Id, Ids, Metadata, Vector, Vectors } from '../../types/values.js'
import { filterToJson } from '../filter.js'
import { isIds, normalId, normalIds } from '../ids.js'
import {
  type CallSettings,
  type ReadCall,
  readCall,
  readGet,
  readRecords,
  readScroll,
  readSearch,
  type SearchCall,
  searchCall,
  TAKES_INCLUDE,
  TAKES_SIGNAL,
} from '../options.js'
import { readChange, readDeletion, type WriteKind, withoutRow } from '../rows/changes.js'
import {
  type AnyRow,
  BatchHitArrays,
  foundRows,
  hitsOf,
  NO_BATCH,
  rowsOf,
} from '../rows/results.js'
import { copyOfVectors, toVector } from '../vectors.js'
import { bytesOf } from '../wire/bytes.js'
import {
  batchOfMessage,
  idsToMessage,
  idToMessage,
  includeMessage,
  integerOf,
  plainOf,
  rowsOfMessage,
} from '../wire/messages.js'
import * as wire from '../wire/protocol.js'
import { joinedBatches, queriesOf, requestQueries, throwFromRow } from './batches.js'
import { checkDimensions } from './rows.js'
import type { Ground, Session } from './session.js'
import type { Target } from './target.js'
import type { Sent, Transport } from './transport.js'
import { writeRows } from './writes.js'

/** Ids of one request. */
const GET_IDS_MAX = 4096

type Settings = Pick<CallSettings, 'signal' | 'timeoutMs'>

function searchMessage(vector: Float32Array, name: string, call: SearchCall): wire.SearchRequest {
  const { filter, include } = call
  const init = { collection: name, query: bytesOf(vector).slice(), ...searchParts(call) }
  const message = wire.create(wire.SearchRequestSchema, {
    ...init,
    include: includeMessage(include),
  })
  if (filter !== undefined) message.filter = filter
  return message
}

function searchParts({ k, ef, mode, maxDistance }: SearchCall) {
  return {
    k,
    ef,
    ...(mode === 0 ? {} : { exact: mode === 1 }),
    ...(maxDistance === Number.POSITIVE_INFINITY ? {} : { maxDistance }),
  }
}

function readSearchCall(options: unknown, form: number): SearchCall {
  const call = searchCall()
  readSearch(options, call, form)
  return call
}

export abstract class RemoteRecords<M extends object = Metadata> implements Records<M> {
  /** @internal */
  protected readonly _session: Session

  /** @internal */
  constructor(session: Session) {
    this._session = session
  }

  /** @internal */
  protected abstract _target(): Target

  async #read<T>(
    settings: Settings,
    work: (transport: Transport, sent: Sent) => Promise<T>,
    ground: Ground = this._target(),
  ): Promise<T> {
    const { transport } = this._session
    return this._session.read(settings, (sent) => work(transport, sent), ground)
  }

  async #write<T>(
    settings: Settings,
    work: (transport: Transport, sent: Sent) => Promise<T>,
  ): Promise<T> {
    const target = this._target()
    const { transport } = this._session
    return this._session.write(target.name, settings, (sent) => work(transport, sent), target)
  }

  async #rows(kind: WriteKind, input: unknown, options: unknown): Promise<Id | Id[]> {
    return writeRows(this._target(), kind, input, readCall(options))
  }

  add(record: NewRecord<M>, options?: WriteOptions): Promise<Id>
  add(records: readonly NewRecord<M>[] | Batch<M>, options?: WriteOptions): Promise<Id[]>
  add(input: unknown, options?: WriteOptions): Promise<Id & Id[]> {
    return this.#rows('add', input, options) as Promise<Id & Id[]>
  }

  upsert(record: NewRecord<M>, options?: WriteOptions): Promise<Id>
  upsert(records: readonly NewRecord<M>[] | Batch<M>, options?: WriteOptions): Promise<Id[]>
  upsert(input: unknown, options?: WriteOptions): Promise<Id & Id[]> {
    return this.#rows('upsert', input, options) as Promise<Id & Id[]>
  }

  addBatch(vectors: Vectors | Batch<M>, options?: WriteOptions): Promise<Id[]> {
    return this.#rows('addBatch', vectors, options) as Promise<Id[]>
  }

  async update(id: Id, change: Change<M>, options?: CallOptions): Promise<void> {
    const { id: key, vector, metadata, unset } = readChange(id, change, true)
    if (vector !== undefined) checkDimensions(vector.length, 'the vector has')
    const message = wire.create(wire.UpdateRequestSchema, {
      collection: this._target().name,
      id: idToMessage(key),
      // Sent later: the caller may change its array meanwhile.
      ...(vector === undefined ? {} : { vector: bytesOf(vector).slice() }),
      ...(metadata === undefined ? {} : { metadata }),
      unset: [...(unset ?? [])],
    })
    try {
      await this.#write(readCall(options), (t, sent) => t.call('update', message, sent))
    } catch (error) {
      throw withoutRow(error)
    }
  }

  async delete(which: Id | Ids | { filter: Filter<M> }, options?: CallOptions): Promise<number> {
    const deletion = readDeletion(which)
    const message = wire.create(wire.DeleteRequestSchema, {
      collection: this._target().name,
      which:
        deletion.kind === 'ids'
          ? { case: 'ids', value: idsToMessage(normalIds(deletion.ids)) }
          : { case: 'filter', value: deletion.filter },
    })
    const settings = readCall(options)
    const { deleted } = await this.#write(settings, (t, sent) => t.call('delete', message, sent))
    return Number(deleted)
  }

  async clear(options?: CallOptions): Promise<void> {
    const message = wire.create(wire.ClearRequestSchema, { collection: this._target().name })
    await this.#write(readCall(options), (t, sent) => t.call('clear', message, sent))
  }

  async optimize(options?: WriteOptions): Promise<void> {
    const message = wire.create(wire.OptimizeRequestSchema, { collection: this._target().name })
    await this.#write(readCall(options), (t, sent) => t.call('optimize', message, sent))
  }

  get<I extends Include = 'metadata'>(
    id: Id,
    options?: GetOptions<I>,
  ): Promise<Row<M, I> | undefined>
  get<I extends Include = 'metadata'>(
    ids: Ids,
    options?: GetOptions<I>,
  ): Promise<(Row<M, I> | undefined)[]>
  async get(which: Id | Ids, options?: unknown): Promise<never> {
    const read = readGet(options)
    const ids = isIds(which) ? normalIds(which) : [normalId(which as Id)]
    const rows = await this.#get(ids, read)
    return (isIds(which) ? rows : rows[0]) as never
  }

  async #get(ids: Id[], read: ReadCall): Promise<(AnyRow | undefined)[]> {
    const { include } = read
    const { name } = this._target()
    const rows: (AnyRow | undefined)[] = []
    // One call, of one time, however many requests it takes; a repeated one goes on where it was.
    return this.#read(read, async (t, sent) => {
      do {
        const part = ids.slice(rows.length, rows.length + GET_IDS_MAX)
        const message = wire.create(wire.GetRequestSchema, {
          collection: name,
          ids: idsToMessage(part),
          include: includeMessage(include),
        })
        const found = rowsOfMessage(await t.call('get', message, sent), include)
        for (const row of foundRows(found, part, include)) rows.push(row)
      } while (rows.length < ids.length)
      return rows
    })
  }

  async has(id: Id, options?: CallOptions): Promise<boolean> {
    const { signal, timeoutMs } = readCall(options)
    const read = { ...readGet({ include: 'none' }), signal, timeoutMs }
    const [row] = await this.#get([normalId(id)], read)
    return row !== undefined
  }

  async count(filter?: Filter<M>, options?: CallOptions): Promise<number> {
    const text = filterToJson(filter)
    const message = wire.create(wire.CountRequestSchema, { collection: this._target().name })
    if (text !== undefined) message.filter = text
    const { count } = await this.#read(readCall(options), (t, s) => t.call('count', message, s))
    return Number(count)
  }

  async search<I extends Include = 'metadata'>(
    query: Vector,
    options?: SearchOptions<M, I>,
  ): Promise<Hit<M, I>[]> {
    const vector = toVector(query)
    const call = readSearchCall(options, TAKES_INCLUDE | TAKES_SIGNAL)
    const message = searchMessage(vector, this._target().name, call)
    const rows = await this.#read(call, (t, sent) => t.call('search', message, sent))
    const hits: unknown = hitsOf(rowsOfMessage(rows, call.include), call.include)
    return hits as Hit<M, I>[]
  }

  async searchBatch(
    queries: Vectors,
    options?: Omit<SearchOptions<M>, 'include'>,
  ): Promise<BatchHits> {
    const call = readSearchCall(options, TAKES_SIGNAL)
    const own = copyOfVectors(queries)
    const target = this._target()
    const init = {
      collection: target.name,
      ...searchParts(call),
      ...(call.filter === undefined ? {} : { filter: call.filter }),
    }
    let parts: NativeBatch[] = []
    let of = 0
    const ask = async (t: Transport, sent: Sent): Promise<void> => {
      // A flat array does not tell where a query ends; the first write may have come meanwhile.
      if (target.dimensions === 0) await sent.deadline.race(target.refresh())
      const { rows, dimensions, floats } = queriesOf(own, target.dimensions)
      const most = requestQueries(dimensions, call.k)
      // A call that is repeated goes on where it was, if its queries are what they were.
      if (of !== dimensions) parts = []
      of = dimensions
      for (let row = parts.length * most; row < rows; row += most) {
        const count = Math.min(most, rows - row)
        const part = floats.subarray(row * dimensions, (row + count) * dimensions)
        const message = { ...init, queries: bytesOf(part), count }
        const request = wire.create(wire.SearchBatchRequestSchema, message)
        const asked = t.call('searchBatch', request, sent)
        parts.push(batchOfMessage(await asked.catch((error) => throwFromRow(error, row))))
      }
    }
    await this.#read(call, ask, target.sized)
    return new BatchHitArrays(parts.length === 0 ? NO_BATCH : joinedBatches(parts), call.k)
  }

  async explain(query: Vector, options?: Omit<SearchOptions<M>, 'include'>): Promise<Plan> {
    const vector = toVector(query)
    const call = readSearchCall(options, TAKES_SIGNAL)
    const message = searchMessage(vector, this._target().name, call)
    const plan = await this.#read(call, (t, sent) => t.call('explain', message, sent))
    return plainOf(plan) as Plan
  }

  async scroll<I extends Include = 'metadata'>(options: ScrollOptions<M, I>): Promise<Page<M, I>> {
    const page: unknown = await this.#page(readScroll(options))
    return page as Page<M, I>
  }

  async #page(read: ReadCall): Promise<{ records: AnyRow[]; next?: string }> {
    const { cursor, limit, filter, include } = read
    const message = wire.create(wire.ScrollRequestSchema, {
      collection: this._target().name,
      limit,
      include: includeMessage(include as NativeInclude),
      ...(cursor === undefined ? {} : { cursor }),
      ...(filter === undefined ? {} : { filter }),
    })
    const page = await this.#read(read, (t, sent) => t.call('scroll', message, sent))
    const rows = page.rows ?? wire.create(wire.RowsSchema)
    const records = rowsOf(rowsOfMessage(rows, include), include)
    return page.next === undefined ? { records } : { records, next: page.next }
  }

  records<I extends Include = 'metadata'>(
    options?: RecordsOptions<M, I>,
  ): AsyncIterableIterator<Row<M, I>> {
    const rows: unknown = this.#records(options)
    return rows as AsyncIterableIterator<Row<M, I>>
  }

  async *#records(options: unknown): AsyncGenerator<AnyRow, undefined> {
    const read = readRecords(options)
    do {
      const page = await this.#page(read)
      yield* page.records
      read.cursor = page.next
    } while (read.cursor !== undefined)
  }

  /** @internal */
  protected async _stats(options?: CallOptions): Promise<CollectionStats> {
    const message = wire.create(wire.GetCollectionStatsRequestSchema, {
      collection: this._target().name,
    })
    const settings = readCall(options)
    return statsOf(await this.#read(settings, (t, s) => t.call('getCollectionStats', message, s)))
  }
}

/** The public stats of a collection. @internal */
export function statsOf(message: wire.CollectionStats): CollectionStats {
  const { schema, nextId, ...rest } = plainOf(message)
  const stats = { ...rest, nextId: integerOf(message.nextId) } as unknown as CollectionStats
  if (schema !== undefined) stats.schema = JSON.parse(schema)
  return stats
}

/** A collection on a server, by name. */
export class RemoteCollection<M extends object = Metadata>
  extends RemoteRecords<M>
  implements Collection<M>
{
  readonly #target: Target
  readonly name: string

  /** @internal */
  constructor(session: Session, target: Target) {
    super(session)
    this.#target = target
    this.name = target.name
  }

  /** @internal */
  protected override _target(): Target {
    return this.#target
  }

  stats(options?: CallOptions): Promise<CollectionStats> {
    return this._stats(options)
  }
}
