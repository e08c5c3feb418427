/** The options of every call. An option that is `undefined` counts as left out. */

import type { Filter } from './filter.js'
import type { Include } from './records.js'
import type { AbortSignalLike, Progress, Vector } from './values.js'

/** Squared Euclidean distance, 1 - cosine (0 to 2), or minus the dot product. */
export type Metric = 'cosine' | 'l2' | 'dot'

/**
 * How vectors are held for searching: `sq8` is one byte a dimension; `binary` two bits, from 512
 * dimensions on one (RaBitQ), for a little recall at the same `ef`; `none` searches the originals.
 * Hits are re-ranked by the float32 originals, so that distances are exact, unless
 * `keepVectors: false` keeps none.
 */
export type Quantization = 'sq8' | 'none' | 'binary'

/**
 * Where the codes lie that a search reads: `compact` keeps one a vector; `fast` also keeps each
 * vector's neighbours' codes together, for `binary` alone: better estimates for several times the
 * memory, and slower writes.
 */
export type Layout = 'compact' | 'fast'

export type FieldType =
  | 'string'
  | 'number'
  | 'boolean'
  | 'date'
  | 'string[]'
  | 'number[]'
  | 'boolean[]'
  | 'date[]'

/**
 * The types of the fields, by dotted path. Not needed: without a schema every field is indexed.
 * With one, a record of another type is ERR_METADATA, only its fields are indexed, and a filter on
 * any other field is ERR_FILTER. `index: false` stores and checks a field without indexing it.
 */
export type Schema = {
  [path: string]: FieldType | { type: FieldType; index?: boolean | undefined }
}

/**
 * Options of a collection, fixed when it is created. Opening it later with an option that differs
 * is ERR_OPTIONS; options left out take the stored values.
 */
export interface CollectionOptions {
  /** 1 to 16 384. Left out: fixed by the first vectors. */
  dimensions?: number | undefined
  /** Default `cosine`. */
  metric?: Metric | undefined
  /** Default `sq8`. */
  quantization?: Quantization | undefined
  /** Default `compact`. `fast` with another quantization than `binary` is ERR_OPTIONS. */
  layout?: Layout | undefined
  /** Neighbours per node of the graph, 2 to 64; the bottom layer has twice as many. Default 16. */
  m?: number | undefined
  /**
   * Candidates kept while inserting, 1 to 2 000, of which the nearest 512 may become neighbours.
   * Default 96.
   */
  efConstruction?: number | undefined
  /**
   * Whether the float32 originals are kept. Default true. False: from 4 096 records on only the
   * codes are, a fourth of the memory with `sq8`, a fourteenth or less with `binary`. Distances and
   * vectors then are what the codes tell, marked `approximate`; the range of `sq8` stays what the
   * first 4 096 or more records had, and values outside of it are clamped. Not with
   * `quantization: 'none'` (ERR_OPTIONS).
   */
  keepVectors?: boolean | undefined
  schema?: Schema | undefined
}

/** Options of `collection()`. */
export interface OpenCollectionOptions extends CollectionOptions {
  /** Default true. False: ERR_NOT_FOUND if there is no collection of that name. */
  createIfMissing?: boolean | undefined
}

/** Options of a database in memory. Those of a collection apply to the one named `default`. */
export interface MemoryOptions extends CollectionOptions {
  /**
   * Handles of one name, in any thread of this process, share one database until the last of them
   * closes. Left out: the database belongs to this handle.
   */
  name?: string | undefined
  /** Bytes that all collections may take together. Default: no limit. */
  maxMemoryBytes?: number | undefined
  /**
   * Seed of every random choice, an integer from 0. Default 0, or that of the living database of
   * this name; another than its is ERR_OPTIONS.
   */
  seed?: number | undefined
}

/**
 * When a write on disk resolves. `sync`: it is on the device, one sync for all that wait.
 * `periodic`: the system has it, and the device within 100 ms and one sync. `os`: the system has
 * it, and the device at the next `flush()` or `close()`, or when the system likes. Nothing that has
 * resolved is lost when the process dies, whatever the level.
 */
export type Durability = 'sync' | 'periodic' | 'os'

/**
 * Where the vectors are that a database had stored when it was opened. `memory`: read at opening.
 * `mapped`: left in their files, which are mapped; an opening reads codes, graph and records alone,
 * and each group of vectors is verified when it is first read. What is written later is in memory
 * until the next opening.
 */
export type Residency = 'memory' | 'mapped'

/** Options of `DB.open(path)`. Those of a collection apply to the one named `default`. */
export interface OpenOptions extends CollectionOptions {
  /** Default `sync`. */
  durability?: Durability | undefined
  /**
   * Reads what is stored now, and never writes: beside a process that does, too, whose later
   * writes are not seen. Default false.
   */
  readOnly?: boolean | undefined
  /** Default true. False: ERR_NOT_FOUND if there is no database. */
  createIfMissing?: boolean | undefined
  /**
   * Default `memory` for collections whose vectors fit: within `maxMemoryBytes`, and within half of
   * the memory that the process may use; `mapped` for the others.
   */
  residency?: Residency | undefined
  /** Bytes that all collections may take together in memory. Default: no limit. */
  maxMemoryBytes?: number | undefined
  /**
   * Bytes of the log, and of vectors deleted since it began, after which what changed is brought
   * into a snapshot, beside all other work, so that opening has less to replay and the log begins
   * anew. Default: half of what the snapshot holds, and 2 MiB at least.
   */
  checkpointBytes?: number | undefined
  /** Seed of every random choice, stored with the database. Default 0, or the stored one. */
  seed?: number | undefined
  /**
   * Called now and then, and once at the end, where records must be linked into the graph at
   * opening: the stored one is missing or damaged, or the log holds more. `total` are those
   * records; where there are none it is not called. Not for `openSync`. What it throws is an
   * uncaught error, and does not reject the opening.
   */
  onProgress?: ((progress: Progress) => void) | undefined
}

/** Options of every asynchronous call. */
export interface CallOptions {
  /** Aborting rejects with ERR_ABORTED, `cause` being the signal's reason. */
  signal?: AbortSignalLike | undefined
  /**
   * Milliseconds from the call on, queueing included. Then ERR_TIMEOUT. Infinity: no bound, which
   * is the default of a DB; a Client has a time of its own.
   */
  timeoutMs?: number | undefined
}

/**
 * Options of `add`, `upsert`, `addBatch` and `optimize`. Aborted or timed out before the commit,
 * nothing is stored; after it, the call resolves. `Client` does not wait to learn which: what the
 * server had whole may be stored.
 */
export interface WriteOptions extends CallOptions {
  /**
   * Called now and then while a long call runs, and once at its end; `done` never falls. What it
   * throws is an uncaught error, as of any listener, and does not reject the call.
   */
  onProgress?: ((progress: Progress) => void) | undefined
}

/** What the Sync twins of searches take, and `explain`. */
export interface SearchSyncOptions<M extends object, I extends Include = 'metadata'> {
  /** Hits wanted, 1 to 10 000. Default 10. */
  k?: number | undefined
  /**
   * Candidates kept while searching, at most 10 000. More finds more true neighbours and takes
   * longer. Default `max(64, k)`; below k it is raised to k.
   */
  ef?: number | undefined
  /** Keep only records whose metadata matches: `{ year: { $gte: 1999 } }`. */
  filter?: Filter<M> | undefined
  /** What hits bring along. Default `'metadata'`. */
  include?: I | undefined
  /** Keep only hits at most this far. Default: any. */
  maxDistance?: number | undefined
  /** true: the exact scan. false: the graph, forced. Left out: the planner chooses. */
  exact?: boolean | undefined
}

export interface SearchOptions<M extends object, I extends Include = 'metadata'>
  extends SearchSyncOptions<M, I>,
    CallOptions {}

export interface GetSyncOptions<I extends Include = 'metadata'> {
  /** What rows bring along. Default `'metadata'`. */
  include?: I | undefined
}

export interface GetOptions<I extends Include = 'metadata'>
  extends GetSyncOptions<I>,
    CallOptions {}

export interface ScrollSyncOptions<M extends object, I extends Include = 'metadata'>
  extends GetSyncOptions<I> {
  /** Rows of a page, 1 to 10 000. */
  limit: number
  filter?: Filter<M> | undefined
  /** `next` of the page before. Left out: from the start. */
  cursor?: string | undefined
}

export interface ScrollOptions<M extends object, I extends Include = 'metadata'>
  extends ScrollSyncOptions<M, I>,
    CallOptions {}

/** Options of `records()`; `timeoutMs` holds for each page read. */
export interface RecordsOptions<M extends object, I extends Include = 'metadata'>
  extends GetOptions<I> {
  filter?: Filter<M> | undefined
  /** Rows read at a time, 1 to 10 000. Default 256. */
  batchSize?: number | undefined
}

/** What `update` changes. At least one of the three. */
export interface Change<M extends object> {
  /** Replaces the vector. */
  vector?: Vector | undefined
  /** Each top-level key replaces the old value. `undefined` leaves a key as it is. */
  metadata?: Partial<M> | undefined
  /** Top-level keys to remove. */
  unset?: readonly (keyof M & string)[] | undefined
}
