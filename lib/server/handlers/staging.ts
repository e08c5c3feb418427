/**
 * Staging of rows that came by the network: message by message into uncommitted slots, in slices
 * that leave the event loop its turns (lib/collection/staging.ts).
 */

import type {
  NativeCollection,
  NativeCommitResult,
  NativeIds,
  NativeWriteBatch,
  NativeWriteKind,
} from '../../../types/native.js'
import { nowMs } from '../../clock.js'
import { WriteQueue } from '../../collection/staging.js'
import { Pace } from '../../collection/writes.js'
import { OmenError } from '../../errors.js'
import { argumentError } from '../../options.js'
import { floatsOf } from '../../wire/bytes.js'
import { idsOfMessage } from '../../wire/messages.js'
import { type Batch, WriteKind } from '../../wire/protocol.js'
import { type Caller, startCall, withTime } from '../caller.js'
import type { Context } from './context.js'
import { checkLimit } from './limits.js'

const FIRST_SLICE_ROWS = 64

/** What a write says before its rows come. */
export interface Announced {
  kind: WriteKind
  rows: number
  dimensions: number
}

const NATIVE_KIND: Partial<Record<WriteKind, NativeWriteKind>> = {
  [WriteKind.UNSPECIFIED]: 0,
  [WriteKind.UPSERT]: 1,
}

/** The rows of one write. Whoever begins it commits or aborts it. */
export class Staging {
  readonly rows: number
  readonly #dimensions: number
  readonly #batch: NativeWriteBatch
  readonly #queue = new WriteQueue()
  readonly #context: Context
  readonly #caller: Caller
  readonly #tag: Uint8Array | undefined
  readonly #deadline: number
  #row = 0
  #hasIds = false

  /** Throws ERR_LIMIT, ERR_DIMENSIONS, ERR_MEMORY: before a row has come. */
  constructor(
    context: Context,
    caller: Caller,
    collection: NativeCollection,
    announced: Announced,
    tag: Uint8Array | undefined,
  ) {
    const { limits } = context
    const { kind, rows } = announced
    const nativeKind = NATIVE_KIND[kind]
    if (nativeKind === undefined) throw argumentError(`the kind of write ${kind} is unknown`)
    if (rows === 0) throw argumentError('a write needs `rows`, the number of its rows')
    checkLimit(rows, limits.batchRows, 'rows')
    const dimensions = announced.dimensions || collection.dimensions
    if (dimensions === 0) {
      const message = 'the collection has no dimensions yet: the first write needs `dimensions`'
      throw new OmenError('ERR_DIMENSIONS', message)
    }
    checkLimit(rows * dimensions * 4, limits.uploadBytes, 'bytes of vectors')
    this.rows = rows
    this.#dimensions = dimensions
    this.#batch = collection.beginWrite(nativeKind, rows, dimensions)
    this.#context = context
    this.#caller = caller
    this.#tag = tag
    this.#deadline = nowMs() + caller.timeoutMs
  }

  /** Takes the rows of one message. */
  async take(message: Batch | undefined): Promise<void> {
    const vectors = floatsOf(message?.vectors ?? new Uint8Array(0), 'vectors')
    const ids = idsOfMessage(message?.ids)
    const metadata = message?.metadata ?? []
    const first = this.#row
    const rows = this.#rowsOf(vectors, ids, metadata)
    if (rows === 0) return
    const pace = new Pace(FIRST_SLICE_ROWS)
    let row = 0
    const stage = (from: number, to: number): void => {
      this.#batch.stageVectors(first + from, to - from, vectors, from * this.#dimensions)
      if (ids !== undefined) this.#batch.stageIds(first + from, ids, from, to)
      if (metadata.length === 0) return
      const texts = metadata.slice(from, to).map((text) => (text === '' ? undefined : text))
      this.#batch.stageMetadata(first + from, texts, 0, texts.length)
    }
    await this.#queue.push({
      rows,
      stage: (until) => {
        this.#checkTime()
        row = pace.run(row, rows, until, stage)
        return row === rows
      },
      submit: async () => {},
      abort: () => {},
    })
    this.#row += rows
  }

  #rowsOf(vectors: Float32Array, ids: NativeIds | undefined, metadata: string[]): number {
    const rows = vectors.length / this.#dimensions
    if (!Number.isInteger(rows)) {
      const of = `${this.#dimensions} dimensions`
      const message = `${vectors.length} numbers are no whole rows of ${of}`
      throw new OmenError('ERR_DIMENSIONS', message, { details: { row: this.#row } })
    }
    if (this.#row + rows > this.rows) {
      throw argumentError(`more rows came than the ${this.rows} that were announced`)
    }
    if (rows === 0) return 0
    if (this.#row === 0) this.#hasIds = ids !== undefined
    if ((ids !== undefined) !== this.#hasIds || (ids !== undefined && ids.length !== rows)) {
      const message = `${ids?.length ?? 0} ids for ${rows} vectors: all rows have one or none has`
      throw new OmenError('ERR_ID', message, { details: { row: this.#row } })
    }
    if (metadata.length !== 0 && metadata.length !== rows) {
      throw argumentError(`${metadata.length} entries of metadata for ${rows} vectors`)
    }
    return rows
  }

  async commit(): Promise<NativeCommitResult> {
    if (this.#row !== this.rows) {
      throw argumentError(`${this.#row} rows came, and ${this.rows} were announced`)
    }
    this.#checkTime()
    const { engine, limits } = this.#context
    // The rows of an upload may have come for longer than a call may take.
    const leftMs = Math.min(this.#deadline - nowMs(), limits.timeoutMs)
    const call = startCall(engine.addon, withTime(this.#caller, leftMs), this.#tag)
    call.submitted(0)
    return call.settle(this.#batch.commit(call.operation))
  }

  #checkTime(): void {
    const { signal, timeoutMs } = this.#caller
    if (signal.aborted) throw new OmenError('ERR_ABORTED', 'the caller has gone')
    if (nowMs() <= this.#deadline) return
    throw new OmenError('ERR_TIMEOUT', `not done within ${timeoutMs} ms`)
  }

  abort(): void {
    this.#batch.abort()
  }
}
