/**
 * Parquet, by hyparquet and hyparquet-writer, which are bundled.
 *
 * Read by ranges of rows: of some thousand where the file has page indexes for the columns that are
 * wanted, else by whole row groups. Written: an `id` column (INT64, UINT64 or UTF8), `vector` (a
 * list of FLOAT: parquet-vectors.ts) and `metadata` (JSON text), compressed by Snappy and gzip.
 *
 * Memory: a page says how large it becomes unpacked; more than PAGE_BYTES_MAX is refused.
 */

import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { OmenError } from '../../errors.js'
import { formatError } from '../exit.js'
import type { Output } from '../output.js'
import { toJson } from '../wire.js'
import {
  type Fields,
  type OutRow,
  refuseRepeated,
  type Sink,
  type SinkPlan,
  type Source,
} from './format.js'
import { decimalColumns } from './parquet-decimals.js'
import { loadParquet, type ParquetLibrary } from './parquet-library.js'
import { parsers, refusedParquetColumns, unifyTypes } from './parquet-types.js'
import { addToGroup, writeVectors } from './parquet-vectors.js'
import { RangePrefix } from './prefix.js'
import type { Reader } from './reader.js'

const PAGE_BYTES_MAX = 512 * 2 ** 20
const GROUP_ROWS_MAX = 2 ** 24
const WINDOW_BYTES = 8 * 2 ** 20
const WINDOW_ROWS_MAX = 16_384
const MAGIC = 'PAR1'
/** Rows of a row group that is written: as many as make it about 8 MiB. */
const GROUP_BYTES = 8 * 2 ** 20

function compressors({ snappyUncompress, ...library }: ParquetLibrary) {
  const bounded =
    (unpack: (input: Uint8Array, bytes: number) => Uint8Array) =>
    (input: Uint8Array, bytes: number): Uint8Array => {
      if (bytes > PAGE_BYTES_MAX) throw new Error(`a page claims ${bytes} bytes`)
      const out = unpack(input, bytes)
      if (out.length !== bytes) throw new Error(`a page has ${out.length} bytes and not ${bytes}`)
      return out
    }
  const limit = (bytes: number) => ({ maxOutputLength: Math.max(1, bytes) })
  return {
    SNAPPY: bounded((input, bytes) => {
      const out = new Uint8Array(bytes)
      snappyUncompress(input, out)
      return out
    }),
    GZIP: bounded((input, bytes) => new Uint8Array(gunzipSync(input, limit(bytes)))),
    BROTLI: bounded((input, bytes) => new Uint8Array(brotliDecompressSync(input, limit(bytes)))),
    ZSTD: bounded((input, bytes) => library.decompressZstd(input, new Uint8Array(bytes))),
    LZ4: bounded(library.decompressLz4),
    LZ4_RAW: bounded(library.decompressLz4Raw),
  }
}

export async function openParquet(reader: Reader): Promise<Source> {
  const { name, size } = reader
  if (size === undefined) {
    throw new OmenError('ERR_UNSUPPORTED', `${name}: parquet is read by ranges; give a file`)
  }
  const library = await loadParquet()
  const file = {
    byteLength: size,
    async slice(start: number, end = size): Promise<ArrayBuffer> {
      if (!(start >= 0 && start <= end && end <= size)) {
        throw new Error(`it names bytes ${start} to ${end}, and has ${size}`)
      }
      const bytes = await reader.range(start, end)
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer
    },
  }
  const guard = async <T>(work: () => Promise<T> | T): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (error instanceof OmenError) throw error
      throw formatError(name, `no Parquet file, or a damaged one: ${(error as Error).message}`)
    }
  }
  if (size < 12 || (await reader.range(0, 4)).toString('latin1') !== MAGIC) {
    throw formatError(name, `no Parquet file: its first bytes are not ${MAGIC}`)
  }
  const { metadata, schema } = await guard(async () => {
    const parsed = await library.parquetMetadataAsync(file, { parsers })
    unifyTypes(parsed)
    return { metadata: parsed, schema: library.parquetSchema(parsed) }
  })
  const names = schema.children.map((child) => child.element.name)
  refuseRepeated(name, names)
  const refused = refusedParquetColumns(schema)
  const rows = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0)
  await guard(() => checkChunks(library, metadata, size))
  const hasNonsense = metadata.row_groups.some(({ num_rows }) => num_rows < 0n)
  if (hasNonsense || !Number.isSafeInteger(rows)) throw formatError(name, `it claims ${rows} rows`)
  let wanted = names.filter((n) => !refused.has(n))
  let done = 0
  return {
    name,
    format: 'parquet',
    rows,
    columns: names,
    refused,
    part: () => (rows === 0 ? 1 : done / rows),
    select: (columns) => {
      wanted = wanted.filter((n) => columns.includes(n))
    },
    close: () => reader.close(),
    async *chunks(from) {
      const scan = await guard(() =>
        library.parquetScan({
          file,
          metadata,
          columns: wanted,
          compressors: compressors(library),
          parsers,
        }),
      )
      const prefix = new RangePrefix(reader, schemaText(metadata))
      let groupsEnd = 0
      const decimals = decimalColumns(schema, wanted, name)
      let start = 0
      for (const group of metadata.row_groups) {
        const count = Number(group.num_rows)
        const end = start + count
        groupsEnd = Math.max(groupsEnd, endOf(group))
        const sealedTo = groupsEnd
        const seal = () => prefix.upTo(sealedTo)
        if (end > from && count > 0) {
          const hasIndex = group.columns.every(
            (chunk) =>
              !wanted.includes(chunk.meta_data?.path_in_schema[0] ?? '') ||
              (chunk.offset_index_offset ?? 0n) > 0n,
          )
          if (!hasIndex && count > GROUP_ROWS_MAX) {
            throw formatError(name, `a row group of ${count} rows; write smaller ones`)
          }
          const rowBytes = Math.max(1, Number(group.total_byte_size) / count)
          const rowsMax = Math.min(WINDOW_ROWS_MAX, Math.ceil(WINDOW_BYTES / rowBytes))
          // Unpacked once, and kept by the scan while the windows below are cut from it.
          if (!hasIndex) {
            await guard(async () => {
              const whole = { rowStart: start, rowEnd: end }
              for (const column of wanted) await readColumn(scan, column, whole)
            })
          }
          for (let row = Math.max(start, from); row < end; row += rowsMax) {
            const rowEnd = Math.min(end, row + rowsMax)
            const read = await guard(() => readWindow(scan, wanted, row, rowEnd))
            const columns = read.map((values, i) => {
              const mend = decimals.get(wanted[i] as string)
              return mend === undefined ? values : mend(values, row)
            })
            done = row
            const records = toRecords(wanted, columns, rowEnd - row)
            yield { kind: 'records', row, records, seal }
            done = rowEnd
          }
        }
        start = end
      }
    },
  }
}

/** Where the columns of a row group end in the file. */
function endOf({ columns }: Metadata['row_groups'][number]): number {
  const ends = columns.map(({ meta_data: meta }) => {
    const start = meta?.dictionary_page_offset || meta?.data_page_offset || 0n
    return Number(start + (meta?.total_compressed_size ?? 0n))
  })
  return Math.max(0, ...ends)
}

/** The schema lies in the footer, behind all rows. */
function schemaText({ schema }: Metadata): string {
  return JSON.stringify(schema, (_, value) => (typeof value === 'bigint' ? `${value}` : value))
}

/**
 * What the footer says of columns, held against the schema and the size of the file. Without it the
 * library fails half-way through a group, and leaves the promises of the columns before unobserved.
 */
function checkChunks(library: ParquetLibrary, metadata: Metadata, size: number): void {
  const leaves: string[] = []
  const walk = (node: ReturnType<ParquetLibrary['parquetSchema']>): void => {
    if (node.children.length === 0) leaves.push(node.path.join('.'))
    for (const child of node.children) walk(child)
  }
  walk(library.parquetSchema(metadata))
  const within = (start: bigint | undefined, length: bigint | number | undefined): boolean => {
    if (start === undefined || length === undefined) return false
    return start >= 0n && BigInt(length) >= 0n && start + BigInt(length) <= BigInt(size)
  }
  for (const { columns } of metadata.row_groups) {
    if (columns.length !== leaves.length) {
      throw new Error(`a row group has ${columns.length} columns, the schema ${leaves.length}`)
    }
    for (const [i, chunk] of columns.entries()) {
      const meta = chunk.meta_data
      if (meta === undefined || meta.path_in_schema.join('.') !== leaves[i]) {
        throw new Error(`column ${i} of a row group is not the schema's '${leaves[i]}'`)
      }
      if (chunk.file_path) throw new Error('its columns lie in other files')
      const start = meta.dictionary_page_offset || meta.data_page_offset
      const hasIndex = (chunk.offset_index_offset ?? 0n) !== 0n
      const isIndexThere = within(chunk.offset_index_offset, chunk.offset_index_length)
      if (!within(start, meta.total_compressed_size) || (hasIndex && !isIndexThere)) {
        throw new Error(`column '${leaves[i]}' lies outside of the file`)
      }
    }
  }
}

type Metadata = Awaited<ReturnType<ParquetLibrary['parquetMetadataAsync']>>
type Scan = Awaited<ReturnType<ParquetLibrary['parquetScan']>>

async function readColumn(
  scan: Scan,
  column: string,
  rows: { rowStart: number; rowEnd: number },
): Promise<ArrayLike<unknown>> {
  try {
    return await scan.readColumn({ column, ...rows })
  } catch (error) {
    if (error instanceof OmenError) throw error
    throw new Error(`column '${column}': ${(error as Error).message}`)
  }
}

async function readWindow(scan: Scan, names: string[], rowStart: number, rowEnd: number) {
  const columns: ArrayLike<unknown>[] = []
  for (const column of names) {
    const values = await readColumn(scan, column, { rowStart, rowEnd })
    if (values.length !== rowEnd - rowStart) {
      const wanted = `rows ${rowStart} to ${rowEnd}`
      throw new Error(`column '${column}' has ${values.length} values for ${wanted}`)
    }
    columns.push(values)
  }
  return columns
}

function toRecords(names: string[], columns: ArrayLike<unknown>[], count: number): Fields[] {
  const records = new Array<Fields>(count)
  for (let i = 0; i < count; i++) {
    const record = Object.create(null) as Fields
    for (let c = 0; c < names.length; c++) {
      // Lists and objects that are null come as undefined.
      record[names[c] as string] = (columns[c] as ArrayLike<unknown>)[i] ?? null
    }
    records[i] = record
  }
  return records
}

export async function parquetSink(output: Output, plan: SinkPlan): Promise<Sink> {
  if (plan.ids === 'mixed') throw mixedIds('parquet')
  const library = await loadParquet()
  const { ByteWriter, ParquetWriter } = library
  const { dimensions } = plan
  const writer = new ByteWriter()
  const flush = async () => {
    const bytes = writer.getBytes().slice()
    writer.index = 0
    await output.write(bytes)
  }
  const file = new ParquetWriter({
    writer: Object.assign(writer, { flush, finish: flush }),
    schema: [
      { name: 'root', num_children: 3 },
      plan.ids === 'integer'
        ? { name: 'id', type: 'INT64', repetition_type: 'REQUIRED', converted_type: 'UINT_64' }
        : { name: 'id', type: 'BYTE_ARRAY', repetition_type: 'REQUIRED', converted_type: 'UTF8' },
      { name: 'vector', repetition_type: 'REQUIRED', converted_type: 'LIST', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
      { name: 'metadata', type: 'BYTE_ARRAY', repetition_type: 'REQUIRED', converted_type: 'UTF8' },
    ],
    createdBy: 'omendb',
  })
  let held: OutRow[] = []
  const groupRows = Math.max(256, Math.floor(GROUP_BYTES / (plan.dimensions * 4 + 64)))
  const writeGroup = async () => {
    const rows = held
    held = []
    const ids = rows.map(({ id }) => (plan.ids === 'integer' ? BigInt(id) : id))
    const vectors = new Float32Array(rows.length * dimensions)
    for (const [i, { vector }] of rows.entries()) vectors.set(vector, i * dimensions)
    const written = writeVectors(library, writer, vectors, dimensions)
    const pending = file.write({
      columnData: [
        { name: 'id', data: ids, statistics: false },
        { name: 'metadata', data: rows.map((r) => toJson(r.metadata)), statistics: false },
      ],
      rowGroupSize: rows.length,
    })
    addToGroup(file, written)
    await pending
  }
  return {
    async write(rows) {
      held.push(...rows)
      if (held.length >= groupRows) await writeGroup()
    },
    async finish() {
      if (held.length > 0) await writeGroup()
      await file.finish()
    },
  }
}

export function mixedIds(format: string): OmenError {
  return new OmenError(
    'ERR_UNSUPPORTED',
    `a column of ${format} holds integers or strings, and the collection has ids of both kinds; ` +
      'use jsonl or csv',
  )
}
