/**
 * The column of vectors of a Parquet file: a list of FLOAT whose lists are all as long, and of
 * which no element is missing.
 *
 * Why by hand: hyparquet-writer makes levels, checks and sizes of every number for itself, ten
 * times what all else of an export takes. Here levels follow from the dimensions: a repetition
 * level is 0 where a vector begins and 1 elsewhere, every definition level is 1.
 * @see https://parquet.apache.org/docs/file-format/data-pages/ (data page V2)
 */

import { constants, gzipSync } from 'node:zlib'
import { bytesOf } from '../../wire/bytes.js'
import type { ParquetLibrary } from './parquet-library.js'

type ByteWriter = InstanceType<ParquetLibrary['ByteWriter']>
type ParquetWriter = InstanceType<ParquetLibrary['ParquetWriter']>
type RowGroup = ParquetWriter['row_groups'][number]
type Chunk = RowGroup['columns'][number]

const PAGE_BYTES = 2 ** 20
/** Compressed only where it saves this much: most vectors hardly shrink, and it takes time. */
const SAVED_MIN = 0.1

/** An unsigned number, seven bits a byte, as levels begin with it. */
function varint(value: number): number[] {
  const out: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128)
  return [...out, rest]
}

/** Bit-packed in groups of eight: one bit for each number, 0 where a vector begins. */
export function repetitionLevels(rows: number, dimensions: number): Buffer {
  const bits = Buffer.alloc(Math.ceil((rows * dimensions) / 8), 0xff)
  for (let row = 0; row < rows; row++) {
    const at = row * dimensions
    bits[at >> 3] = (bits[at >> 3] as number) & ~(1 << (at & 7))
  }
  return Buffer.concat([Buffer.from(varint(bits.length * 2 + 1)), bits])
}

/** One run of ones. */
function definitionLevels(count: number): Buffer {
  return Buffer.from([...varint(count * 2), 1])
}

const squeezed = (bytes: Uint8Array): Buffer => gzipSync(bytes, { level: constants.Z_BEST_SPEED })

/** Writes `rows` vectors, which lie in `flat`, and returns their column chunk with its index. */
export function writeVectors(
  { writePageHeader }: ParquetLibrary,
  writer: ByteWriter,
  flat: Float32Array,
  dimensions: number,
) {
  const start = writer.offset
  const rows = flat.length / dimensions
  const pageRows = Math.max(1, Math.floor(PAGE_BYTES / (dimensions * 4)))
  const pages: { offset: bigint; compressed_page_size: number; first_row_index: bigint }[] = []
  const bytes = bytesOf(flat)
  const first = bytes.subarray(0, pageRows * dimensions * 4)
  const isSqueezed = squeezed(first).length < first.length * (1 - SAVED_MIN)
  let unpacked = 0
  for (let row = 0; row < rows; row += pageRows) {
    const count = Math.min(pageRows, rows - row)
    const repetition = repetitionLevels(count, dimensions)
    const definition = definitionLevels(count * dimensions)
    const data = bytes.subarray(row * dimensions * 4, (row + count) * dimensions * 4)
    const stored = isSqueezed ? squeezed(data) : data
    const offset = writer.offset
    const levels = repetition.length + definition.length
    writePageHeader(writer, {
      type: 'DATA_PAGE_V2',
      uncompressed_page_size: levels + data.length,
      compressed_page_size: levels + stored.length,
      data_page_header_v2: {
        num_values: count * dimensions,
        num_nulls: 0,
        num_rows: count,
        encoding: 'PLAIN',
        definition_levels_byte_length: definition.length,
        repetition_levels_byte_length: repetition.length,
        is_compressed: isSqueezed,
      },
    })
    unpacked += writer.offset - offset + levels + data.length
    for (const part of [repetition, definition, stored]) writer.appendBytes(part)
    const compressed_page_size = writer.offset - offset
    pages.push({ offset: BigInt(offset), compressed_page_size, first_row_index: BigInt(row) })
  }
  const chunk: Chunk = {
    meta_data: {
      type: 'FLOAT',
      encodings: ['RLE', 'PLAIN'],
      path_in_schema: ['vector', 'list', 'element'],
      codec: isSqueezed ? 'GZIP' : 'UNCOMPRESSED',
      num_values: BigInt(flat.length),
      total_compressed_size: BigInt(writer.offset - start),
      total_uncompressed_size: BigInt(unpacked),
      data_page_offset: BigInt(start),
    },
    file_offset: BigInt(start),
  }
  return { chunk, offsetIndex: { page_locations: pages } }
}

/** Puts the chunk where the schema has it: behind the ids. */
export function addToGroup(file: ParquetWriter, written: ReturnType<typeof writeVectors>): void {
  const group = file.row_groups.at(-1) as RowGroup
  const { meta_data } = written.chunk
  group.columns.splice(1, 0, written.chunk)
  group.total_byte_size += meta_data?.total_uncompressed_size ?? 0n
  group.total_compressed_size =
    (group.total_compressed_size ?? 0n) + (meta_data?.total_compressed_size ?? 0n)
  file.pendingIndexes.push(written)
}
