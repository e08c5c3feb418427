/** What the database tells about itself. */

import type { Layout, Metric, Quantization, Schema } from './options.js'
import type { Id } from './values.js'

/** Bytes by use; the parts sum to `total`. */
export interface Bytes {
  vectors: number
  codes: number
  graph: number
  ids: number
  metadata: number
  columns: number
  /** Working memory of searches and cached row sets. */
  scratch: number
  /** Freed, and waiting for readers that may still look at it. */
  retired: number
  total: number
  /**
   * Vectors that stay in the files of a database on disk, besides `total`: pages of the system's
   * cache, which it takes back when it needs them. See `residency` of `DB.open()`.
   */
  mapped: number
}

export interface CollectionStats {
  name: string
  /** 0 while no vector has fixed them. */
  dimensions: number
  metric: Metric
  quantization: Quantization
  layout: Layout
  m: number
  efConstruction: number
  /** False: once `trained`, distances and vectors are those of codes. */
  keepVectors: boolean
  schema?: Schema
  /** Live records. */
  count: number
  /** Deleted records that the graph still routes through, until it consolidates. */
  deleted: number
  /** Rows free for reuse. */
  freeSlots: number
  /** Layers of the graph above the bottom one. */
  levels: number
  /** Metadata fields with a column. */
  indexedFields: number
  /** The next generated id. */
  nextId: Id
  /** `sq8` and `binary`: whether codes are in use; small collections score floats. */
  trained: boolean
  /**
   * `sq8`: vectors stored since the codes were trained that lie so far outside of what they were
   * trained on that their codes are worse than others. Many of them train the codes anew, which
   * sets this to 0; with `keepVectors: false` that is not possible.
   */
  clamped: number
  /** How often deleted rows were taken out of the graph. */
  consolidations: number
  bytes: Bytes
}

export interface DatabaseStats {
  collections: CollectionStats[]
  /** Bytes of all collections. */
  bytes: number
  /** `maxMemoryBytes`; 0: none. */
  bytesLimit: number
  /** The instruction set in use: `scalar`, `avx2`, `avx512` or `neon`. */
  simd: string
  /** What of it the processor has. */
  simdFeatures: string
  /** Threads of the process's pool. */
  threads: number
  /** The longest time that native code held this JS thread within an async call, nanoseconds. */
  nativeSliceNsMax: number
  /** Of a database on disk: what opening it did. */
  recovery?: Recovery
  /** Of a database on disk that may be written to: what lies there. */
  storage?: Storage
}

/** What a database has on disk. */
export interface Storage {
  /** Bytes of the snapshot's files. */
  snapshotBytes: number
  /** Bytes of the log behind it. */
  logBytes: number
  /** Snapshots written since it was opened. */
  checkpoints: number
  /** Why the last one could not be written; empty if it could. The log grows meanwhile. */
  checkpointError: string
}

/** What opening a database on disk did. */
export interface Recovery {
  /** Records taken from the snapshot. */
  snapshotRecords: number
  /** Collections whose stored graph was missing or damaged, and was built anew. */
  rebuiltGraphs: number
  /** Their names. */
  rebuiltCollections: string[]
  /** Entries of the log that were replayed. */
  records: number
  /**
   * Bytes at the end of the log that a crash had left torn, and that were cut off. They were never
   * acknowledged, unless the device lost what it had stored: see docs/durability.md.
   */
  cutBytes: number
}

/** What `check()` found in one collection. */
export interface CheckReport {
  name: string
  ok: boolean
  records: number
  /** Live records that no path of the graph reaches. */
  unreachable: number
  /** The first violated invariant, the first damage on disk with file and byte; else empty. */
  problem: string
}

/** How a search was answered. */
export interface Plan {
  /**
   * `empty`: nothing to score. `exact`: every match on the originals. `scan`: every match on codes,
   * and on the originals what they leave in doubt. `filtered-graph`: the graph, ranking only what
   * matches.
   */
  plan: 'empty' | 'exact' | 'scan' | 'graph' | 'filtered-graph'
  /** The graph found too few, and an exact scan answered. */
  fallback: boolean
  /** Share of the live records that pass the filter. */
  selectivity: number
  /** Records that pass the filter. */
  matches: number
  /** Distances computed, on codes or floats. */
  rowsScored: number
  /** Nodes of the graph expanded. */
  hops: number
  /** Exact distances computed after the graph. */
  reranked: number
  /** As used, after widening. */
  ef: number
  /** Time inside the engine, nanoseconds. */
  nativeNs: number
  /** No originals are kept (`keepVectors: false`): distances are those of codes, of `exact` too. */
  approximate: boolean
}
