/**
 * fvecs and bvecs, the formats of the TEXMEX sets: each row is its dimensions (int32,
 * little-endian) and its values, float32 or bytes.
 *
 * @see http://corpus-texmex.irisa.fr
 */

import { OmenError } from '../../errors.js'
import { formatError } from '../exit.js'
import type { Output } from '../output.js'
import { CHUNK_BYTES, DIMENSIONS_MAX, type OutRow, type Sink, type Source } from './format.js'
import { Prefix } from './prefix.js'
import type { Reader } from './reader.js'

type Kind = 'fvecs' | 'bvecs'
const VALUE_BYTES = { fvecs: 4, bvecs: 1 }

export async function openVecs(reader: Reader, format: Kind): Promise<Source> {
  const head = await reader.peek(4)
  if (head.length > 0 && head.length < 4) throw formatError(reader.name, `no ${format} file`)
  const dimensions = head.length === 0 ? 0 : head.readInt32LE()
  if (head.length > 0 && (dimensions < 1 || dimensions > DIMENSIONS_MAX)) {
    throw formatError(reader.name, `no ${format} file: row 0 claims ${dimensions} dimensions`)
  }
  const rowBytes = 4 + dimensions * VALUE_BYTES[format]
  if (reader.size !== undefined && reader.size % rowBytes !== 0) {
    const whole = Math.floor(reader.size / rowBytes)
    throw formatError(
      reader.name,
      `row ${whole} is cut, or not all rows have ${dimensions} dimensions: ${reader.size} bytes ` +
        `are no multiple of ${rowBytes}`,
    )
  }
  return {
    name: reader.name,
    format,
    rows: reader.size === undefined ? undefined : reader.size / rowBytes,
    columns: undefined,
    part: () => reader.part(),
    select: () => {},
    close: () => reader.close(),
    async *chunks(from) {
      const prefix = new Prefix()
      await prefix.pass(reader, from * rowBytes)
      const rowsWanted = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes))
      for (let row = from; ; ) {
        const bytes = await reader.read(rowsWanted * rowBytes)
        if (bytes.length === 0) return
        const count = bytes.length / rowBytes
        if (!Number.isInteger(count)) {
          throw formatError(reader.name, `row ${row + Math.floor(count)} is cut`)
        }
        const vectors = new Float32Array(count * dimensions)
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
        for (let i = 0; i < count; i++) {
          const start = i * rowBytes
          if (view.getInt32(start, true) !== dimensions) {
            const found = view.getInt32(start, true)
            const message = `${found} dimensions, where the first row has ${dimensions}`
            throw formatError(reader.name, message, row + i)
          }
          const at = i * dimensions
          if (format === 'bvecs') vectors.set(bytes.subarray(start + 4, start + rowBytes), at)
          else copyFloats(bytes, start + 4, vectors, at, dimensions)
        }
        const seal = prefix.addRows(bytes, (i) => (i + 1) * rowBytes)
        yield { kind: 'vectors', row, count, dimensions, vectors, seal }
        row += count
      }
    },
  }
}

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** Copies `count` little-endian float32 that lie anywhere. */
export function copyFloats(
  bytes: Uint8Array,
  start: number,
  out: Float32Array,
  at: number,
  count: number,
): void {
  if (isLittleEndian) {
    new Uint8Array(out.buffer, out.byteOffset + at * 4, count * 4).set(
      bytes.subarray(start, start + count * 4),
    )
    return
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let i = 0; i < count; i++) out[at + i] = view.getFloat32(start + i * 4, true)
}

/** The values as little-endian float32. */
export function floatBytes(values: Float32Array): Uint8Array {
  if (isLittleEndian) return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const view = new DataView(new ArrayBuffer(values.length * 4))
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i] as number, true)
  return new Uint8Array(view.buffer)
}

export function vecsSink(output: Output, format: Kind): Sink {
  return {
    async write(rows) {
      await output.write(Buffer.concat(rows.map((row) => encode(row, format))))
    },
    finish: async () => {},
  }
}

function encode({ id, vector }: OutRow, format: Kind): Buffer {
  const row = Buffer.alloc(4 + vector.length * VALUE_BYTES[format])
  row.writeInt32LE(vector.length)
  if (format === 'fvecs') {
    row.set(floatBytes(vector), 4)
    return row
  }
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i] as number
    if (!Number.isInteger(value) || value < 0 || value > 255 || Object.is(value, -0)) {
      throw new OmenError(
        'ERR_UNSUPPORTED',
        `bvecs holds integers from 0 to 255, and the vector of id ${id} has ${value}; use fvecs`,
      )
    }
    row[4 + i] = value
  }
  return row
}
