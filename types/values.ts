/**
 * Ids, vectors and metadata: what a record is made of.
 *
 * These are the public shapes; lib/ implements them and the server speaks them. They name no DOM or
 * Node type, so that they compile under any `lib` setting.
 */

/**
 * An id: a string (1 to 512 bytes of UTF-8, no lone surrogates) or an integer from 0, as a `number`
 * up to 2^53 - 1 or a `bigint` up to 2^64 - 1. `5` and `5n` are one id, `'5'` is another. Ids come
 * back as `number` where they fit, else as `bigint`.
 */
export type Id = number | string | bigint

/** Many ids. Typed arrays hold integers only. */
export type Ids = readonly Id[] | Uint32Array | Float64Array | BigUint64Array

/** Numbers one after the other. `Float32Array` is the fast path; others are converted. */
export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | readonly number[]

/** What transformers.js and others return: `data` is row-major, `dims` its shape. */
export interface TensorLike {
  readonly data: NumericArray
  readonly dims: readonly number[]
}

/** One vector of the collection's dimensions: finite numbers, and not all zero under cosine. */
export type Vector = NumericArray | TensorLike

/**
 * Many vectors: a list of them, or one flat row-major array of `rows * dimensions` numbers, or a
 * tensor of shape [rows, dimensions].
 */
export type Vectors = readonly Vector[] | NumericArray | TensorLike

/** Metadata of a collection whose type was not given: any object of JSON values and Dates. */
// biome-ignore lint/suspicious/noExplicitAny: an untyped collection forces no casts on reading.
export type Metadata = { [key: string]: any }

/** The part of AbortSignal that is used: one from Node, a browser or a polyfill will do. */
export interface AbortSignalLike {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** How far a long call is. `done` never falls and ends at `total`. */
export interface Progress {
  /** Rows done. A row counts half when it was taken in and whole when it is in the index. */
  done: number
  /** Rows of the call. */
  total: number
}

/** A `URL`: its type is not known everywhere. */
export interface UrlLike {
  readonly href: string
  readonly protocol: string
}
