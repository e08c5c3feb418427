/**
 * Vectors: every accepted shape, brought to what native code takes.
 *
 * Only shapes are judged here. Numbers (NaN, Infinity, zero under cosine) are native code's to
 * check, as it copies them; what a Float32Array cannot hold (text, null) must be refused here, for
 * a conversion would turn it into a number.
 */

import type { NumericArray, TensorLike } from '../types/values.js'
import { type ErrorCode, OmenError } from './errors.js'
import { isFloat32Array, isNumbers } from './kinds.js'
import { describe } from './text.js'

type Numbers = Exclude<NumericArray, readonly number[]>

function fault(code: ErrorCode, message: string, row?: number): OmenError {
  return new OmenError(code, row === undefined ? message : `row ${row}: ${message}`, {
    details: row === undefined ? {} : { row },
  })
}

export function detached(what: string, row?: number): OmenError {
  return fault('ERR_DETACHED', `${what} was detached or shrunk during the call`, row)
}

export function isTensor(value: unknown): value is TensorLike {
  const tensor = value as Partial<TensorLike> | null | undefined
  return typeof tensor === 'object' && isArrayLike(tensor?.data) && Array.isArray(tensor?.dims)
}

function isArrayLike(value: unknown): boolean {
  return Array.isArray(value) || isNumbers(value)
}

/**
 * Whether an array's buffer was detached, or shrank under it. Such an array shows length 0, as an
 * empty one does, but none of its methods works.
 */
export function isDetached(array: Numbers | BigUint64Array): boolean {
  if (array.length > 0) return false
  try {
    array.at(0)
    return false
  } catch {
    return true
  }
}

/** Float32Array from numbers[from, to); native code reads that alone. */
export function toFloats(
  numbers: NumericArray,
  from: number,
  to: number,
  rowOf: (index: number) => number | undefined,
): Float32Array {
  if (isFloat32Array(numbers)) return numbers.subarray(from, to)
  if (!Array.isArray(numbers)) return new Float32Array((numbers as Float64Array).subarray(from, to))
  const floats = new Float32Array(to - from)
  for (let i = from; i < to; i++) {
    const value: unknown = numbers[i]
    if (typeof value !== 'number') {
      throw fault('ERR_VECTOR', `${describe(value)} is not a number`, rowOf(i))
    }
    floats[i - from] = value
  }
  return floats
}

/**
 * One vector as a Float32Array: the caller's own where it is one.
 *
 * @param row  For messages.
 */
export function toVector(vector: unknown, row?: number): Float32Array {
  if (isFloat32Array(vector)) {
    if (vector.length === 0 && isDetached(vector)) {
      throw fault('ERR_DETACHED', 'the vector is detached', row)
    }
    return vector
  }
  if (isNumbers(vector) || Array.isArray(vector)) {
    if (!Array.isArray(vector) && isDetached(vector)) {
      throw fault('ERR_DETACHED', 'the vector is detached', row)
    }
    return toFloats(vector, 0, vector.length, () => row)
  }
  if (isTensor(vector)) {
    const { data, dims } = vector
    const shape = `[${dims.join(', ')}]`
    if (dims.length > 1 && dims.slice(0, -1).some((n) => n !== 1)) {
      throw fault('ERR_DIMENSIONS', `a tensor of shape ${shape} is not one vector`, row)
    }
    const floats = toVector(data, row)
    if (dims[dims.length - 1] === floats.length) return floats
    const message = `a tensor of shape ${shape} has ${floats.length} numbers`
    throw fault('ERR_DIMENSIONS', message, row)
  }
  const message = `a vector is a Float32Array or an array of numbers, not ${describe(vector)}`
  throw fault('ERR_VECTOR', message, row)
}

/** Many vectors: a list, or flat rows. */
export type VectorSet =
  | { kind: 'list'; list: readonly unknown[]; rows: number; dimensions: number }
  | { kind: 'flat'; data: NumericArray; rows: number; dimensions: number }

/** What is known of the vectors to come; 0: unknown. */
export interface Shape {
  rows: number
  dimensions: number
}

/**
 * Finds rows and dimensions of many vectors.
 *
 * @param known  Rows by the number of ids; dimensions of the collection or the batch.
 * @throws {OmenError} ERR_DIMENSIONS, ERR_DETACHED, ERR_ARGUMENT.
 */
export function vectorSet(vectors: unknown, known: Shape): VectorSet {
  if (isNumbers(vectors)) {
    if (isDetached(vectors)) throw fault('ERR_DETACHED', 'the array of vectors is detached')
    return flatSet(vectors, known)
  }
  if (Array.isArray(vectors)) {
    if (typeof vectors[0] === 'number') return flatSet(vectors, known)
    // Looked at before memory is reserved for all of them: a list may be long and hold nothing.
    const first = vectors.length > 0 ? toVector(vectors[0], 0).length : 0
    const dimensions = known.dimensions || first
    return { kind: 'list', list: vectors, rows: vectors.length, dimensions }
  }
  if (isTensor(vectors)) {
    const dimensions = Number(vectors.dims[vectors.dims.length - 1])
    const rows = vectors.dims.slice(0, -1).reduce((product, n) => product * n, 1)
    if (rows * dimensions !== vectors.data.length) {
      const shape = `[${vectors.dims.join(', ')}]`
      throw fault('ERR_DIMENSIONS', `a tensor of shape ${shape} has ${vectors.data.length} numbers`)
    }
    return { kind: 'flat', data: vectors.data, rows, dimensions }
  }
  throw fault(
    'ERR_ARGUMENT',
    `vectors are a list of Float32Array or one flat Float32Array, not ${describe(vectors)}`,
  )
}

function flatSet(data: NumericArray, known: Shape): VectorSet {
  const { length } = data
  let { dimensions, rows } = known
  if (dimensions === 0 && rows > 0) dimensions = length / rows
  if (dimensions === 0 && length > 0) {
    throw fault(
      'ERR_DIMENSIONS',
      'one flat array does not tell where a vector ends: give `dimensions`, or ids',
    )
  }
  if (rows === 0) rows = length === 0 ? 0 : length / dimensions
  if (!Number.isInteger(rows) || !Number.isInteger(dimensions) || rows * dimensions !== length) {
    const wanted = known.rows > 0 ? `${known.rows} vectors` : 'whole vectors'
    const of = known.dimensions > 0 ? ` of ${known.dimensions} dimensions` : ''
    throw fault('ERR_DIMENSIONS', `${length} numbers are not ${wanted}${of}`)
  }
  return { kind: 'flat', data, rows, dimensions }
}

/** Packs a set into one array of rows, or returns the caller's own if it is that already. */
export function packRows(set: VectorSet): Float32Array {
  if (set.kind === 'flat') {
    return toFloats(set.data, 0, set.data.length, (i) => Math.floor(i / set.dimensions))
  }
  const floats = new Float32Array(set.rows * set.dimensions)
  for (let i = 0; i < set.rows; i++) {
    const vector = toVector(set.list[i], i)
    if (vector.length !== set.dimensions) {
      const message = `${vector.length} dimensions, not ${set.dimensions}`
      throw fault('ERR_DIMENSIONS', message, i)
    }
    floats.set(vector, i * set.dimensions)
  }
  return floats
}

/** As the vectors are now, whatever becomes of the caller's arrays. What is none stays. */
export function copyOfVectors(vectors: unknown): unknown {
  if (isNumbers(vectors)) return isDetached(vectors) ? vectors : vectors.slice()
  if (Array.isArray(vectors)) return vectors.map(copyOfVectors)
  if (isTensor(vectors)) return { dims: [...vectors.dims], data: copyOfVectors(vectors.data) }
  return vectors
}

/** The queries of a batch. `dimensions`: the collection's; 0: not fixed yet. */
export function querySet(queries: unknown, dimensions: number): VectorSet {
  if (dimensions === 0 && isNumbers(queries) && queries.length > 0) {
    const message = 'the collection has no dimensions yet: pass the queries as a list of vectors'
    throw new OmenError('ERR_DIMENSIONS', message)
  }
  return vectorSet(queries, { rows: 0, dimensions })
}
