// Data: the sets that benches run on, unpacked once into raw float32 files under bench/.data.
//
// Why: decompressing and rotating 60 000 x 784 takes longer than most measurements, and every child
// process needs the same floats.
// Sets: `sift`, `mnist` and `wordnet` from the folder that OMENDB_DATA names (bench/.data/sets
// otherwise); bench/README.md tells the format. Where they are absent, `synthetic`: clusters of low
// intrinsic dimension, seeded, with its own exact truth. Variants of a set:
//   plain    the values as stored;
//   rotated  under a fixed seeded orthogonal transform: the same truth, but real floats instead of
//            small integers, for which a scalar quantiser may be lossless by luck;
//   scaled   the dimension of largest variance times 100, truth computed anew.
// Invariants:
//   1. A cached file is whole: it is written under another name and renamed.
//   2. Truth is exact, `TRUTH_DEPTH` deep for plain and rotated sets, TRUTH_SCALED for scaled ones.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { exactTruth } from './exact.mjs'
import { ROOT } from './machine.mjs'
import { permutation, uniform } from './random.mjs'
import { makeSynthetic } from './synthetic.mjs'

export const K = 10
export const VARIANTS = ['plain', 'rotated', 'scaled']
const TRUTH_DEPTH = 100
const TRUTH_SCALED = 10
const QUERIES_SCALED = 200 // Their truth is brute force in JavaScript.
const ROTATION_SEED = 20261122

const CACHE = join(ROOT, 'bench', '.data')
const DATA = resolve(process.env.OMENDB_DATA ?? join(CACHE, 'sets'))

const SPECS = {
  sift: { folder: 'sift-128', dimensions: 128, metric: 'l2', values: 'u8' },
  mnist: { folder: 'mnist-784', dimensions: 784, metric: 'l2', values: 'u8' },
  wordnet: { folder: 'wordnet-256', dimensions: 256, metric: 'cosine', values: 'i8' },
  synthetic: { dimensions: 128, metric: 'l2' },
}

/** The sets that can be opened here: the real ones, or the synthetic one in their place. */
export function availableSets() {
  const real = Object.keys(SPECS).filter((name) => isReal(name) && existsSync(pathOf(name, 'base')))
  return real.length > 0 ? real : ['synthetic']
}

/**
 * Opens a set.
 *
 * @returns {{ name, variant, metric, dimensions, base: Float32Array, queries: Float32Array,
 *   queryCount: number, depth: number, truth: Int32Array }} truth: queryCount x depth row numbers.
 */
export function openSet(name, variant = 'plain') {
  const spec = SPECS[name]
  if (spec === undefined) throw new Error(`no set "${name}"; there are ${Object.keys(SPECS)}`)
  const { dimensions, metric } = spec
  const base = floats(`${name}-${variant}-base`, () => transformed(name, variant, 'base'))
  const queries = floats(`${name}-${variant}-query`, () => transformed(name, variant, 'query'))
  const set = { name, variant, metric, dimensions, base, queries }
  set.depth = variant === 'scaled' ? TRUTH_SCALED : TRUTH_DEPTH
  const { buffer, byteOffset, length } = cached(`${name}-${variant}-truth.i32`, () =>
    bytesOf(makeTruth(set)),
  )
  set.truth = new Int32Array(buffer, byteOffset, length / 4)
  set.queryCount = set.truth.length / set.depth
  return set
}

/** Unpacks and computes what openSet would, so that children find it done. */
export function prepareSets(names, variants = ['plain']) {
  for (const name of names) {
    for (const variant of variants) {
      const started = performance.now()
      openSet(name, variant)
      const seconds = (performance.now() - started) / 1000
      if (seconds > 2) console.log(`prepared ${name} (${variant}) in ${seconds.toFixed(0)} s`)
    }
  }
}

/**
 * Rows of a set in the order they shall be inserted; ids are the row numbers in the set.
 *
 * @param options.rows   How many; all by default. Fewer are a seeded random sample.
 * @param options.order  'ordered' (as the set stores them) or 'shuffled'.
 * @param options.skip   Leave out that many rows of the sample's random order first: two samples
 *   with disjoint `skip` and `rows` share no row.
 * @returns {{ ids: Float64Array, vectors: Float32Array, truth: Int32Array }} truth: set.queryCount
 *   x K row numbers among the chosen rows.
 */
export function selectRows(set, { rows, order = 'shuffled', skip = 0, seed = 7 } = {}) {
  const total = set.base.length / set.dimensions
  const wanted = Math.min(rows ?? total, total - skip)
  const chosen = permutation(total, seed).slice(skip, skip + wanted)
  if (order === 'ordered') chosen.sort()
  const vectors = new Float32Array(wanted * set.dimensions)
  const isChosen = new Uint8Array(total)
  for (let i = 0; i < wanted; ++i) {
    const from = chosen[i] * set.dimensions
    vectors.set(set.base.subarray(from, from + set.dimensions), i * set.dimensions)
    isChosen[chosen[i]] = 1
  }
  return { ids: Float64Array.from(chosen), vectors, truth: truthAmong(set, isChosen) }
}

/** The K nearest among chosen rows: from the deep truth where it reaches, else by brute force. */
function truthAmong(set, isChosen) {
  const truth = new Int32Array(set.queryCount * K)
  for (let q = 0; q < set.queryCount; ++q) {
    const own = set.truth.subarray(q * set.depth, (q + 1) * set.depth)
    const kept = own.filter((row) => isChosen[row])
    if (kept.length < K) return exactTruth(set, set.queryCount, K, isChosen)
    truth.set(kept.subarray(0, K), q * K)
  }
  return truth
}

/** Metadata of each row, as far as the set has any. */
export function openMetadata(name) {
  const random = uniform(99)
  const withRandom = (fields) => ({ ...fields, r: Math.floor(random() * 1000) })
  if (name === 'wordnet') {
    const text = brotliDecompressSync(readFileSync(join(folderOf(name), 'metadata.jsonl.br')))
    const lines = text.toString('utf8').trimEnd().split('\n')
    return lines.map((line) => {
      const { pos, lexfile } = JSON.parse(line)
      return withRandom({ pos, lexfile })
    })
  }
  if (name === 'sift') {
    const bytes = Uint8Array.from(readFileSync(join(folderOf(name), 'photo.u16')))
    return Array.from(new Uint16Array(bytes.buffer), (photo) => withRandom({ photo }))
  }
  if (name === 'mnist') {
    return Array.from(readFileSync(join(folderOf(name), 'digit.u8')), (digit) =>
      withRandom({ digit }),
    )
  }
  return Array.from(makeSynthetic().clusters, (cluster) => withRandom({ cluster }))
}

function isReal(name) {
  return SPECS[name].folder !== undefined
}

function folderOf(name) {
  return join(DATA, SPECS[name].folder)
}

function pathOf(name, part) {
  const { values } = SPECS[name]
  return join(folderOf(name), part === 'base' ? `base.${values}.br` : `query.${values}`)
}

/** The floats of a set as stored. */
function stored(name, part) {
  if (!isReal(name)) return part === 'base' ? makeSynthetic().base : makeSynthetic().queries
  const file = readFileSync(pathOf(name, part))
  const bytes = part === 'base' ? brotliDecompressSync(file) : file
  const Values = SPECS[name].values === 'u8' ? Uint8Array : Int8Array
  return Float32Array.from(new Values(bytes.buffer, bytes.byteOffset, bytes.byteLength))
}

function transformed(name, variant, part) {
  if (variant === 'plain') return stored(name, part)
  const plain = floats(`${name}-plain-${part}`, () => stored(name, part))
  const { dimensions } = SPECS[name]
  if (variant === 'rotated') return rotate(plain, dimensions)
  if (variant !== 'scaled')
    throw new Error(`no variant "${variant}"; there are plain, rotated, scaled`)
  const largest = widestDimension(
    floats(`${name}-plain-base`, () => stored(name, 'base')),
    dimensions,
  )
  const scaled = plain.slice(0, part === 'query' ? QUERIES_SCALED * dimensions : plain.length)
  for (let i = largest; i < scaled.length; i += dimensions) scaled[i] *= 100
  return scaled
}

/**
 * Rotates every row by layers of random plane rotations: each layer pairs all dimensions at random
 * and turns each pair by a random angle. A product of rotations is orthogonal; after 2 log2(n)
 * layers every output mixes every input.
 */
function rotate(rows, n) {
  const layers = 2 * Math.ceil(Math.log2(n))
  const random = uniform(ROTATION_SEED)
  const steps = Array.from({ length: layers }, (_, layer) => {
    const order = permutation(n, ROTATION_SEED + layer)
    const angles = Float64Array.from({ length: n >> 1 }, () => 2 * Math.PI * random())
    return { order, cosines: angles.map(Math.cos), sines: angles.map(Math.sin) }
  })
  const out = new Float32Array(rows.length)
  const row = new Float64Array(n)
  for (let from = 0; from < rows.length; from += n) {
    for (let i = 0; i < n; ++i) row[i] = rows[from + i]
    for (const { order, cosines, sines } of steps) {
      for (let pair = 0; pair < cosines.length; ++pair) {
        const a = order[2 * pair]
        const b = order[2 * pair + 1]
        const x = row[a]
        row[a] = cosines[pair] * x - sines[pair] * row[b]
        row[b] = sines[pair] * x + cosines[pair] * row[b]
      }
    }
    out.set(row, from)
  }
  return out
}

function widestDimension(rows, n) {
  const sums = new Float64Array(n)
  const squares = new Float64Array(n)
  for (let i = 0; i < rows.length; ++i) {
    sums[i % n] += rows[i]
    squares[i % n] += rows[i] * rows[i]
  }
  const count = rows.length / n
  const variances = squares.map((square, i) => square / count - (sums[i] / count) ** 2)
  return variances.indexOf(Math.max(...variances))
}

function makeTruth(set) {
  const { name, variant } = set
  if (variant === 'scaled') return exactTruth(set, QUERIES_SCALED, TRUTH_SCALED)
  if (isReal(name)) {
    const bytes = brotliDecompressSync(readFileSync(join(folderOf(name), 'ground-truth.i32.br')))
    return new Int32Array(Uint8Array.from(bytes).buffer)
  }
  return exactTruth(set, set.queries.length / set.dimensions, TRUTH_DEPTH)
}

function floats(name, make) {
  const { buffer, byteOffset, length } = cached(`${name}.f32`, () => bytesOf(make()))
  return new Float32Array(buffer, byteOffset, length / 4)
}

function bytesOf(array) {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

/** The bytes of a cached file, made first if it is not there. Aligned for any typed array. */
function cached(file, make) {
  const path = join(CACHE, file)
  if (!existsSync(path)) {
    mkdirSync(CACHE, { recursive: true })
    writeFileSync(`${path}.${process.pid}`, make())
    renameSync(`${path}.${process.pid}`, path)
  }
  const bytes = readFileSync(path)
  return bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes)
}
