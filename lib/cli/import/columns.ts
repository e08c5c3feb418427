/**
 * Which column of a table is the id, which the vector, which make up the metadata, and the rows of
 * a chunk in the form that the database takes.
 *
 * Left to itself: the id is the column `id`, or else the number of the row; the vector is `vector`
 * or `embedding`, or else the only column with lists of numbers; the metadata is the column
 * `metadata`, an object, or else all other columns.
 */

import type { Id } from '../../../types/values.js'
import { OmenError } from '../../errors.js'
import { describe } from '../../text.js'
import { UsageError } from '../exit.js'
import type { Chunk, Fields, RecordChunk, Source } from '../formats/format.js'
import type { Seal } from '../formats/prefix.js'
import { idFromJson } from '../wire.js'
import { metadataOf, plain } from './values.js'
import { toVector } from './vectors.js'

/** Columns that an advice lists, at most. */
const NAMES_MAX = 12

/** What the user chose; left out: see above. */
export interface Choice {
  id: string | undefined
  vector: string | undefined
  metadata: string | undefined
}

/** Rows as the database takes them. */
export interface Rows {
  /** Number of the first row in its file. */
  row: number
  count: number
  dimensions: number
  vectors: Float32Array
  /** Left out: ids follow from row numbers. */
  ids: Id[] | undefined
  metadata: Record<string, unknown>[] | undefined
  lines: number[] | undefined
  seal: Seal
}

export class Columns {
  readonly #source: Source
  readonly #choice: Choice
  #plan: Plan | undefined

  /** @throws {UsageError} the choice does not fit the format. */
  constructor(source: Source, choice: Choice) {
    this.#source = source
    this.#choice = choice
    if (isMatrix(source) && Object.values(choice).some((c) => c !== undefined && c !== 'none')) {
      const message = `${source.format} has vectors alone: no --id, --vector or --metadata`
      throw new UsageError(message)
    }
    if (source.columns !== undefined && source.columns.length > 0 && source.format !== 'csv') {
      this.#selectEarly(source.columns)
    }
  }

  /** Whether ids come from the file. Known of a table once its first rows were mapped. */
  get hasIds(): boolean {
    return this.#plan?.id !== undefined
  }

  /** Columns that are certainly not wanted need not be read. */
  #selectEarly(columns: readonly string[]): void {
    const { id, vector, metadata } = this.#choice
    if (metadata === undefined || metadata === 'all' || vector === undefined) return
    const named = metadata === 'none' ? [] : listed(metadata)
    const wanted = new Set([id ?? 'id', ...expand(vector, columns), ...named])
    this.#source.select([...wanted])
  }

  map(chunk: Chunk): Rows {
    if (chunk.kind === 'vectors') {
      return { ...chunk, ids: undefined, metadata: undefined, lines: undefined }
    }
    this.#plan ??= plan(this.#source, this.#choice, chunk)
    return mapRecords(this.#source.name, this.#plan, chunk)
  }
}

const isMatrix = ({ format }: Source): boolean => ['fvecs', 'bvecs', 'npy'].includes(format)

/** A fault of a row, by its number and the line it begins on. */
export function rowError(
  code: OmenError['code'],
  file: string,
  row: number,
  line: number | undefined,
  message: string,
): OmenError {
  const where = line === undefined ? `row ${row}` : `row ${row} (line ${line})`
  return new OmenError(code, `${file}: ${where}: ${message}`, { details: { row } })
}

interface Plan {
  id: string | undefined
  vector: string[]
  /** One column that is the whole metadata, or fields; undefined: all columns but those above. */
  metadata: { whole: string } | { fields: string[] } | undefined
  /** Where each row names its columns: what the first lacks, and later ones may not have. */
  absent: string[]
}

function plan(source: Source, choice: Choice, chunk: RecordChunk): Plan {
  const first = chunk.records[0] as Fields
  const columns = source.columns ?? Object.keys(first)
  const need = (column: string): string => {
    if (columns.includes(column)) return column
    const message = `${source.name} has no column '${column}'; it has ${columns.join(', ')}`
    throw new OmenError('ERR_ARGUMENT', message)
  }
  let id: string | undefined
  if (choice.id === undefined) id = columns.includes('id') ? 'id' : undefined
  else if (choice.id !== 'none') id = need(choice.id)
  const vector =
    choice.vector === undefined
      ? [vectorColumn(source, columns, first)]
      : expand(choice.vector, columns).map(need)
  if (vector.length === 0) need(choice.vector as string)
  const metadata = metadataPlan(choice.metadata, columns, [id, ...vector], need)
  refuseTypes(source, columns, { id, vector, metadata })
  const absent: string[] = []
  if (source.columns === undefined) {
    if (choice.id === undefined && id === undefined) absent.push('id')
    if (choice.vector === undefined && vector[0] !== 'vector') absent.push('vector')
  }
  return { id, vector, metadata, absent }
}

/** What is wanted must be of a type that records hold; what is not may be anything. */
function refuseTypes(
  { name, refused }: Source,
  columns: readonly string[],
  { id, vector, metadata }: Pick<Plan, 'id' | 'vector' | 'metadata'>,
): void {
  if (refused === undefined || refused.size === 0) return
  const others = columns.filter((c) => c !== id && !vector.includes(c))
  const kept =
    metadata === undefined ? others : 'whole' in metadata ? [metadata.whole] : metadata.fields
  const refuse = (column: string, advice: string): void => {
    if (!refused.has(column)) return
    const what = `the column '${column}' has the type ${refused.get(column)}`
    const message = `${name}: ${what}, which records cannot hold; ${advice}`
    throw new OmenError('ERR_UNSUPPORTED', message)
  }
  if (id !== undefined) refuse(id, 'write integers or texts, or choose another with --id')
  for (const column of vector) {
    refuse(column, 'write lists of floats, or choose another with --vector')
  }
  const fine = others.filter((c) => !refused.has(c))
  const list = fine.length === 0 ? 'none' : fine.length > NAMES_MAX ? 'A,B' : fine.join(',')
  for (const column of kept) refuse(column, `leave it out: --metadata ${list}`)
}

function metadataPlan(
  choice: string | undefined,
  columns: readonly string[],
  taken: (string | undefined)[],
  need: (column: string) => string,
): Plan['metadata'] {
  if (choice === undefined) {
    const isWhole = columns.includes('metadata') && !taken.includes('metadata')
    return isWhole ? { whole: 'metadata' } : undefined
  }
  if (choice === 'all') return undefined
  return { fields: choice === 'none' ? [] : listed(choice).map(need) }
}

function vectorColumn(source: Source, columns: readonly string[], first: Fields): string {
  for (const name of ['vector', 'embedding']) if (columns.includes(name)) return name
  const lists = columns.filter((name) => isList(first[name]))
  if (lists.length === 1) return lists[0] as string
  const found = columns.join(', ')
  throw new OmenError(
    'ERR_ARGUMENT',
    `${source.name}: which column is the vector? Choose with --vector among ${found}`,
  )
}

function isList(value: unknown): boolean {
  if (ArrayBuffer.isView(value)) return true
  return Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === 'number')
}

function listed(text: string): string[] {
  return text
    .split(',')
    .map((s) => s.trim())
    .filter((s) => s !== '')
}

/** `v*` are all columns that begin so, in the order of the file; `a,b` these. */
function expand(choice: string, columns: readonly string[]): string[] {
  if (columns.includes(choice)) return [choice]
  if (!choice.endsWith('*')) return listed(choice)
  return columns.filter((c) => c.startsWith(choice.slice(0, -1)))
}

function mapRecords(file: string, p: Plan, chunk: RecordChunk): Rows {
  const { records, row, lines, seal } = chunk
  const ids: Id[] = []
  const metadata: Record<string, unknown>[] = []
  let dimensions = 0
  let vectors = new Float32Array(0)
  const isDroppingAll =
    p.metadata !== undefined && 'fields' in p.metadata && p.metadata.fields.length === 0
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as Fields
    const fault = (code: OmenError['code'], message: string): OmenError =>
      rowError(code, file, row + i, lines?.[i], message)
    refuseAbsent(record, p, fault)
    const vector = toVector(record, p.vector, fault)
    if (i === 0) {
      dimensions = vector.length
      vectors = new Float32Array(records.length * dimensions)
    } else if (vector.length !== dimensions) {
      const message = `${vector.length} dimensions, where the rows before have ${dimensions}`
      throw fault('ERR_DIMENSIONS', message)
    }
    vectors.set(vector, i * dimensions)
    if (p.id !== undefined) ids.push(idOf(record[p.id], p.id, fault))
    if (!isDroppingAll) metadata.push(metadataFields(record, p, fault))
  }
  return {
    row,
    count: records.length,
    dimensions,
    vectors,
    ids: p.id === undefined ? undefined : ids,
    metadata: isDroppingAll ? undefined : metadata,
    lines,
    seal,
  }
}

/** It would end up in the metadata without a word. */
function refuseAbsent(record: Fields, { absent }: Plan, fault: Fault): void {
  for (const name of absent) {
    if (!Object.hasOwn(record, name)) continue
    const flag = name === 'id' ? '--id none' : `--${name} COLUMN`
    const message = `it has the column '${name}', and the first row has not: give it to all, or`
    throw fault(name === 'id' ? 'ERR_ID' : 'ERR_VECTOR', `${message} choose by ${flag}`)
  }
}

export type Fault = (code: OmenError['code'], message: string) => OmenError

function idOf(value: unknown, column: string, fault: Fault): Id {
  if (value === undefined || value === null)
    throw fault('ERR_ID', `the id ('${column}') is missing`)
  const id = idFromJson(value)
  if (typeof id === 'bigint' && id < 0n) {
    throw fault('ERR_ID', `an id is a string or an integer from 0, not ${id}`)
  }
  if (typeof id === 'string' || typeof id === 'number' || typeof id === 'bigint') return id
  throw fault('ERR_ID', `an id is a string or an integer from 0, not ${describe(value)}`)
}

function metadataFields(record: Fields, p: Plan, fault: Fault): Record<string, unknown> {
  if (p.metadata !== undefined && 'whole' in p.metadata) {
    return metadataOf(record[p.metadata.whole], fault)
  }
  const out = Object.create(null) as Record<string, unknown>
  for (const name of p.metadata?.fields ?? Object.keys(record)) {
    if (p.metadata === undefined && (name === p.id || p.vector.includes(name))) continue
    const value = record[name]
    if (value !== undefined) out[name] = plain(value, name, fault)
  }
  return out
}
