/**
 * The exact shape of the .node file: what lib/ may call, and nothing else.
 *
 * Why: csrc/napi has no logic and lib/ no arithmetic on vectors; this is the line between them.
 * test/js/native-shape.test.ts compares the names declared here with those of the loaded addon.
 *
 * Rules that hold for every function below:
 * 1. Every argument is checked again natively: garbage throws a coded error and never crashes.
 * 2. A form named `...Sync` throws; its twin returns a Promise and rejects, for every cause.
 * 3. Arrays given to an async form are copied before it returns. Arrays given to a Sync form are
 *    read during the call only.
 * 4. Errors are what the factory of `setErrorFactory` makes; without one, plain Errors with the
 *    properties code, row, path and id.
 * 5. JSON texts carry a Date as {"$date": ISO} and an integer id past 2^53 - 1 as {"$int": "..."}.
 */

/** Ids as they go in. Fractions, negatives and empty or over-long strings: ERR_ID. */
export type NativeId = number | bigint | string
export type NativeIds = readonly NativeId[] | Uint32Array | Float64Array | BigUint64Array

/** 0: the planner chooses. 1: exact scan. 2: the graph, forced. */
export type NativeMode = 0 | 1 | 2
/** Bits: 1 metadata, 2 vectors. */
export type NativeInclude = 0 | 1 | 2 | 3
/** 0: open or create. 1: create, ERR_EXISTS. 2: open, ERR_NOT_FOUND. */
export type NativeOpenMode = 0 | 1 | 2
/** 0: add. 1: upsert. */
export type NativeWriteKind = 0 | 1

export interface NativeDatabaseOptions {
  /** Empty or left out: private to this handle. */
  name?: string | undefined
  /** Bytes; 0: no limit. Left out: no limit, or that of the living engine of this name. */
  maxMemoryBytes?: number | undefined
  /**
   * Integer from 0 to 2^53 - 1: levels of the graph and other random choices. Left out: 0, or that
   * of the living engine of this name.
   */
  seed?: number | undefined
}

/** Of a database on disk; the seed is that of a new one, else it must be the stored one. */
export interface NativeDiskOptions {
  durability?: 'sync' | 'periodic' | 'os' | undefined
  readOnly?: boolean | undefined
  createIfMissing?: boolean | undefined
  /** Left out: 'memory' if the vectors fit. */
  residency?: 'memory' | 'mapped' | undefined
  maxMemoryBytes?: number | undefined
  checkpointBytes?: number | undefined
  seed?: number | undefined
}

/** A property that is undefined counts as left out. */
export interface NativeCollectionOptions {
  dimensions?: number | undefined
  metric?: 'cosine' | 'l2' | 'dot' | undefined
  quantization?: 'sq8' | 'none' | 'binary' | undefined
  layout?: 'compact' | 'fast' | undefined
  m?: number | undefined
  efConstruction?: number | undefined
  keepVectors?: boolean | undefined
  /** JSON text. */
  schema?: string | undefined
}

/**
 * Rows coming out: hits, gets and scrolls. Row i is ids[i], distances[i], metadata[i] and
 * vectors[i * dimensions ...]. All arrays are fresh and belong to the caller.
 */
export interface NativeRows {
  count: number
  /** 0 when the collection has none yet. */
  dimensions: number
  /** When every id is an integer up to 2^53 - 1; else the ids are in `json`. Not for get(). */
  ids?: Float64Array
  /** Hits only. */
  distances?: Float32Array
  /** get() only: 0 where the id does not exist. */
  found?: Uint8Array
  /**
   * What does not fit numbers, as one JSON text: {"ids":[...],"metadata":[...]}. "ids" is there
   * when `ids` above is not (and not for get()), "metadata" when it was asked for (null for a row
   * not found). Left out when neither is.
   */
  json?: string
  /** Some metadata holds a {"$date": ISO}: revive. */
  hasDates: boolean
  /** No originals are kept: distances and vectors are those of codes. */
  approximate: boolean
  /** count * dimensions floats (zeros for a row not found), when asked for. */
  vectors?: Float32Array
}

export interface NativeScroll extends NativeRows {
  /** Where to go on; left out at the end. Opaque. */
  next?: string
}

/** Query i's hits lie at [i * k, i * k + counts[i]). */
export interface NativeBatch {
  counts: Uint32Array
  /** NaN past counts[i]. */
  distances: Float32Array
  /** NaN past counts[i]. Left out when some id does not fit. */
  ids?: Float64Array
  /** Instead of `ids`: a JSON array of count * k ids, null past counts[i]. */
  json?: string
  /** As in NativeRows. */
  approximate: boolean
}

export interface NativePlan {
  plan: 'empty' | 'exact' | 'scan' | 'graph' | 'filtered-graph'
  fallback: boolean
  selectivity: number
  matches: number
  rowsScored: number
  hops: number
  reranked: number
  ef: number
  nativeNs: number
  approximate: boolean
}

export interface NativeBytes {
  vectors: number
  codes: number
  graph: number
  ids: number
  metadata: number
  columns: number
  scratch: number
  retired: number
  total: number
  mapped: number
}

export interface NativeCollectionStats {
  name: string
  dimensions: number
  metric: 'cosine' | 'l2' | 'dot'
  quantization: 'sq8' | 'none' | 'binary'
  layout: 'compact' | 'fast'
  m: number
  efConstruction: number
  keepVectors: boolean
  /** JSON text; left out if there is none. */
  schema?: string
  count: number
  deleted: number
  freeSlots: number
  levels: number
  indexedFields: number
  /** The next generated id. */
  nextId: number | bigint
  trained: boolean
  clamped: number
  consolidations: number
  bytes: NativeBytes
}

export interface NativeDatabaseStats {
  collections: NativeCollectionStats[]
  bytes: number
  /** 0: none. */
  bytesLimit: number
  simd: string
  simdFeatures: string
  threads: number
  /** On disk: what opening did. Records replayed, bytes of a torn tail cut off. */
  recovery?: {
    records: number
    cutBytes: number
    snapshotRecords: number
    rebuiltGraphs: number
    rebuiltCollections: string[]
  }
  storage?: {
    snapshotBytes: number
    logBytes: number
    checkpoints: number
    checkpointError: string
  }
}

export interface NativeCheckReport {
  name: string
  ok: boolean
  records: number
  unreachable: number
  /** Empty if there is none. */
  problem: string
}

export interface NativeCommitResult {
  /** Records added or replaced. */
  count: number
  /** Rows without ids got this one, the next, and so on. Meaningless when ids were staged. */
  firstGeneratedId: number | bigint
}

/** What a write came to. */
export interface NativeReceipt {
  /** 64 hexadecimal digits. */
  tag: string
  /** Records written or deleted; of a collection that was dropped, 1 if it existed. */
  count: number
  /** If ids were generated. */
  firstGeneratedId?: number | bigint
}

/**
 * What a caller holds of one running call: cancel it, read its progress. Serves one call only.
 * Its time starts when it is made.
 */
export interface NativeOperation {
  /** Before the commit (or while a search runs): the call rejects with ERR_ABORTED. */
  cancel(): void
  /**
   * Of a write on disk: what it comes to is kept in the commit itself, under this tag of 32 bytes.
   * Before the call that the operation serves.
   */
  keepReceipt(tag: Uint8Array): void
  /** [done, total] in rows; [0, 0] for calls that have none. */
  progress(): [done: number, total: number]
}

/** Ids gathered in slices, for get and delete of more than a few thousand ids at once. */
export interface NativeIdList {
  readonly length: number
  /** Appends ids[from, to). On an error (its row counts from the list's start) nothing is kept. */
  push(ids: NativeIds, from: number, to: number): void
}

/**
 * Rows of one write on their way in. Every stage call is one slice on the JS thread, its time
 * counted: choose `count` or `to - from` so that it takes at most 2 ms. After an error, abort.
 * All rows need vectors; ids are given for all rows or none; metadata defaults to {}.
 */
export interface NativeWriteBatch {
  readonly rows: number
  readonly dimensions: number
  /** Copies vectors[offset, offset + count * dimensions) into rows [row, row + count). */
  stageVectors(row: number, count: number, vectors: Float32Array, offset: number): void
  /**
   * Copies list[from, to) into rows from `row` on. An element is a Float32Array, a Float64Array or
   * an array of numbers, of `dimensions` elements each.
   */
  stageVectorList(row: number, list: readonly unknown[], from: number, to: number): void
  stageIds(row: number, ids: NativeIds, from: number, to: number): void
  /** JSON object texts; undefined means {}. */
  stageMetadata(row: number, texts: readonly (string | undefined)[], from: number, to: number): void
  /** Both commits use the batch up, whatever comes of it. */
  commitSync(): NativeCommitResult
  commit(operation?: NativeOperation): Promise<NativeCommitResult>
  /** Gives everything back at once. Idempotent; without effect after a commit. */
  abort(): void
}

/** What every search takes, in this order. */
export type NativeSearch<Include> = [
  query: Float32Array,
  k: number,
  ef: number,
  mode: NativeMode,
  maxDistance: number,
  filter: string | undefined,
  include: Include,
]

export interface NativeCollection {
  readonly name: string
  /** 0 while no vector has fixed them. */
  readonly dimensions: number
  /** Whether some handle has dropped it: then every call is ERR_NOT_FOUND. */
  readonly isDropped: boolean

  /**
   * The fast path. Writes into the ArrayBuffer of `scratch`, which must hold k hits:
   * see NativeAddon.scratch. Returns the JSON text of NativeRows.json, or undefined.
   * `include` must not ask for vectors.
   */
  searchSync(...search: NativeSearch<0 | 1>): string | undefined
  /** Arguments as above; any include. */
  searchRowsSync(...search: NativeSearch<NativeInclude>): NativeRows
  search(
    ...search: [...NativeSearch<NativeInclude>, operation?: NativeOperation]
  ): Promise<NativeRows>
  /**
   * searchSync's form on the pool. Resolves to the place of the answer in the buffer of
   * `NativeAddon.answers`, or to that and the JSON text of NativeRows.json; to NativeRows when the
   * buffer has no room.
   */
  searchQueued(
    ...search: [
      ...NativeSearch<0 | 1>,
      operation?: NativeOperation,
      /** What it will take, if that is short: then it may share a thread and a wake-up. */
      expectedMs?: number,
    ]
  ): Promise<number | [place: number, json: string] | NativeRows>
  /** Allocates nothing without a filter. ids and distances need room for k. Returns the count. */
  searchIntoSync(
    query: Float32Array,
    ids: Float64Array | BigUint64Array,
    distances: Float32Array,
    k: number,
    ef: number,
    mode: NativeMode,
    maxDistance: number,
    filter: string | undefined,
  ): number
  /** `queries` holds count * dimensions floats. */
  searchBatchSync(
    queries: Float32Array,
    count: number,
    dimensions: number,
    k: number,
    ef: number,
    mode: NativeMode,
    maxDistance: number,
    filter: string | undefined,
  ): NativeBatch
  searchBatch(
    queries: Float32Array,
    count: number,
    dimensions: number,
    k: number,
    ef: number,
    mode: NativeMode,
    maxDistance: number,
    filter: string | undefined,
    operation?: NativeOperation,
  ): Promise<NativeBatch>
  explainSync(
    query: Float32Array,
    k: number,
    ef: number,
    mode: NativeMode,
    maxDistance: number,
    filter: string | undefined,
  ): NativePlan
  explain(
    query: Float32Array,
    k: number,
    ef: number,
    mode: NativeMode,
    maxDistance: number,
    filter: string | undefined,
    operation?: NativeOperation,
  ): Promise<NativePlan>

  getSync(ids: NativeIds | NativeIdList, include: NativeInclude): NativeRows
  get(
    ids: NativeIds | NativeIdList,
    include: NativeInclude,
    operation?: NativeOperation,
  ): Promise<NativeRows>
  hasSync(id: NativeId): boolean
  has(id: NativeId): Promise<boolean>
  countSync(filter: string | undefined): number
  count(filter: string | undefined, operation?: NativeOperation): Promise<number>
  /** limit: 1 to 10 000. */
  scrollSync(
    cursor: string | undefined,
    limit: number,
    filter: string | undefined,
    include: NativeInclude,
  ): NativeScroll
  scroll(
    cursor: string | undefined,
    limit: number,
    filter: string | undefined,
    include: NativeInclude,
    operation?: NativeOperation,
  ): Promise<NativeScroll>

  /** Reserves slots and memory: ERR_DIMENSIONS, ERR_MEMORY. rows may be 0. */
  beginWrite(kind: NativeWriteKind, rows: number, dimensions: number): NativeWriteBatch
  /** Undefined arguments leave that part as it is. `unset` holds top-level keys. */
  updateSync(
    id: NativeId,
    vector: Float32Array | undefined,
    metadata: string | undefined,
    unset: readonly string[] | undefined,
  ): void
  update(
    id: NativeId,
    vector: Float32Array | undefined,
    metadata: string | undefined,
    unset: readonly string[] | undefined,
    operation?: NativeOperation,
  ): Promise<void>
  /** Resolve to the number of records deleted. */
  deleteIdsSync(ids: NativeIds | NativeIdList): number
  deleteIds(ids: NativeIds | NativeIdList, operation?: NativeOperation): Promise<number>
  deleteFilterSync(filter: string): number
  deleteFilter(filter: string, operation?: NativeOperation): Promise<number>
  clearSync(): void
  clear(operation?: NativeOperation): Promise<void>
  optimizeSync(): void
  optimize(operation?: NativeOperation): Promise<void>

  statsSync(): NativeCollectionStats
  stats(): Promise<NativeCollectionStats>
  checkSync(): NativeCheckReport
  check(): Promise<NativeCheckReport>
}

/** One handle. Its collections live as long as it is open: afterwards every call is ERR_CLOSED. */
export interface NativeDatabase {
  /** `tag`: on disk, a receipt is kept of the collection's making. */
  collection(
    name: string,
    options: NativeCollectionOptions,
    mode: NativeOpenMode,
    tag?: Uint8Array,
  ): NativeCollection
  listCollections(): string[]
  /** Whether it existed. */
  dropCollection(name: string, tag?: Uint8Array): boolean
  /** Of writes with tags on disk, in their order: those of about the last ten minutes. */
  receipts(): NativeReceipt[]
  /** 16 hexadecimal digits, drawn when the database was made, and the same in its copies. */
  id(): string
  statsSync(): NativeDatabaseStats
  stats(): Promise<NativeDatabaseStats>
  /** All that was written before is on the device. In memory nothing to do. */
  backupSync(path: string): void
  backup(path: string): Promise<void>
  flushSync(): void
  flush(): Promise<void>
  /** All that was written before is as durable as was promised: for collections made or dropped. */
  settleSync(): void
  settle(): Promise<void>
  checkSync(): NativeCheckReport[]
  check(): Promise<NativeCheckReport[]>
  /**
   * Refuses new work at once, idempotent. closeSync waits for the calls that run; close resolves
   * when they are over. Batches not yet committed are given back. ERR_IO_POISONED, ERR_IO: closed,
   * but not all that was acknowledged is on the device.
   */
  closeSync(): void
  close(): Promise<void>
}

/** What a salvage brought back, and what not. */
export interface NativeSalvage {
  /** Nothing is known to be missing. */
  isWhole: boolean
  hasManifest: boolean
  /** False: which records of the snapshot still lived is not known; deleted ones may be back. */
  hasTable: boolean
  /** At the end of the log, torn by a crash: never acknowledged. */
  cutBytes: number
  /** `entries`: of the log. `updates`: of records that were lost. */
  lost: {
    files: number
    tables: number
    extents: number
    entries: number
    updates: number
    bytes: number
  }
  /** In words, the first 1000. */
  problems: string[]
  /** `hasOptions` false: nothing told name and options. */
  collections: { name: string; records: number; hasOptions: boolean }[]
}

/** Makes the error that native code throws or rejects with. */
export type NativeErrorFactory = (
  code: string,
  message: string,
  row: number | undefined,
  path: string | undefined,
  /** JSON text of the id concerned. */
  id: string | undefined,
) => Error

export interface NativeAddon {
  Database: new (options?: NativeDatabaseOptions) => NativeDatabase
  /** timeoutMs: from 0 on, fractions allowed; left out: none. */
  Operation: new (
    timeoutMs?: number,
  ) => NativeOperation
  IdList: new () => NativeIdList
  /** A database in a directory. Errors name the path. */
  openDatabase(
    path: string,
    options: NativeDiskOptions | undefined,
    operation?: NativeOperation,
  ): Promise<NativeDatabase>
  openDatabaseSync(path: string, options: NativeDiskOptions | undefined): NativeDatabase
  /** Brings what is readable of a damaged database into a new one; see csrc/db/salvage.h. */
  salvage(path: string, out: string, operation?: NativeOperation): Promise<NativeSalvage>
  setErrorFactory(factory: NativeErrorFactory): void
  /** The true setImmediate, where the global one may be a fake clock's. */
  setImmediate(setImmediate: (callback: () => void) => unknown): void
  /**
   * The buffer of this environment (thread) that searchSync writes into; it grows, so call again
   * before a search of more hits. It holds `capacity = (byteLength - 8) / 12` hits, an even number:
   * - Uint32 at byte 0: the count; Uint32 at byte 4: flags (1: the ids are in the returned JSON
   *   text, those below are not valid; 2: some metadata holds dates; 4: NativeRows.approximate);
   * - Float64 x capacity from byte 8: the ids;
   * - Float32 x capacity from byte 8 + 8 * capacity: the distances.
   */
  scratch(k: number): ArrayBuffer
  /**
   * Where searchQueued writes, one buffer for this thread. A Uint32 at 0 counts the answers that
   * nobody has read: subtract one for each. An answer at byte p (a multiple of 8): Uint32 count,
   * Uint32 flags as in `scratch`, Uint32 nanoseconds that the search took, 4 unused bytes, then
   * count Float64 ids and count Float32 distances.
   */
  answers(): ArrayBuffer
  /** The longest native slice on this JS thread in nanoseconds; `reset` starts anew. */
  sliceNsMax(reset?: boolean): number
  /** Bytes held by all databases of the process. */
  processMemoryBytes(): number
  /** Of the pool. Throws what making a database throws where there is none. */
  threads(): number

  /** Test builds (OMENDB_TEST_POINTS) only. Pauses the next thread that comes to the point. */
  testArm?(point: string): void
  /** Test builds only. Whether a thread is paused there. */
  testPaused?(point: string): boolean
  /** Test builds only. Lets it go and disarms the point. */
  testRelease?(point: string): void
  /** Test builds only. Bytes that V8 was told of by this environment. */
  testReportedBytes?(): number
}
