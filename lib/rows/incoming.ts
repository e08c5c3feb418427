/**
 * Rows on their way in: NewRecord[], Batch and lists of vectors, all brought to one shape that is
 * staged rows [from, to) at a time.
 */

import type { NativeIds, NativeWriteBatch } from '../../types/native.js'
import type { Id } from '../../types/values.js'
import { OmenError } from '../errors.js'
import { generatedIds, idList, normalId } from '../ids.js'
import { isFloat32Array, isFloat64Array, isNumbers, isProxy } from '../kinds.js'
import { metadataToJson } from '../metadata.js'
import { argumentError } from '../options.js'
import { describe } from '../text.js'
import { detached, isTensor, toFloats, toVector, type VectorSet, vectorSet } from '../vectors.js'

/** What takes the rows: native code, or what writes them to the network. */
export type RowSink = Pick<
  NativeWriteBatch,
  'stageVectors' | 'stageVectorList' | 'stageIds' | 'stageMetadata'
>

/** What is known of the collection that the rows are for. */
export interface RowTarget {
  /** 0 while no vector has fixed them. */
  readonly dimensions: number
}

/** Many rows of one write. */
export abstract class RowSource {
  /** The ids as they come back, filled while staging; undefined if they are generated. */
  protected ids: Id[] | undefined

  constructor(
    readonly rows: number,
    readonly dimensions: number,
  ) {}

  /** Stages rows [from, to). Throws with the row. */
  abstract stage(batch: RowSink, from: number, to: number): void

  /** What the write returns. */
  result(firstGeneratedId: number | bigint): Id[] {
    return this.ids ?? generatedIds(firstGeneratedId, this.rows)
  }

  protected takeIds(batch: RowSink, row: number, ids: NativeIds, from: number, to: number) {
    const out = this.ids as Id[]
    for (let i = from; i < to; i++) out.push(normalId(ids[i], row + i - from))
    batch.stageIds(row, ids, from, to)
  }
}

// What stageVectorList takes as it is.
function isDirect(vector: unknown): boolean {
  if (isFloat32Array(vector) || isFloat64Array(vector)) return true
  return Array.isArray(vector) && !isProxy(vector)
}

class BatchSource extends RowSource {
  constructor(
    readonly set: VectorSet,
    readonly givenIds: NativeIds | undefined,
    readonly metadata: readonly unknown[] | undefined,
  ) {
    super(set.rows, set.dimensions)
    if (givenIds !== undefined) this.ids = []
  }

  stage(batch: RowSink, from: number, to: number): void {
    const { set, givenIds, metadata } = this
    if (givenIds !== undefined) {
      if (givenIds.length < this.rows) throw detached('the array of ids')
      this.takeIds(batch, from, givenIds, from, to)
    }
    if (set.kind === 'list') {
      if (set.list.length < this.rows) throw detached('the list of vectors')
      stageList(batch, from, set.list, from, to)
    } else {
      stageFlat(batch, set, from, to)
    }
    if (metadata !== undefined) {
      if (metadata.length < this.rows) throw detached('the list of metadata')
      stageMetadata(batch, from, to, (row) => metadata[row])
    }
  }
}

function stageList(
  batch: RowSink,
  row: number,
  list: readonly unknown[],
  from: number,
  to: number,
): void {
  const chunk = new Array<unknown>(to - from)
  for (let i = from; i < to; i++) {
    const vector = list[i]
    chunk[i - from] = isDirect(vector) ? vector : toVector(vector, row + i - from)
  }
  batch.stageVectorList(row, chunk, 0, chunk.length)
}

function stageFlat(
  batch: RowSink,
  set: VectorSet & { kind: 'flat' },
  from: number,
  to: number,
): void {
  const { data, dimensions } = set
  if (data.length < set.rows * dimensions) throw detached('the array of vectors')
  const offset = from * dimensions
  if (isFloat32Array(data)) {
    batch.stageVectors(from, to - from, data, offset)
    return
  }
  const floats = toFloats(data, offset, to * dimensions, (i) => Math.floor(i / dimensions))
  batch.stageVectors(from, to - from, floats, 0)
}

function stageMetadata(
  batch: RowSink,
  from: number,
  to: number,
  metadataOf: (row: number) => unknown,
): void {
  const texts = new Array<string | undefined>(to - from)
  for (let row = from; row < to; row++) {
    const metadata = metadataOf(row)
    texts[row - from] = metadata === undefined ? undefined : metadataToJson(metadata, row)
  }
  batch.stageMetadata(from, texts, 0, texts.length)
}

interface LooseRecord {
  id?: unknown
  vector?: unknown
  metadata?: unknown
}

class RecordSource extends RowSource {
  readonly #records: readonly unknown[]

  constructor(records: readonly unknown[], dimensions: number) {
    super(records.length, dimensions)
    this.#records = records
    if (readRecord(records[0], 0).id !== undefined) this.ids = []
  }

  stage(batch: RowSink, from: number, to: number): void {
    if (this.#records.length < this.rows) throw detached('the list of records')
    const chunk = new Array<LooseRecord>(to - from)
    for (let row = from; row < to; row++) {
      const record = readRecord(this.#records[row], row)
      if ((record.id !== undefined) !== (this.ids !== undefined)) {
        const message = `row ${row}: in one call, all records have an id or none has`
        throw new OmenError('ERR_ID', message, { details: { row } })
      }
      chunk[row - from] = record
    }
    if (this.ids !== undefined) {
      const ids = chunk.map((record) => record.id) as Id[]
      this.takeIds(batch, from, ids, 0, ids.length)
    }
    const vectors = chunk.map((record) => record.vector)
    stageList(batch, from, vectors, 0, vectors.length)
    // Those without any too: native code takes rows in order, each once.
    stageMetadata(batch, from, to, (row) => chunk[row - from]?.metadata)
  }
}

// A misspelt `metadata` must not be dropped in silence.
function readRecord(record: unknown, row: number | undefined): LooseRecord {
  const where = row === undefined ? '' : `row ${row}: `
  if (typeof record !== 'object' || record === null || isNumbers(record) || Array.isArray(record)) {
    throw rowError(
      row,
      `${where}a record is { id?, vector, metadata? }, not ${describe(record)}` +
        (row === undefined ? '' : '; lists of vectors go to addBatch()'),
    )
  }
  for (const key in record) {
    if (key !== 'id' && key !== 'vector' && key !== 'metadata') {
      const name = JSON.stringify(key)
      throw rowError(row, `${where}unknown key ${name} in a record; its fields belong in metadata`)
    }
  }
  return record
}

function rowError(row: number | undefined, message: string): OmenError {
  return new OmenError('ERR_ARGUMENT', message, { details: row === undefined ? {} : { row } })
}

class OneRecordSource extends RowSource {
  readonly #id: unknown
  readonly #vector: Float32Array
  readonly #metadata: string | undefined

  constructor(record: unknown) {
    const { id, vector, metadata } = readRecord(record, undefined)
    const floats = toVector(vector)
    super(1, floats.length)
    this.#vector = floats
    this.#id = id
    if (id !== undefined) this.ids = []
    this.#metadata = metadata === undefined ? undefined : metadataToJson(metadata)
  }

  stage(batch: RowSink): void {
    if (this.#vector.length < this.dimensions) throw detached('the vector')
    if (this.#id !== undefined) {
      this.ids?.push(normalId(this.#id))
      batch.stageIds(0, [this.#id as Id], 0, 1)
    }
    batch.stageVectors(0, 1, this.#vector, 0)
    if (this.#metadata !== undefined) batch.stageMetadata(0, [this.#metadata], 0, 1)
  }
}

/** Whether the argument of add or upsert is one record: then one id is returned, not a list. */
export function isOneRecord(input: unknown): boolean {
  return !(
    Array.isArray(input) ||
    (typeof input === 'object' && input !== null && 'vectors' in input)
  )
}

/** The rows of add and upsert. */
export function recordsSource(input: unknown, collection: RowTarget): RowSource {
  if (isOneRecord(input)) return new OneRecordSource(input)
  if (!Array.isArray(input)) return batchSource(input as object, collection)
  if (input.length === 0) return new BatchSource(emptySet(collection), undefined, undefined)
  const first = readRecord(input[0], 0)
  const dimensions = collection.dimensions || toVector(first.vector, 0).length
  return new RecordSource(input, dimensions)
}

/** The rows of addBatch. */
export function vectorsSource(input: unknown, collection: RowTarget): RowSource {
  if (Array.isArray(input) || isNumbers(input) || isTensor(input)) {
    const set = vectorSet(input, { rows: 0, dimensions: collection.dimensions })
    return new BatchSource(set, undefined, undefined)
  }
  if (typeof input !== 'object' || input === null || !('vectors' in input)) {
    throw argumentError(
      `addBatch takes a list of vectors or { ids?, vectors, metadata? }, not ${describe(input)}`,
    )
  }
  return batchSource(input, collection)
}

function emptySet(collection: RowTarget): VectorSet {
  return { kind: 'list', list: [], rows: 0, dimensions: collection.dimensions }
}

function batchSource(batch: object, collection: RowTarget): RowSource {
  const given: Record<string, unknown> = { ...batch }
  const { ids, vectors, dimensions, metadata } = given
  for (const key of Object.keys(given)) {
    if (!['ids', 'vectors', 'dimensions', 'metadata'].includes(key)) {
      throw argumentError(`unknown key ${JSON.stringify(key)} in a batch`)
    }
  }
  const list = ids === undefined ? undefined : idList(ids)
  if (dimensions !== undefined && !(Number.isInteger(dimensions) && (dimensions as number) > 0)) {
    throw argumentError(`dimensions of a batch are an integer from 1, not ${describe(dimensions)}`)
  }
  const set = vectorSet(vectors, {
    rows: list?.length ?? 0,
    dimensions: (dimensions as number | undefined) ?? collection.dimensions,
  })
  if (list !== undefined && list.length !== set.rows) {
    throw argumentError(`${list.length} ids for ${set.rows} vectors`)
  }
  if (metadata !== undefined && !Array.isArray(metadata)) {
    throw argumentError(`metadata of a batch is a list, one per row, not ${describe(metadata)}`)
  }
  if (Array.isArray(metadata) && metadata.length !== set.rows) {
    throw argumentError(`${metadata.length} entries of metadata for ${set.rows} vectors`)
  }
  return new BatchSource(set, list, metadata as readonly unknown[] | undefined)
}
