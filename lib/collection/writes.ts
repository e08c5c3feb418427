/**
 * Writes: what stages and submits for add, upsert, update, delete, clear and optimize.
 *
 * Each comes in two ways over the same parts: in slices through a WriteQueue, or at once (Sync).
 */

import type {
  NativeAddon,
  NativeCollection,
  NativeIdList,
  NativeIds,
  NativeWriteBatch,
  NativeWriteKind,
} from '../../types/native.js'
import type { Id } from '../../types/values.js'
import type { Call } from '../call.js'
import { nowMs } from '../clock.js'
import { checkIds } from '../ids.js'
import { isOne, readDeletion, sourceOf, type WriteKind, withoutRow } from '../rows/changes.js'
import type { RowSource } from '../rows/incoming.js'
import { detached } from '../vectors.js'
import { SLICE_MS, type StagedWrite } from './staging.js'

/** Chooses how many rows a slice takes, from how long the last one took. */
export class Pace {
  #rows: number

  constructor(firstRows: number) {
    this.#rows = Math.max(1, firstRows)
  }

  /** Runs slices of `work` over [row, rows) until then. Returns the row reached. */
  run(row: number, rows: number, until: number, work: (from: number, to: number) => void): number {
    let at = row
    while (at < rows) {
      const start = nowMs()
      if (start >= until) break
      const to = Math.min(rows, at + this.#rows)
      work(at, to)
      const tookMs = Math.max(nowMs() - start, 0.001)
      const wanted = Math.floor(((to - at) * SLICE_MS) / tookMs)
      this.#rows = Math.max(1, Math.min(wanted, this.#rows * 4))
      at = to
    }
    return at
  }
}

const NATIVE_KIND: Record<WriteKind, NativeWriteKind> = { add: 0, upsert: 1, addBatch: 0 }
const FIRST_SLICE_FLOATS = 16_384
const FIRST_SLICE_ROWS = 64

/** What add and upsert return: one id for one record, ids for many. */
function outcome(isOne: boolean, ids: Id[]): Id | Id[] {
  return isOne ? (ids[0] as Id) : ids
}

/** add, upsert and addBatch, in slices. Shapes are judged, and lengths taken, at the call. */
export class RowsWrite implements StagedWrite<Id | Id[]> {
  readonly #collection: NativeCollection
  readonly #kind: WriteKind
  readonly #isOne: boolean
  readonly #source: RowSource
  readonly #pace: Pace
  #batch: NativeWriteBatch | undefined
  #row = 0

  constructor(collection: NativeCollection, kind: WriteKind, input: unknown) {
    this.#collection = collection
    this.#kind = kind
    this.#isOne = isOne(kind, input)
    this.#source = sourceOf(kind, input, collection)
    const fit = Math.floor(FIRST_SLICE_FLOATS / Math.max(1, this.#source.dimensions))
    this.#pace = new Pace(Math.min(FIRST_SLICE_ROWS, fit))
  }

  get rows(): number {
    return this.#source.rows
  }

  stage(until: number, call: Call | undefined): boolean {
    const { rows } = this
    if (rows === 0) return true
    try {
      this.#batch ??= begin(this.#collection, this.#kind, this.#source)
      const batch = this.#batch
      this.#row = this.#pace.run(this.#row, rows, until, (from, to) => {
        this.#source.stage(batch, from, to)
      })
    } catch (error) {
      throw this.#isOne ? withoutRow(error) : error
    }
    call?.staged(this.#row, rows)
    return this.#row === rows
  }

  async submit(call: Call | undefined): Promise<Id | Id[]> {
    if (this.#batch === undefined) return []
    try {
      const { firstGeneratedId } = await this.#batch.commit(call?.operation)
      return outcome(this.#isOne, this.#source.result(firstGeneratedId))
    } catch (error) {
      throw this.#isOne ? withoutRow(error) : error
    }
  }

  abort(): void {
    this.#batch?.abort()
  }
}

function begin(collection: NativeCollection, kind: WriteKind, source: RowSource): NativeWriteBatch {
  return collection.beginWrite(NATIVE_KIND[kind], source.rows, source.dimensions)
}

/** addSync, upsertSync and addBatchSync. */
export function writeRowsSync(
  collection: NativeCollection,
  kind: WriteKind,
  input: unknown,
): Id | Id[] {
  const source = sourceOf(kind, input, collection)
  if (source.rows === 0) return []
  const batch = begin(collection, kind, source)
  try {
    source.stage(batch, 0, source.rows)
    const { firstGeneratedId } = batch.commitSync()
    return outcome(isOne(kind, input), source.result(firstGeneratedId))
  } catch (error) {
    batch.abort()
    throw isOne(kind, input) ? withoutRow(error) : error
  }
}

/** A write without rows: nothing to stage. */
export function plainWrite<T>(submit: (call: Call | undefined) => Promise<T>): StagedWrite<T> {
  return { rows: 0, stage: () => true, submit, abort: () => {} }
}

export function deleteSync(collection: NativeCollection, which: unknown): number {
  const deletion = readDeletion(which)
  if (deletion.kind === 'filter') return collection.deleteFilterSync(deletion.filter)
  checkIds(deletion.ids, 0, deletion.ids.length)
  return collection.deleteIdsSync(deletion.ids)
}

const FIRST_SLICE_IDS = 1024

/** Deletion by ids, which are gathered in slices. */
export class IdsDeletion implements StagedWrite<number> {
  readonly rows = 0
  readonly #collection: NativeCollection
  readonly #ids: NativeIds
  readonly #count: number
  readonly #list: NativeIdList
  readonly #pace = new Pace(FIRST_SLICE_IDS)
  #row = 0

  constructor(addon: NativeAddon, collection: NativeCollection, ids: NativeIds) {
    this.#collection = collection
    this.#ids = ids
    this.#count = ids.length
    this.#list = new addon.IdList()
  }

  stage(until: number): boolean {
    this.#row = this.#pace.run(this.#row, this.#count, until, (from, to) => {
      if (this.#ids.length < this.#count) throw detached('the array of ids')
      checkIds(this.#ids, from, to)
      this.#list.push(this.#ids, from, to)
    })
    return this.#row === this.#count
  }

  submit(call: Call | undefined): Promise<number> {
    return this.#collection.deleteIds(this.#list, call?.operation)
  }

  abort(): void {}
}
