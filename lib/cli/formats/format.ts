/**
 * What every format is made of: a Source of chunks on the way in, a Sink of rows on the way out.
 *
 * Rows are numbered from 0 in the order of the file. Invariants of a Source:
 *   1. Chunks come in order and without gaps, from the row that was asked for.
 *   2. Memory is bounded: a chunk has about CHUNK_BYTES at most, or one row (of Parquet without
 *      page indexes: one row group; of Arrow: one record batch).
 *   3. Nothing is allocated because a file claims a size: what it claims is held against what it
 *      has.
 */

import type { Id } from '../../../types/values.js'
import { formatError } from '../exit.js'
import type { Seal } from './prefix.js'

export const FORMATS = ['fvecs', 'bvecs', 'npy', 'jsonl', 'csv', 'parquet', 'arrow'] as const
export type FormatName = (typeof FORMATS)[number]

export const DIMENSIONS_MAX = 16_384
/** Bytes of the file that one chunk is made of, about. */
export const CHUNK_BYTES = 2 ** 20
/** Rows of a chunk, at most. */
export const CHUNK_ROWS = 4096

/** A record as a file has it: its columns by name. */
export type Fields = Record<string, unknown>

/** Rows of a matrix: vectors and nothing else. */
export interface VectorChunk {
  kind: 'vectors'
  /** Number of the first row. */
  row: number
  count: number
  dimensions: number
  /** count * dimensions. */
  vectors: Float32Array
  seal: Seal
}

/** Rows of a table. */
export interface RecordChunk {
  kind: 'records'
  row: number
  records: Fields[]
  /** Of each record: the line it begins on, from 1. Left out where a file has no lines. */
  lines?: number[]
  seal: Seal
}

export type Chunk = VectorChunk | RecordChunk

export interface Source {
  /** The file's name, or `standard input`. */
  readonly name: string
  readonly format: FormatName
  /** Where the format tells it before the rows are read. */
  readonly rows: number | undefined
  /** Of a table whose columns are known before its rows. */
  readonly columns: readonly string[] | undefined
  /** Columns that records cannot hold, and their types: rows come without them. */
  readonly refused?: ReadonlyMap<string, string>
  /** From 0 to 1: how much of the file was read; undefined of a stream. */
  part(): number | undefined
  /**
   * Limits a table to these columns, where that saves reading. Called before `chunks`, if at all.
   */
  select(columns: readonly string[]): void
  /** Once for each source. Throws OmenErrors that name the file and the row. */
  chunks(from: number): AsyncIterable<Chunk>
  close(): Promise<void>
}

/** A value that is not what its column says. It matters only where the column is wanted. */
export class Unreadable {
  constructor(readonly reason: string) {}
}

/** A column that is there twice would be read once, without a word. */
export function refuseRepeated(file: string, names: readonly string[]): void {
  const repeated = names.find((name, i) => names.indexOf(name) !== i)
  if (repeated !== undefined) throw formatError(file, `the column '${repeated}' is there twice`)
}

/** A record on its way out. */
export interface OutRow {
  id: Id
  vector: Float32Array
  metadata: Record<string, unknown>
}

export interface Sink {
  write(rows: readonly OutRow[]): Promise<void>
  /** Writes what ends the file. */
  finish(): Promise<void>
}

/** What a sink must know before the first row. */
export interface SinkPlan {
  rows: number
  dimensions: number
  /** The kind of all ids. */
  ids: 'integer' | 'string' | 'mixed'
}

const EXTENSIONS: Record<string, FormatName> = {
  fvecs: 'fvecs',
  bvecs: 'bvecs',
  npy: 'npy',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'csv',
  parquet: 'parquet',
  arrow: 'arrow',
  arrows: 'arrow',
  feather: 'arrow',
  ipc: 'arrow',
}

/** The format that a file's name tells. */
export function formatOf(file: string): FormatName | undefined {
  const extension = /\.([a-z]+)$/i.exec(file)?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(EXTENSIONS, extension) ? EXTENSIONS[extension] : undefined
}
