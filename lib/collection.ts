/**
 * The methods of collections, over a native collection that a subclass opens.
 *
 * Why a base class: they stand on DB too, which opens its default collection at the first use. The
 * methods are documented where they are declared, in types/collection.ts. Asynchronous ones are
 * `async` so that every fault of theirs is a rejection.
 */

import type { LocalCollection, Records, SyncRecords } from '../types/collection.js'
import type { Filter } from '../types/filter.js'
import type { NativeCollection } from '../types/native.js'
import type {
  CallOptions,
  Change,
  GetOptions,
  GetSyncOptions,
  RecordsOptions,
  ScrollOptions,
  ScrollSyncOptions,
  SearchOptions,
  SearchSyncOptions,
  WriteOptions,
} from '../types/options.js'
import type { Batch, BatchHits, Hit, Include, NewRecord, Page, Row } from '../types/records.js'
import type { CollectionStats, Plan } from '../types/stats.js'
import type { Id, Ids, Metadata, Vector, Vectors } from '../types/values.js'
import { Call } from './call.js'
import * as reads from './collection/reads.js'
import * as searches from './collection/search.js'
import type { Session } from './collection/session.js'
import type { StagedWrite } from './collection/staging.js'
import {
  deleteSync,
  IdsDeletion,
  plainWrite,
  RowsWrite,
  writeRowsSync,
} from './collection/writes.js'
import { filterToJson } from './filter.js'
import { normalId } from './ids.js'
import { readCall } from './options.js'
import { readChange, readDeletion, type WriteKind, withoutRow } from './rows/changes.js'

/** Everything that DB and collections have in common. */
export abstract class RecordMethods<M extends object = Metadata>
  implements Records<M>, SyncRecords<M>
{
  /** @internal */
  protected readonly _session: Session

  /** @internal */
  constructor(session: Session) {
    this._session = session
  }

  /** The native collection; throws ERR_CLOSED. @internal */
  protected abstract _open(): NativeCollection
  /** @internal */
  protected abstract _name(): string

  #push<T>(options: unknown, make: (collection: NativeCollection) => StagedWrite<T>): Promise<T> {
    const write = make(this._open())
    const call = Call.start(this._session.addon, readCall(options))
    return this._session.queue(this._name()).push(write, call)
  }

  async #write(kind: WriteKind, input: unknown, options: unknown): Promise<Id | Id[]> {
    return this.#push(options, (collection) => new RowsWrite(collection, kind, input))
  }

  add(record: NewRecord<M>, options?: WriteOptions): Promise<Id>
  add(records: readonly NewRecord<M>[] | Batch<M>, options?: WriteOptions): Promise<Id[]>
  add(input: unknown, options?: WriteOptions): Promise<Id & Id[]> {
    return this.#write('add', input, options) as Promise<Id & Id[]>
  }

  addSync(record: NewRecord<M>): Id
  addSync(records: readonly NewRecord<M>[] | Batch<M>): Id[]
  addSync(input: unknown): Id & Id[] {
    return writeRowsSync(this._open(), 'add', input) as Id & Id[]
  }

  upsert(record: NewRecord<M>, options?: WriteOptions): Promise<Id>
  upsert(records: readonly NewRecord<M>[] | Batch<M>, options?: WriteOptions): Promise<Id[]>
  upsert(input: unknown, options?: WriteOptions): Promise<Id & Id[]> {
    return this.#write('upsert', input, options) as Promise<Id & Id[]>
  }

  upsertSync(record: NewRecord<M>): Id
  upsertSync(records: readonly NewRecord<M>[] | Batch<M>): Id[]
  upsertSync(input: unknown): Id & Id[] {
    return writeRowsSync(this._open(), 'upsert', input) as Id & Id[]
  }

  addBatch(vectors: Vectors | Batch<M>, options?: WriteOptions): Promise<Id[]> {
    return this.#write('addBatch', vectors, options) as Promise<Id[]>
  }

  addBatchSync(vectors: Vectors | Batch<M>): Id[] {
    return writeRowsSync(this._open(), 'addBatch', vectors) as Id[]
  }

  async update(id: Id, change: Change<M>, options?: CallOptions): Promise<void> {
    const { id: key, vector, metadata, unset } = readChange(id, change, true)
    const work = this.#push(options, (collection) =>
      plainWrite((call) => collection.update(key, vector, metadata, unset, call?.operation)),
    )
    await work.catch((error: unknown) => {
      throw withoutRow(error)
    })
  }

  updateSync(id: Id, change: Change<M>): void {
    const { id: key, vector, metadata, unset } = readChange(id, change, false)
    const collection = this._open()
    try {
      collection.updateSync(key, vector, metadata, unset)
    } catch (error) {
      throw withoutRow(error)
    }
  }

  async delete(which: Id | Ids | { filter: Filter<M> }, options?: CallOptions): Promise<number> {
    const deletion = readDeletion(which)
    return this.#push(options, (collection) =>
      deletion.kind === 'ids'
        ? new IdsDeletion(this._session.addon, collection, deletion.ids)
        : plainWrite((call) => collection.deleteFilter(deletion.filter, call?.operation)),
    )
  }

  deleteSync(which: Id | Ids | { filter: Filter<M> }): number {
    return deleteSync(this._open(), which)
  }

  async clear(options?: CallOptions): Promise<void> {
    await this.#push(options, (collection) =>
      plainWrite((call) => collection.clear(call?.operation)),
    )
  }

  clearSync(): void {
    this._open().clearSync()
  }

  async optimize(options?: WriteOptions): Promise<void> {
    await this.#push(options, (collection) =>
      plainWrite((call) => collection.optimize(call?.operation)),
    )
  }

  optimizeSync(): void {
    this._open().optimizeSync()
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
    return reads.get(this._session.addon, this._open(), which, options) as Promise<never>
  }

  getSync<I extends Include = 'metadata'>(
    id: Id,
    options?: GetSyncOptions<I>,
  ): Row<M, I> | undefined
  getSync<I extends Include = 'metadata'>(
    ids: Ids,
    options?: GetSyncOptions<I>,
  ): (Row<M, I> | undefined)[]
  getSync(which: Id | Ids, options?: unknown): never {
    return reads.getSync(this._open(), which, options) as never
  }

  async has(id: Id, options?: CallOptions): Promise<boolean> {
    const collection = this._open()
    const key = normalId(id)
    return Call.during(this._session.addon, readCall(options), () => collection.has(key))
  }

  hasSync(id: Id): boolean {
    return this._open().hasSync(normalId(id))
  }

  async count(filter?: Filter<M>, options?: CallOptions): Promise<number> {
    const collection = this._open()
    const text = filterToJson(filter)
    const call = Call.start(this._session.addon, readCall(options))
    return searches.settle(collection.count(text, call?.operation), call)
  }

  countSync(filter?: Filter<M>): number {
    return this._open().countSync(filterToJson(filter))
  }

  async search<I extends Include = 'metadata'>(
    query: Vector,
    options?: SearchOptions<M, I>,
  ): Promise<Hit<M, I>[]> {
    const hits = searches.search(this._session.addon, this._open(), query, options)
    return hits as Promise<unknown> as Promise<Hit<M, I>[]>
  }

  searchSync<I extends Include = 'metadata'>(
    query: Vector,
    options?: SearchSyncOptions<M, I>,
  ): Hit<M, I>[] {
    const hits: unknown = searches.searchSync(this._session.addon, this._open(), query, options)
    return hits as Hit<M, I>[]
  }

  searchInto(
    query: Vector,
    ids: Float64Array | BigUint64Array,
    distances: Float32Array,
    options?: Omit<SearchSyncOptions<M>, 'include'>,
  ): number {
    return searches.searchInto(this._open(), query, ids, distances, options)
  }

  async searchBatch(
    queries: Vectors,
    options?: Omit<SearchOptions<M>, 'include'>,
  ): Promise<BatchHits> {
    return searches.searchBatch(this._session.addon, this._open(), queries, options)
  }

  searchBatchSync(queries: Vectors, options?: Omit<SearchSyncOptions<M>, 'include'>): BatchHits {
    return searches.searchBatchSync(this._open(), queries, options)
  }

  async explain(query: Vector, options?: Omit<SearchOptions<M>, 'include'>): Promise<Plan> {
    return searches.explain(this._session.addon, this._open(), query, options)
  }

  explainSync(query: Vector, options?: Omit<SearchSyncOptions<M>, 'include'>): Plan {
    return searches.explainSync(this._open(), query, options)
  }

  async scroll<I extends Include = 'metadata'>(options: ScrollOptions<M, I>): Promise<Page<M, I>> {
    const page = reads.scroll(this._session.addon, this._open(), options)
    return page as Promise<unknown> as Promise<Page<M, I>>
  }

  scrollSync<I extends Include = 'metadata'>(options: ScrollSyncOptions<M, I>): Page<M, I> {
    const page: unknown = reads.scrollSync(this._open(), options)
    return page as Page<M, I>
  }

  records<I extends Include = 'metadata'>(
    options?: RecordsOptions<M, I>,
  ): AsyncIterableIterator<Row<M, I>> {
    const rows: unknown = reads.records(this._session.addon, () => this._open(), options)
    return rows as AsyncIterableIterator<Row<M, I>>
  }
}

/** A named collection of a DB. */
export class NamedCollection<M extends object = Metadata>
  extends RecordMethods<M>
  implements LocalCollection<M>
{
  readonly #native: NativeCollection
  readonly name: string

  /** @internal */
  constructor(session: Session, native: NativeCollection) {
    super(session)
    this.#native = native
    this.name = native.name
  }

  /** @internal */
  protected override _open(): NativeCollection {
    this._session.check()
    return this.#native
  }

  /** @internal */
  protected override _name(): string {
    return this.name
  }

  async stats(options?: CallOptions): Promise<CollectionStats> {
    const collection = this._open()
    const settings = readCall(options)
    const work = () => collection.stats()
    return reads.collectionStats(await Call.during(this._session.addon, settings, work))
  }

  statsSync(): CollectionStats {
    return reads.collectionStats(this._open().statsSync())
  }
}
