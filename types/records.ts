/** Records on their way in, and rows and hits on their way out. */

import type { Id, Ids, Vector, Vectors } from './values.js'

/** One record to store. */
export interface NewRecord<M extends object> {
  /** Left out: the next generated integer. In one call, all records have an id or none has. */
  id?: Id | undefined
  /** Copied; never kept. */
  vector: Vector
  /** JSON values and Dates, at most 1 MiB of JSON. Left out: `{}`. */
  metadata?: M | undefined
}

/** Many records, column by column: the fastest way in. */
export interface Batch<M extends object> {
  /** One per row, all different. Left out: generated integers. */
  ids?: Ids | undefined
  /** A list of vectors, or one flat row-major array of `rows * dimensions` numbers. */
  vectors: Vectors
  /**
   * Of a flat array without ids, in a collection whose dimensions are not fixed yet; elsewhere
   * they are known, and checked if given.
   */
  dimensions?: number | undefined
  /** One per row. An undefined entry means `{}`. */
  metadata?: readonly (M | undefined)[] | undefined
}

/** What a row brings along: its metadata, its vector, both, or neither. */
export type Include = 'metadata' | 'vector' | 'none' | readonly ('metadata' | 'vector')[]

type Includes<I extends Include, Part> = I extends readonly (infer P)[]
  ? Part extends P
    ? true
    : false
  : Part extends I
    ? true
    : false

type Parts<M extends object, I extends Include> = (Includes<I, 'metadata'> extends true
  ? { metadata: M }
  : unknown) &
  (Includes<I, 'vector'> extends true
    ? {
        /** As stored, bit for bit; where no originals are kept, what the code tells. */
        vector: Float32Array
        /** The vector is what the code tells (`keepVectors: false`). Left out: it is as stored. */
        approximate?: true
      }
    : unknown)

type Plain<T> = { [K in keyof T]: T[K] }

/** A stored record. */
export type Row<M extends object, I extends Include = 'metadata'> = Plain<{ id: Id } & Parts<M, I>>

/** A record found by a search. Smaller distances are nearer, always. */
export type Hit<M extends object, I extends Include = 'metadata'> = Plain<
  {
    id: Id
    distance: number
    /** The distance is that of the code (`keepVectors: false`). Left out: it is exact. */
    approximate?: true
  } & Parts<M, I>
>

/** One page of a scroll. */
export interface Page<M extends object, I extends Include = 'metadata'> {
  records: Row<M, I>[]
  /** Pass as `cursor` to go on. Left out at the end. */
  next?: string
}

/** The hits of one query of a batch, without metadata. */
export interface BatchHit {
  id: Id
  distance: number
}

/** The hits of many queries in flat arrays: query i's lie at `[i * k, i * k + counts[i])`. */
export interface BatchHits extends Iterable<BatchHit[]> {
  /** Number of queries. */
  readonly length: number
  /** Hits asked for: the distance between rows. */
  readonly k: number
  /** Hits found, per query. */
  readonly counts: Uint32Array
  /** NaN past `counts[i]`. */
  readonly distances: Float32Array
  /** The distances are those of codes (`keepVectors: false`). */
  readonly approximate: boolean
  /** NaN past `counts[i]`. Reading it throws ERR_ID when an id is a string or past 2^53 - 1. */
  readonly ids: Float64Array
  /** The id of hit j of query i; undefined past its last hit. */
  id(i: number, j: number): Id | undefined
  /** The hits of query i. */
  hits(i: number): BatchHit[]
}
