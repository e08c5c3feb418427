/** Collection (embedded or remote) and LocalCollection (embedded): one interface for both. */

import type { Filter } from './filter.js'
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
} from './options.js'
import type { Batch, BatchHits, Hit, Include, NewRecord, Page, Row } from './records.js'
import type { CollectionStats, Plan } from './stats.js'
import type { Id, Ids, Metadata, Vector, Vectors } from './values.js'

/**
 * The methods that read and write records. They stand on every collection, and on the database
 * itself, where they act on the collection named `default`.
 *
 * Every method rejects and never throws. Writes of one handle commit in the order of their calls;
 * a read sees every write that has resolved. Everything is validated before anything is stored.
 */
export interface Records<M extends object = Metadata> {
  /**
   * Stores one new record.
   *
   * @returns Its id, as given or generated: generated ids are integers, one past the largest ever
   *   stored.
   * @throws {OmenError} ERR_EXISTS, ERR_ID, ERR_DIMENSIONS, ERR_VECTOR, ERR_METADATA, ERR_MEMORY,
   *   ERR_ABORTED, ERR_TIMEOUT, ERR_CLOSED.
   */
  add(record: NewRecord<M>, options?: WriteOptions): Promise<Id>
  /**
   * Stores many new records, all or none.
   *
   * Rows are taken in slices of at most 2 ms per turn of the event loop: leave the arrays unchanged
   * until the promise resolves. A buffer detached or shrunk meanwhile is ERR_DETACHED.
   *
   * @returns The ids, in the order of the rows.
   * @throws {OmenError} As for one record, `details.row` naming the row; ERR_DUPLICATE,
   *   ERR_DETACHED.
   */
  add(records: readonly NewRecord<M>[] | Batch<M>, options?: WriteOptions): Promise<Id[]>
  /**
   * As `add`, replacing the records whose ids exist. Left-out metadata is `{}`, for an old record
   * too: `update` merges instead.
   */
  upsert(record: NewRecord<M>, options?: WriteOptions): Promise<Id>
  upsert(records: readonly NewRecord<M>[] | Batch<M>, options?: WriteOptions): Promise<Id[]>
  /**
   * Stores many vectors: a list of them under generated ids, or a Batch. As `add` otherwise.
   *
   * @param vectors  `Float32Array[]`, `number[][]`, or `{ ids?, vectors, metadata? }` with vectors
   *   as a list or one flat array of `rows * dimensions` floats.
   */
  addBatch(vectors: Vectors | Batch<M>, options?: WriteOptions): Promise<Id[]>
  /**
   * Changes one record: replaces its vector, merges top-level metadata keys, removes the keys of
   * `unset`.
   *
   * @throws {OmenError} ERR_NOT_FOUND; ERR_VECTOR, ERR_DIMENSIONS, ERR_METADATA, ERR_ARGUMENT.
   */
  update(id: Id, change: Change<M>, options?: CallOptions): Promise<void>
  /**
   * Deletes records by id or by filter. Ids that do not exist count nothing.
   *
   * @returns How many were deleted.
   * @throws {OmenError} ERR_FILTER, also for an empty filter: to delete all, use `clear()`. ERR_ID.
   */
  delete(which: Id | Ids | { filter: Filter<M> }, options?: CallOptions): Promise<number>
  /** Deletes every record. Options, dimensions and the next generated id stay. */
  clear(options?: CallOptions): Promise<void>
  /**
   * Takes deleted rows out of the graph now, brings codes up to date, and where an eighth of the
   * rows or more came in small batches or went, chooses all edges anew, in the time of a bulk load.
   * Writes wait meanwhile, searches do not. Optional.
   */
  optimize(options?: WriteOptions): Promise<void>

  /**
   * Reads records by id.
   *
   * @returns For one id the row, or undefined if it does not exist; for many, rows in the order
   *   asked, undefined where an id does not exist.
   * @throws {OmenError} ERR_ID, ERR_ARGUMENT, ERR_CLOSED.
   */
  get<I extends Include = 'metadata'>(
    id: Id,
    options?: GetOptions<I>,
  ): Promise<Row<M, I> | undefined>
  get<I extends Include = 'metadata'>(
    ids: Ids,
    options?: GetOptions<I>,
  ): Promise<(Row<M, I> | undefined)[]>
  /** Whether a record of this id exists. */
  has(id: Id, options?: CallOptions): Promise<boolean>
  /** The exact number of records, or of those that match. */
  count(filter?: Filter<M>, options?: CallOptions): Promise<number>
  /**
   * Finds the stored vectors nearest to `query`, nearest first; equal distances in insertion order.
   * A short search beside which no other is outstanding may run on this thread before this returns;
   * with a filter, `exact: true`, a signal or a timeout it never does.
   *
   * @param query    `dimensions` floats. Copied before this returns: reuse it freely.
   * @param options.k       Hits wanted, 1 to 10 000. Default 10.
   * @param options.ef      Candidates kept while searching, at most 10 000. More finds more true
   *   neighbours and takes longer. Default `max(64, k)`; below k it is raised to k.
   * @param options.filter  Keep only records whose metadata matches: `{ year: { $gte: 1999 } }`.
   * @param options.include `'metadata'` (default), `'vector'`, both in an array, or `'none'`.
   * @returns At most `k` hits, none from an empty collection. `distance` is squared L2, or
   *   `1 - cosine` (0 to 2), or `-dot`.
   * @throws {OmenError} ERR_CLOSED, ERR_DIMENSIONS, ERR_VECTOR, ERR_FILTER, ERR_ARGUMENT,
   *   ERR_ABORTED, ERR_TIMEOUT.
   * @see Malkov & Yashunin 2016, algorithm 5 (arXiv:1603.09320)
   */
  search<I extends Include = 'metadata'>(
    query: Vector,
    options?: SearchOptions<M, I>,
  ): Promise<Hit<M, I>[]>
  /**
   * Searches for many queries at once, on all threads: the fastest way to ask.
   *
   * @param queries  A list of vectors, or a flat array of `count * dimensions` floats.
   * @returns Ids and distances in flat typed arrays. Metadata is not included.
   * @throws {OmenError} As `search`, `details.row` naming the query.
   */
  searchBatch(queries: Vectors, options?: Omit<SearchOptions<M>, 'include'>): Promise<BatchHits>
  /** Searches, and tells how: the plan, the filter's selectivity, rows scored, hops. */
  explain(query: Vector, options?: Omit<SearchOptions<M>, 'include'>): Promise<Plan>
  /**
   * Reads the collection page by page, in the order in which the records were first added: one
   * that is replaced keeps its place. What is not deleted
   * meanwhile is seen exactly once.
   *
   * @param options.limit   Rows of a page, 1 to 10 000.
   * @param options.cursor  `next` of the page before.
   */
  scroll<I extends Include = 'metadata'>(options: ScrollOptions<M, I>): Promise<Page<M, I>>
  /**
   * Iterates over the records, reading `batchSize` of them at a time.
   *
   * @example
   * for await (const { id, metadata } of movies.records({ filter: { year: 1999 } })) ...
   */
  records<I extends Include = 'metadata'>(
    options?: RecordsOptions<M, I>,
  ): AsyncIterableIterator<Row<M, I>>
}

/**
 * The Sync twins: the same calls, done when they return. They hold the thread for as long as they
 * take, wait for commits that run, and borrow the caller's arrays. Only embedded databases have
 * them.
 */
export interface SyncRecords<M extends object = Metadata> {
  addSync(record: NewRecord<M>): Id
  addSync(records: readonly NewRecord<M>[] | Batch<M>): Id[]
  upsertSync(record: NewRecord<M>): Id
  upsertSync(records: readonly NewRecord<M>[] | Batch<M>): Id[]
  addBatchSync(vectors: Vectors | Batch<M>): Id[]
  updateSync(id: Id, change: Change<M>): void
  deleteSync(which: Id | Ids | { filter: Filter<M> }): number
  clearSync(): void
  optimizeSync(): void
  getSync<I extends Include = 'metadata'>(
    id: Id,
    options?: GetSyncOptions<I>,
  ): Row<M, I> | undefined
  getSync<I extends Include = 'metadata'>(
    ids: Ids,
    options?: GetSyncOptions<I>,
  ): (Row<M, I> | undefined)[]
  hasSync(id: Id): boolean
  countSync(filter?: Filter<M>): number
  searchSync<I extends Include = 'metadata'>(
    query: Vector,
    options?: SearchSyncOptions<M, I>,
  ): Hit<M, I>[]
  searchBatchSync(queries: Vectors, options?: Omit<SearchSyncOptions<M>, 'include'>): BatchHits
  explainSync(query: Vector, options?: Omit<SearchSyncOptions<M>, 'include'>): Plan
  scrollSync<I extends Include = 'metadata'>(options: ScrollSyncOptions<M, I>): Page<M, I>
  /**
   * As `searchSync`, writing into the caller's arrays; without a filter it allocates nothing.
   *
   * @param ids        Room for k ids, integers: Float64Array up to 2^53 - 1, or BigUint64Array.
   * @param distances  Room for k distances.
   * @returns The number of hits written.
   * @throws {OmenError} ERR_ID if the id of a hit does not fit; ERR_ARGUMENT if the room is short.
   */
  searchInto(
    query: Vector,
    ids: Float64Array | BigUint64Array,
    distances: Float32Array,
    options?: Omit<SearchSyncOptions<M>, 'include'>,
  ): number
}

/** A collection, embedded or remote. */
export interface Collection<M extends object = Metadata> extends Records<M> {
  readonly name: string
  /** Options, counts, and bytes by use. */
  stats(options?: CallOptions): Promise<CollectionStats>
}

/** A collection of an embedded database: also has the Sync twins and `searchInto`. */
export interface LocalCollection<M extends object = Metadata>
  extends Collection<M>,
    SyncRecords<M> {
  statsSync(): CollectionStats
}
