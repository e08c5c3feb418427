/**
 * The messages of an Arrow IPC stream or file, verified before apache-arrow sees them.
 *
 * Why: the library believes what a message claims. A vector of 2^31 children in a damaged schema
 * keeps it busy for hours, a long body has it allocate. Here every table, vector and string of a
 * message is held against the message's bytes, and every buffer against the body, as the verifier
 * of flatbuffers would do.
 *
 * @see https://arrow.apache.org/docs/format/Columnar.html
 */

import { OmenError } from '../../errors.js'
import { Prefix, type Seal } from './prefix.js'
import type { Reader } from './reader.js'

const MAGIC = 'ARROW1'
const CONTINUATION = 0xffffffff
const METADATA_BYTES_MAX = 64 * 2 ** 20
const BODY_BYTES_MAX = 2 ** 31
const PIECE_BYTES = 2 ** 20
const BLOCK_BYTES = 24
/** As a message calls them; 1 is a schema, 2 a dictionary. */
const BATCH_OF_ROWS = 3
const TABLES_MAX = 100_000
const DEPTH_MAX = 64
const ROWS_COMPRESSED_MAX = 2 ** 28

/** Whether it is a file, which has its schema and the places of its batches at the end. */
export async function isArrowFile(reader: Reader): Promise<boolean> {
  return (await reader.peek(MAGIC.length)).toString('latin1') === MAGIC
}

/**
 * Bytes of a stream, as they were, message by message. Throws Errors that say what is wrong.
 *
 * @param seals  Gets one for each batch of rows, before the last bytes of the batch are given out.
 */
export async function* arrowMessages(reader: Reader, seals: Seal[]): AsyncGenerator<Uint8Array> {
  const prefix = new Prefix()
  for (;;) {
    const start = await reader.read(8)
    if (start.length === 0) return
    const length = lengthOf(start)
    if (length === 0) return
    const { isOld } = kindOf(start)
    const rest = await reader.read(isOld ? length - 4 : length)
    const metadata = isOld ? Buffer.concat([start.subarray(4), rest]) : rest
    if (metadata.length < length) throw new Error('it ends within a message')
    const { type, bodyBytes } = new Verifier(metadata).message()
    if (reader.size !== undefined && reader.position + bodyBytes > reader.size) {
      throw new Error('it ends within the body of a message')
    }
    const message = Buffer.concat([isOld ? start.subarray(0, 4) : start, metadata])
    prefix.add(message)
    const seal = (): void => {
      const sealed = prefix.sealed()
      if (type === BATCH_OF_ROWS) seals.push(() => sealed)
    }
    if (bodyBytes === 0) seal()
    yield message
    for (let left = bodyBytes; left > 0; ) {
      const piece = await reader.read(Math.min(left, PIECE_BYTES))
      if (piece.length === 0) throw new Error('it ends within the body of a message')
      left -= piece.length
      prefix.add(piece)
      if (left === 0) seal()
      yield piece
    }
  }
}

/**
 * Verifies the footer of a file and all messages that it names. Throws Errors.
 *
 * @returns Where each batch of rows ends in the file.
 */
export async function verifyArrowFile(reader: Reader): Promise<number[]> {
  const size = reader.size as number
  const tail = await reader.range(Math.max(0, size - 10), size)
  if (tail.length < 10 || tail.toString('latin1', 4) !== MAGIC) {
    throw new Error('it is cut: its last bytes are not those of an Arrow file')
  }
  const length = tail.readInt32LE(0)
  if (length < 4 || length > METADATA_BYTES_MAX || length + 18 > size) {
    throw new Error(`its footer claims ${length} bytes`)
  }
  const footer = await reader.range(size - 10 - length, size - 10)
  const { dictionaries, batches } = new Verifier(footer).footer()
  for (const { offset, metadataBytes, bodyBytes } of [...dictionaries, ...batches]) {
    if (metadataBytes < 8 || metadataBytes > METADATA_BYTES_MAX) {
      throw new Error(`a message claims ${metadataBytes} bytes`)
    }
    if (offset + metadataBytes + bodyBytes > size)
      throw new Error('a batch lies outside of the file')
    const bytes = await reader.range(offset, offset + metadataBytes)
    const { isOld } = kindOf(bytes)
    const start = isOld ? 4 : 8
    const claimed = lengthOf(bytes)
    if (start + claimed > metadataBytes) throw new Error('a message is longer than the footer says')
    if (new Verifier(bytes.subarray(start, start + claimed)).message().bodyBytes > bodyBytes) {
      throw new Error('the body of a message is longer than the footer says')
    }
  }
  return batches.map((block) => block.offset + block.metadataBytes + block.bodyBytes)
}

// Before version 0.15 there was no continuation marker.
function kindOf(prefix: Buffer): { isOld: boolean } {
  if (prefix.length < 8) throw new Error('it ends within a message')
  return { isOld: prefix.readUInt32LE(0) !== CONTINUATION }
}

/** Bytes of the metadata that a prefix announces. */
function lengthOf(prefix: Buffer): number {
  const length = prefix.readInt32LE(kindOf(prefix).isOld ? 0 : 4)
  if (length !== 0 && (length < 4 || length > METADATA_BYTES_MAX)) {
    throw new Error(`a message claims ${length} bytes`)
  }
  return length
}

function unknownCompression(codec: number, method: number): OmenError {
  const how = `codec ${codec}, method ${method}`
  const message = `an Arrow file is compressed in an unknown way (${how}): use lz4 or zstd`
  return new OmenError('ERR_UNSUPPORTED', message)
}

/** Types that the library cannot read, so that it would open no column of the file. */
const UNREAD_TYPES: Record<number, string> = {
  22: 'RunEndEncoded',
  25: 'ListView',
  26: 'LargeListView',
}
const KIND_MAX = 26

function unknownType(column: string, type: string): OmenError {
  const message = `the column '${column}' has the Arrow type ${type}, which is not read`
  return new OmenError('ERR_UNSUPPORTED', `${message}; write the file without it`)
}

interface Block {
  offset: number
  metadataBytes: number
  bodyBytes: number
}

/** Where a table lies, and where its fields do. */
interface Table {
  at: number
  vtable: number
  vtableBytes: number
}

class Verifier {
  readonly #bytes: Buffer
  #tables = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Verifies a Message; returns what it is, and the bytes of its body. */
  message(): { type: number; bodyBytes: number } {
    const message = this.#table(this.#offset(0))
    const type = this.#scalar(message, 1, 1)
    const body = this.#int64(message, 3)
    if (body > BODY_BYTES_MAX) throw new Error(`the body of a message claims ${body} bytes`)
    this.#keyValues(message, 4)
    const header = this.#child(message, 2)
    if (header === undefined) throw new Error('a message has no header')
    if (type === 1) this.#schema(header)
    else if (type === BATCH_OF_ROWS) this.#recordBatch(header, body)
    else if (type === 2) {
      const data = this.#child(header, 1)
      if (data !== undefined) this.#recordBatch(data, body)
    } else throw new Error(`a message of type ${type}, which holds no rows`)
    return { type, bodyBytes: body }
  }

  /** Verifies a Footer; returns the places of all messages. */
  footer(): { dictionaries: Block[]; batches: Block[] } {
    const footer = this.#table(this.#offset(0))
    const schema = this.#child(footer, 1)
    if (schema === undefined) throw new Error('its footer has no schema')
    this.#schema(schema)
    this.#keyValues(footer, 4)
    const blocks = (field: number): Block[] => {
      const { at, count } = this.#vector(footer, field, BLOCK_BYTES)
      return Array.from({ length: count }, (_, i) => {
        const block = at + i * BLOCK_BYTES
        return {
          offset: this.#int64At(block),
          metadataBytes: this.#bytes.readInt32LE(block + 8),
          bodyBytes: this.#int64At(block + 16),
        }
      })
    }
    return { dictionaries: blocks(2), batches: blocks(3) }
  }

  #schema(schema: Table): void {
    if (this.#scalar(schema, 0, 2) !== 0) {
      throw new OmenError('ERR_UNSUPPORTED', 'an Arrow file of big-endian numbers is not read')
    }
    for (const field of this.#tablesOf(schema, 1)) this.#field(field, 0)
    this.#keyValues(schema, 2)
    this.#vector(schema, 3, 8)
  }

  #field(field: Table, depth: number): void {
    if (depth > DEPTH_MAX) throw new Error('its columns are nested too deep')
    const name = this.#string(field, 0)
    const type = this.#child(field, 3)
    const kind = this.#scalar(field, 2, 1)
    const unknown = UNREAD_TYPES[kind] ?? (kind > KIND_MAX ? `number ${kind}` : undefined)
    if (unknown !== undefined) throw unknownType(name, unknown)
    if (type === undefined) throw new Error('a column has no type')
    // Unions list their codes: the only type with a vector.
    if (kind === 14) this.#vector(type, 1, 4)
    if (kind === 10) this.#string(type, 1) // The time zone of timestamps.
    const dictionary = this.#child(field, 4)
    if (dictionary !== undefined) this.#child(dictionary, 1)
    for (const child of this.#tablesOf(field, 5)) this.#field(child, depth + 1)
    this.#keyValues(field, 6)
  }

  #recordBatch(batch: Table, body: number): void {
    const length = this.#int64(batch, 0)
    const compression = this.#child(batch, 3)
    if (compression !== undefined) {
      const codec = this.#scalar(compression, 0, 1)
      const method = this.#scalar(compression, 1, 1)
      if (codec > 1 || method !== 0) throw unknownCompression(codec, method)
    }
    const nodes = this.#vector(batch, 1, 16)
    // The first node is that of the first column, and a column has as many rows as the batch.
    if (nodes.count > 0 && this.#int64At(nodes.at) !== length) {
      throw new Error('a batch and its columns have other numbers of rows')
    }
    for (let i = 0; i < nodes.count; i++) {
      const rows = this.#int64At(nodes.at + i * 16)
      // Columns of nulls alone have no bytes; nothing else has more than eight rows in one.
      const rowsMax = compression === undefined ? body * 8 : ROWS_COMPRESSED_MAX
      if (rows > Math.max(2 ** 20, rowsMax)) throw new Error(`a batch claims ${rows} rows`)
    }
    const buffers = this.#vector(batch, 2, 16)
    for (let i = 0; i < buffers.count; i++) {
      const at = buffers.at + i * 16
      const bytes = this.#int64At(at + 8)
      if (this.#int64At(at) + bytes > body) throw new Error('a buffer lies outside of its batch')
      // How long it is unpacked comes first.
      if (compression !== undefined && bytes > 0 && bytes < 8) throw new Error('a buffer is cut')
    }
    this.#vector(batch, 4, 8)
  }

  #keyValues(table: Table, field: number): void {
    for (const pair of this.#tablesOf(table, field)) {
      this.#string(pair, 0)
      this.#string(pair, 1)
    }
  }

  #need(at: number, bytes: number): void {
    if (at < 0 || at + bytes > this.#bytes.length) throw new Error('a message points out of itself')
  }

  /** What the offset at `at` points to. */
  #offset(at: number): number {
    this.#need(at, 4)
    return at + this.#bytes.readUInt32LE(at)
  }

  #table(at: number): Table {
    if (++this.#tables > TABLES_MAX) throw new Error(`a message has more than ${TABLES_MAX} tables`)
    this.#need(at, 4)
    const vtable = at - this.#bytes.readInt32LE(at)
    this.#need(vtable, 4)
    const vtableBytes = this.#bytes.readUInt16LE(vtable)
    this.#need(vtable, vtableBytes)
    this.#need(at, this.#bytes.readUInt16LE(vtable + 2))
    return { at, vtable, vtableBytes }
  }

  /** Where a field lies; undefined if it was left out. */
  #place({ at, vtable, vtableBytes }: Table, field: number, bytes: number): number | undefined {
    const slot = 4 + 2 * field
    if (slot + 2 > vtableBytes) return undefined
    const offset = this.#bytes.readUInt16LE(vtable + slot)
    if (offset === 0) return undefined
    this.#need(at + offset, bytes)
    return at + offset
  }

  #scalar(table: Table, field: number, bytes: 1 | 2): number {
    const at = this.#place(table, field, bytes)
    return at === undefined ? 0 : this.#bytes.readUIntLE(at, bytes)
  }

  #int64(table: Table, field: number): number {
    const at = this.#place(table, field, 8)
    return at === undefined ? 0 : this.#int64At(at)
  }

  #int64At(at: number): number {
    const value = Number(this.#bytes.readBigInt64LE(at))
    if (value < 0 || !Number.isSafeInteger(value)) throw new Error(`a message claims ${value}`)
    return value
  }

  #child(table: Table, field: number): Table | undefined {
    const at = this.#place(table, field, 4)
    return at === undefined ? undefined : this.#table(this.#offset(at))
  }

  #vector(table: Table, field: number, bytes: number): { at: number; count: number } {
    const place = this.#place(table, field, 4)
    if (place === undefined) return { at: 0, count: 0 }
    const at = this.#offset(place)
    this.#need(at, 4)
    const count = this.#bytes.readUInt32LE(at)
    this.#need(at + 4, count * bytes)
    return { at: at + 4, count }
  }

  #string(table: Table, field: number): string {
    const { at, count } = this.#vector(table, field, 1)
    return this.#bytes.toString('utf8', at, at + count)
  }

  *#tablesOf(table: Table, field: number): Generator<Table> {
    const { at, count } = this.#vector(table, field, 4)
    for (let i = 0; i < count; i++) yield this.#table(this.#offset(at + i * 4))
  }
}
