/**
 * Writes: what stages and submits for add, upsert, update, delete, clear and optimize.
 *
 * Each comes in two ways over the same parts: in slices through a WriteQueue, or at once (Sync).
 */

import type {
  NativeAddon,
  NativeCollection,
  NativeId,
  NativeIdList,
  NativeIds,
  NativeWriteBatch,
  NativeWriteKind,
} from '../../types/native.js'
import type { Id } from '../../types/values.js'
import type { Call } from '../call.js'
import { nowMs } from '../clock.js'
import { OmenError } from '../errors.js'
import { filterToJson, isEmptyFilter } from '../filter.js'
import { checkIds, idList, isIds, normalId } from '../ids.js'
import { metadataToJson } from '../metadata.js'
import { argumentError } from '../options.js'
import { describe, isPlain } from '../text.js'
import { detached, toVector } from '../vectors.js'
import { isOneRecord, type RowSource, recordsSource, vectorsSource } from './incoming.js'
import { SLICE_MS, type StagedWrite } from './staging.js'

/** Chooses how many rows a slice takes, from how long the last one took. */
class Pace {
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

export type WriteKind = 'add' | 'upsert' | 'addBatch'

const NATIVE_KIND: Record<WriteKind, NativeWriteKind> = { add: 0, upsert: 1, addBatch: 0 }
const FIRST_SLICE_FLOATS = 16_384
const FIRST_SLICE_ROWS = 64

function sourceOf(kind: WriteKind, input: unknown, collection: NativeCollection): RowSource {
  return kind === 'addBatch' ? vectorsSource(input, collection) : recordsSource(input, collection)
}

/** To the caller of add(record) and update there are no rows. */
export function withoutRow(error: unknown): unknown {
  if (!(error instanceof OmenError) || error.details.row !== 0) return error
  const { row: _, ...details } = error.details
  return new OmenError(error.code, error.message.replace(/^row 0: /, ''), { details })
}

/** What add and upsert return: one id for one record, ids for many. */
function outcome(isOne: boolean, ids: Id[]): Id | Id[] {
  return isOne ? (ids[0] as Id) : ids
}

function isOne(kind: WriteKind, input: unknown): boolean {
  return kind !== 'addBatch' && isOneRecord(input)
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

/** The change of update, as native code takes it. */
export interface NativeChange {
  id: NativeId
  vector: Float32Array | undefined
  metadata: string | undefined
  unset: readonly string[] | undefined
}

/** @param isLater  The call may wait for its turn: the vector is copied. */
export function readChange(id: unknown, change: unknown, isLater: boolean): NativeChange {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) {
    throw argumentError(`a change is { vector?, metadata?, unset? }, not ${describe(change)}`)
  }
  const { vector, metadata, unset, ...others } = change as Record<string, unknown>
  const [other] = Object.keys(others)
  if (other !== undefined) {
    throw argumentError(`unknown key ${JSON.stringify(other)} in a change`)
  }
  if (vector === undefined && metadata === undefined && unset === undefined) {
    throw argumentError('a change without vector, metadata or unset changes nothing')
  }
  if (unset !== undefined && !(Array.isArray(unset) && unset.every((k) => typeof k === 'string'))) {
    throw argumentError(`unset is a list of top-level keys, not ${describe(unset)}`)
  }
  const path = (unset as string[] | undefined)?.find((key) => key.includes('.'))
  if (path !== undefined) {
    throw argumentError(`unset takes top-level keys, and ${describe(path)} is a path`)
  }
  const floats = vector === undefined ? undefined : toVector(vector)
  return {
    id: normalId(id),
    vector: isLater ? floats?.slice() : floats,
    metadata: metadata === undefined ? undefined : metadataToJson(metadata),
    unset: unset === undefined ? undefined : [...unset],
  }
}

/** What delete is asked to delete. */
export type Deletion = { kind: 'ids'; ids: NativeIds } | { kind: 'filter'; filter: string }

export function readDeletion(which: unknown): Deletion {
  if (isIds(which)) return { kind: 'ids', ids: idList(which) }
  if (typeof which !== 'object' || which === null) {
    return { kind: 'ids', ids: [normalId(which)] }
  }
  const other = isPlain(which) ? Object.keys(which).find((key) => key !== 'filter') : undefined
  if (!isPlain(which) || other !== undefined) {
    const what = other === undefined ? describe(which) : `an object with ${JSON.stringify(other)}`
    throw argumentError(`delete takes an id, ids or { filter }, not ${what}`)
  }
  const { filter } = which
  if (isEmptyFilter(filter)) {
    throw new OmenError('ERR_FILTER', 'an empty filter would delete every record: use clear()')
  }
  return { kind: 'filter', filter: filterToJson(filter) as string }
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
