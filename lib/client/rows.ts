/** Rows on their way out: a RowSource's rows, gathered into messages of about CHUNK_BYTES. */

import type { NativeIds } from '../../types/native.js'
import type { Id } from '../../types/values.js'
import { OmenError } from '../errors.js'
import { DIMENSIONS_MAX } from '../options.js'
import type { RowSink, RowSource } from '../rows/incoming.js'
import { toVector } from '../vectors.js'
import { bytesOf } from '../wire/bytes.js'
import { idsToMessage } from '../wire/messages.js'
import { type Batch, BatchSchema, create } from '../wire/protocol.js'

const CHUNK_BYTES = 256 * 1024
/**
 * Of one call of `stage`, so that metadata, up to 1 MiB a row, cannot make a message larger than a
 * server takes.
 */
const STEP_BYTES = 16 * 1024
const STEP_ROWS = 16

/** Throws ERR_DIMENSIONS where no collection has as many, in the words of native code. */
export function checkDimensions(dimensions: number, what: string): void {
  if (dimensions >= 1 && dimensions <= DIMENSIONS_MAX) return
  const message = `${what} ${dimensions} dimensions; 1 to ${DIMENSIONS_MAX} are possible`
  throw new OmenError('ERR_DIMENSIONS', message)
}

export class RowReader implements RowSink {
  readonly #source: RowSource
  readonly #stepRows: number
  #row = 0
  #bytes = 0
  #vectors: Uint8Array[] = []
  #ids: Id[] = []
  #metadata: string[] = []

  constructor(source: RowSource) {
    this.#source = source
    const rows = Math.floor(STEP_BYTES / (4 * Math.max(1, source.dimensions)))
    this.#stepRows = Math.min(STEP_ROWS, Math.max(1, rows))
  }

  /** Rows that were read. */
  get row(): number {
    return this.#row
  }

  get isDone(): boolean {
    return this.#row === this.#source.rows
  }

  /** The next message. Throws what is wrong with its rows. */
  next(): Batch {
    const { rows } = this.#source
    while (this.#row < rows && this.#bytes < CHUNK_BYTES) {
      const to = Math.min(rows, this.#row + this.#stepRows)
      this.#source.stage(this, this.#row, to)
      this.#row = to
    }
    const batch = create(BatchSchema, { vectors: this.#joined(), metadata: this.#metadata })
    if (this.#ids.length > 0) batch.ids = idsToMessage(this.#ids)
    this.#vectors = []
    this.#ids = []
    this.#metadata = []
    this.#bytes = 0
    return batch
  }

  #joined(): Uint8Array {
    if (this.#vectors.length === 1) return this.#vectors[0] as Uint8Array
    const out = new Uint8Array(this.#vectors.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of this.#vectors) {
      out.set(part, at)
      at += part.length
    }
    return out
  }

  #push(floats: Float32Array): void {
    this.#vectors.push(bytesOf(floats))
    this.#bytes += floats.byteLength
  }

  stageVectors(_row: number, count: number, vectors: Float32Array, offset: number): void {
    this.#push(vectors.subarray(offset, offset + count * this.#source.dimensions))
  }

  stageVectorList(row: number, list: readonly unknown[], from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const at = row + i - from
      const vector = toVector(list[i], at)
      if (vector.length !== this.#source.dimensions) {
        const message = `row ${at} has ${vector.length} dimensions, not ${this.#source.dimensions}`
        throw new OmenError('ERR_DIMENSIONS', message, { details: { row: at } })
      }
      this.#push(vector)
    }
  }

  stageIds(_row: number, ids: NativeIds, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const id = ids[i] as Id
      this.#ids.push(id)
      this.#bytes += typeof id === 'string' ? id.length : 8
    }
  }

  stageMetadata(
    _row: number,
    texts: readonly (string | undefined)[],
    from: number,
    to: number,
  ): void {
    for (let i = from; i < to; i++) {
      const text = texts[i] ?? ''
      this.#metadata.push(text)
      this.#bytes += text.length
    }
  }
}
