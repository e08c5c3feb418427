/**
 * The first two principal components of a sample, for a picture of it.
 *
 * By subspace iteration with a few columns more than are wanted and a Rayleigh-Ritz step at the
 * end: Halko, Martinsson, Tropp 2009 (arXiv:0909.4061), algorithms 4.4 and 5.3. The covariance is
 * never made, so that 16 384 dimensions cost no more memory than the sample; each iteration is one
 * pass over it. Seeded: the same sample gives the same picture.
 */

import { random } from './random.js'

export interface Components {
  /** rows x 2. */
  readonly points: Float32Array
  /** Of the total variance, by component. */
  readonly shares: readonly [number, number]
  /** 2 x dimensions, of length 1; zeros where the sample has no further direction. */
  readonly axes: Float64Array
  readonly mean: Float64Array
}

const COLUMNS = 8
const ITERATIONS_MAX = 60
/** Multiplications of all iterations together: some seconds. */
const WORK_MAX = 3e9
/** The share of the two changes by less: nobody sees more in a picture. */
const CONVERGED = 1e-7

type Matrix = Float64Array[]

/** @param vectors  rows x dimensions, row after row. */
export function principalComponents(vectors: Float32Array, dimensions: number): Components {
  const rows = vectors.length / dimensions
  const mean = meanOf(vectors, rows, dimensions)
  const columns = Math.min(COLUMNS, dimensions, Math.max(1, rows))
  let basis = orthonormal(randomColumns(columns, dimensions))
  const work = 2 * rows * dimensions * columns
  const iterations = Math.max(4, Math.min(ITERATIONS_MAX, Math.floor(WORK_MAX / (work + 1))))
  let before = 0
  for (let i = 0; i < iterations; i++) {
    const { images, small } = applied(vectors, mean, basis)
    basis = orthonormal(images)
    const [first = 0, second = 0] = eigen(small).values.sort().reverse()
    if (Math.abs(first + second - before) <= CONVERGED * (first + second)) break
    before = first + second
  }
  return ritz(vectors, mean, basis)
}

function meanOf(vectors: Float32Array, rows: number, dimensions: number): Float64Array {
  const mean = new Float64Array(dimensions)
  for (let r = 0, at = 0; r < rows; r++)
    for (let d = 0; d < dimensions; d++) mean[d] = (mean[d] as number) + (vectors[at++] as number)
  for (let d = 0; d < dimensions; d++) mean[d] = (mean[d] as number) / Math.max(1, rows)
  return mean
}

function randomColumns(columns: number, dimensions: number): Matrix {
  const next = random(1)
  return Array.from({ length: columns }, () =>
    Float64Array.from({ length: dimensions }, () => next() + next() + next() - 1.5),
  )
}

/** Gram-Schmidt, twice for accuracy. A column that depends on those before it becomes zeros. */
function orthonormal(columns: Matrix): Matrix {
  columns.forEach((column, c) => {
    const size = Math.sqrt(dot(column, column))
    for (let pass = 0; pass < 2; pass++)
      for (const other of columns.slice(0, c)) add(column, other, -dot(column, other))
    const length = Math.sqrt(dot(column, column))
    column.forEach((x, d) => {
      column[d] = length > 1e-10 * size ? x / length : 0
    })
  })
  return columns
}

function dot(a: Float64Array, b: Float64Array): number {
  // Four sums at once, which need not wait for one another.
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  let d = 0
  for (; d + 3 < a.length; d += 4) {
    s0 += (a[d] as number) * (b[d] as number)
    s1 += (a[d + 1] as number) * (b[d + 1] as number)
    s2 += (a[d + 2] as number) * (b[d + 2] as number)
    s3 += (a[d + 3] as number) * (b[d + 3] as number)
  }
  for (; d < a.length; d++) s0 += (a[d] as number) * (b[d] as number)
  return s0 + s1 + (s2 + s3)
}

function add(a: Float64Array, b: Float64Array, factor: number): void {
  for (let d = 0; d < a.length; d++) a[d] = (a[d] as number) + factor * (b[d] as number)
}

/** Calls `take` with each row, less the mean, and its products with the columns. */
function eachRow(
  vectors: Float32Array,
  mean: Float64Array,
  basis: Matrix,
  take: (row: Float64Array, products: Float64Array, r: number) => void,
): void {
  const row = new Float64Array(mean.length)
  const products = new Float64Array(basis.length)
  for (let at = 0, r = 0; at < vectors.length; r++) {
    for (let d = 0; d < mean.length; d++) row[d] = (vectors[at++] as number) - (mean[d] as number)
    for (let c = 0; c < basis.length; c++) products[c] = dot(row, basis[c] as Float64Array)
    take(row, products, r)
  }
}

/** The scatter matrix times the basis, and what it is within the basis. */
function applied(vectors: Float32Array, mean: Float64Array, basis: Matrix) {
  const images = basis.map(() => new Float64Array(mean.length))
  const small = basis.map(() => new Float64Array(basis.length))
  eachRow(vectors, mean, basis, (row, products) => {
    for (let c = 0; c < products.length; c++) {
      const product = products[c] as number
      add(small[c] as Float64Array, products, product)
      add(images[c] as Float64Array, row, product)
    }
  })
  return { images, small }
}

/** The best two directions within the basis. */
function ritz(vectors: Float32Array, mean: Float64Array, basis: Matrix): Components {
  const n = basis.length
  const small = Array.from({ length: n }, () => new Float64Array(n))
  const images = new Float64Array((vectors.length / mean.length) * n)
  let total = 0
  eachRow(vectors, mean, basis, (row, products, r) => {
    total += dot(row, row)
    images.set(products, r * n)
    for (let i = 0; i < n; i++) add(small[i] as Float64Array, products, products[i] as number)
  })
  const { values, columns } = eigen(small)
  const order = Array.from(values.keys()).sort(
    (a, b) => (values[b] as number) - (values[a] as number),
  )
  const axes = new Float64Array(2 * mean.length)
  const points = new Float32Array((2 * images.length) / n)
  const shares: [number, number] = [0, 0]
  order.slice(0, 2).forEach((which, k) => {
    const mix = columns.map((row) => row[which] as number)
    const axis = axes.subarray(k * mean.length, (k + 1) * mean.length)
    for (let c = 0; c < n; c++) add(axis, basis[c] as Float64Array, mix[c] as number)
    const sign = signOf(axis)
    for (let d = 0; d < axis.length; d++) axis[d] = sign * (axis[d] as number)
    for (let r = 0; r * 2 < points.length; r++)
      points[r * 2 + k] =
        sign * mix.reduce((sum, m, c) => sum + m * (images[r * n + c] as number), 0)
    shares[k] = total > 0 ? Math.max(0, values[which] as number) / total : 0
  })
  return { points, shares, axes, mean }
}

/** An axis may point either way; its largest part is made positive. */
function signOf(axis: Float64Array): number {
  let largest = 0
  for (const x of axis) if (Math.abs(x) > Math.abs(largest)) largest = x
  return largest < 0 ? -1 : 1
}

/** Eigenvalues and vectors (columns) of a small symmetric matrix, by Jacobi's rotations. */
function eigen(matrix: Matrix): { values: Float64Array; columns: Matrix } {
  const n = matrix.length
  const at = (m: Matrix, i: number, j: number): number => (m[i] as Float64Array)[j] as number
  const columns = matrix.map((_, i) =>
    Float64Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)),
  )
  const rotate = (m: Matrix, p: number, q: number, cos: number, sin: number): void => {
    for (const row of m) {
      const [x, y] = [row[p] as number, row[q] as number]
      row[p] = cos * x - sin * y
      row[q] = sin * x + cos * y
    }
  }
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = at(matrix, p, q)
        if (off === 0) continue
        const angle = Math.atan2(2 * off, at(matrix, q, q) - at(matrix, p, p)) / 2
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
        rotate(matrix, p, q, cos, sin)
        const [a, b] = [matrix[p] as Float64Array, matrix[q] as Float64Array]
        for (let j = 0; j < n; j++) {
          const [x, y] = [a[j] as number, b[j] as number]
          a[j] = cos * x - sin * y
          b[j] = sin * x + cos * y
        }
        rotate(columns, p, q, cos, sin)
      }
    }
  }
  return { values: Float64Array.from({ length: n }, (_, i) => at(matrix, i, i)), columns }
}

/** Where a vector lies in the picture. */
export function projected({ axes, mean }: Components, vector: Float32Array): [number, number] {
  const at: [number, number] = [0, 0]
  for (let k = 0; k < 2; k++)
    for (let d = 0; d < mean.length; d++)
      at[k] =
        (at[k] as number) +
        (axes[k * mean.length + d] as number) * ((vector[d] as number) - (mean[d] as number))
  return at
}

/** Scales each row to length 1: what the distance by cosine sees. */
export function normalize(vectors: Float32Array, dimensions: number): Float32Array {
  for (let at = 0; at < vectors.length; at += dimensions) {
    const row = vectors.subarray(at, at + dimensions)
    const length = lengthOf(row)
    if (length > 0) for (let d = 0; d < dimensions; d++) row[d] = (row[d] as number) / length
  }
  return vectors
}

function lengthOf(row: Float32Array): number {
  let sum = 0
  for (const x of row) sum += x * x
  return Math.sqrt(sum)
}
