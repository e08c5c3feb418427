/**
 * Rows gathered into batches of the size that the engine likes.
 *
 * Why so large: the engine links a batch in bulk, several times as fast as row by row, once it is a
 * third of what is there, and each such batch costs what all rows so far do: the fewer, the faster.
 * BATCH_BYTES of vectors are some seconds of work, which is what a kill undoes at most. Of a table
 * BATCH_CHUNKS chunks, about a MiB of the file each, bound what metadata takes.
 */

import type { Id } from '../../../types/values.js'
import type { Seal } from '../formats/prefix.js'
import type { Rows } from './columns.js'

const BATCH_BYTES = 256 * 2 ** 20
const BATCH_CHUNKS = 128

const noSeal: Seal = () => ({ sha256: '', bytes: 0 })

export class Batches {
  readonly #fixed: number | undefined
  readonly #isSplitAtRepeats: boolean
  #parts: Rows[] = []
  #count = 0
  #seal: Seal = noSeal
  #ids = new Set<Id>()

  /**
   * @param rows  Rows of a batch; left out: as many as suit.
   * @param isUpsert  An id that comes again begins a new batch: the later row replaces the earlier.
   */
  constructor(rows: number | undefined, isUpsert: boolean) {
    this.#fixed = rows
    this.#isSplitAtRepeats = isUpsert
  }

  /** Takes rows in, and gives out the batches that are full. */
  *add(rows: Rows): Generator<Rows> {
    let rest = rows
    while (rest.count > 0) {
      const room = this.#target(rest.dimensions) - this.#count
      const taken = this.#fitting(rest, Math.min(rest.count, Math.max(1, room)))
      if (taken > 0) {
        const part = cut(rest, 0, taken)
        this.#seal = part.seal
        // A seal keeps the text of its rows, and only the last of a batch is asked for.
        this.#parts.push({ ...part, seal: noSeal })
        this.#count += taken
        rest = cut(rest, taken, rest.count)
      }
      const isFull = this.#count >= this.#target(rows.dimensions)
      if (isFull || rest.count > 0) yield* this.flush()
    }
    if (rows.ids !== undefined && this.#fixed === undefined && this.#parts.length >= BATCH_CHUNKS) {
      yield* this.flush()
    }
  }

  /** What is left. */
  *flush(): Generator<Rows> {
    if (this.#count === 0) return
    const [last, seal] = [this.#parts.at(-1) as Rows, this.#seal]
    const before = this.#count - last.count
    const batch = { ...joined(this.#parts), seal: (rows: number) => seal(rows - before) }
    this.#parts = []
    this.#count = 0
    this.#ids.clear()
    yield batch
  }

  #target(dimensions: number): number {
    return this.#fixed ?? Math.max(1, Math.floor(BATCH_BYTES / (dimensions * 4)))
  }

  /** How many of the first `count` rows may join the batch. */
  #fitting({ ids }: Rows, count: number): number {
    if (!this.#isSplitAtRepeats || ids === undefined) return count
    for (let i = 0; i < count; i++) {
      // 5 and 5n are one id.
      const given = ids[i] as Id
      const id =
        typeof given === 'bigint' && given <= Number.MAX_SAFE_INTEGER ? Number(given) : given
      if (this.#ids.has(id)) return i
      this.#ids.add(id)
    }
    return count
  }
}

/** Rows [from, to) of `rows`. */
export function cut(rows: Rows, from: number, to: number): Rows {
  if (from === 0 && to === rows.count) return rows
  const { dimensions } = rows
  return {
    row: rows.row + from,
    count: to - from,
    dimensions,
    vectors: rows.vectors.subarray(from * dimensions, to * dimensions),
    ids: rows.ids?.slice(from, to),
    metadata: rows.metadata?.slice(from, to),
    lines: rows.lines?.slice(from, to),
    seal: (count) => rows.seal(from + count),
  }
}

function joined(parts: Rows[]): Rows {
  const [first] = parts as [Rows]
  if (parts.length === 1) return first
  const vectors = new Float32Array(parts.reduce((sum, p) => sum + p.vectors.length, 0))
  let at = 0
  for (const part of parts) {
    vectors.set(part.vectors, at)
    at += part.vectors.length
  }
  return {
    row: first.row,
    count: parts.reduce((sum, p) => sum + p.count, 0),
    dimensions: first.dimensions,
    vectors,
    ids: first.ids === undefined ? undefined : parts.flatMap((p) => p.ids as Id[]),
    metadata: first.metadata && parts.flatMap((p) => p.metadata as Record<string, unknown>[]),
    lines: first.lines === undefined ? undefined : parts.flatMap((p) => p.lines as number[]),
    seal: noSeal,
  }
}
