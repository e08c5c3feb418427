/**
 * npy, NumPy's array format, versions 1 to 3: a matrix of rows by dimensions.
 *
 * Read: float32, float64 (rounded to float32), float16, int8 and uint8, little-endian, C order, two
 * axes. Refused: other types, big-endian, Fortran order, other numbers of axes. Written: version 1,
 * float32.
 *
 * @see https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

import type { OmenError } from '../../errors.js'
import { formatError } from '../exit.js'
import type { Output } from '../output.js'
import { CHUNK_BYTES, DIMENSIONS_MAX, type Sink, type SinkPlan, type Source } from './format.js'
import { Prefix } from './prefix.js'
import type { Reader } from './reader.js'
import { copyFloats, floatBytes } from './vecs.js'

const MAGIC = '\u0093NUMPY'
const HEADER_BYTES_MAX = 65_536
const VALUE_BYTES: Record<string, number> = { f4: 4, f8: 8, f2: 2, i1: 1, u1: 1 }

export async function openNpy(reader: Reader): Promise<Source> {
  const { descr, rows, dimensions } = await readHeader(reader)
  const rowBytes = dimensions * (VALUE_BYTES[descr] as number)
  if (reader.size !== undefined && reader.size - reader.position !== rows * rowBytes) {
    const found = reader.size - reader.position
    throw formatError(
      reader.name,
      `${rows} rows of ${dimensions} dimensions take ${rows * rowBytes} bytes, and the file has ` +
        `${found}: it is cut, or damaged`,
    )
  }
  return {
    name: reader.name,
    format: 'npy',
    rows,
    columns: undefined,
    part: () => reader.part(),
    select: () => {},
    close: () => reader.close(),
    async *chunks(from) {
      // The header tells the number of rows, which may grow: it is no part of them.
      const prefix = new Prefix()
      await prefix.pass(reader, Math.min(from, rows) * rowBytes)
      const rowsWanted = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes))
      for (let row = from; row < rows; ) {
        const count = Math.min(rowsWanted, rows - row)
        const bytes = await reader.read(count * rowBytes)
        if (bytes.length < count * rowBytes) {
          const whole = row + Math.floor(bytes.length / rowBytes)
          throw formatError(reader.name, `it ends at row ${whole} of ${rows}`)
        }
        const vectors = new Float32Array(count * dimensions)
        decode(bytes, descr, vectors)
        const seal = prefix.addRows(bytes, (i) => (i + 1) * rowBytes)
        yield { kind: 'vectors', row, count, dimensions, vectors, seal }
        row += count
      }
      if ((await reader.read(1)).length > 0) {
        throw formatError(reader.name, `there are bytes behind the ${rows} rows`)
      }
    },
  }
}

interface Header {
  descr: string
  rows: number
  dimensions: number
}

async function readHeader(reader: Reader): Promise<Header> {
  const prefix = await reader.read(10)
  if (prefix.length < 10 || prefix.toString('latin1', 0, 6) !== MAGIC) {
    throw formatError(reader.name, 'no npy file: its first bytes are not those of NumPy')
  }
  const version = prefix[6] as number
  if (version < 1 || version > 3) {
    throw formatError(reader.name, `npy version ${version} is not known; 1 to 3 are`)
  }
  let length = prefix.readUInt16LE(8)
  if (version > 1) {
    const rest = await reader.read(2)
    if (rest.length < 2) throw formatError(reader.name, 'the header of the npy file is cut')
    length += rest.readUInt16LE() * 65_536
  }
  if (length > HEADER_BYTES_MAX) {
    throw formatError(reader.name, `the header claims ${length} bytes`)
  }
  const bytes = await reader.read(length)
  if (bytes.length < length) throw formatError(reader.name, 'the header of the npy file is cut')
  return parseHeader(reader.name, bytes.toString(version === 3 ? 'utf8' : 'latin1'))
}

/** The header is the text of a Python dict. */
function parseHeader(name: string, text: string): Header {
  const fault = (message: string): OmenError => formatError(name, message)
  const descr = /['"]descr['"]\s*:\s*['"]([^'"]*)['"]/.exec(text)?.[1]
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)?.[1]
  const shape = /['"]shape['"]\s*:\s*\(([\d\s,L]*)\)/.exec(text)?.[1]
  if (order === undefined || shape === undefined) throw fault('the header of the npy file is odd')
  if (descr === undefined) throw fault('a structured npy array; save the vectors as a matrix')
  if (order === 'True') {
    throw fault('Fortran order; save numpy.ascontiguousarray(vectors)')
  }
  const type = /^[<|=]?(f4|f8|f2|i1|u1)$/.exec(descr)?.[1]
  if (type === undefined) {
    throw fault(`values of type '${descr}'; save vectors.astype('<f4')`)
  }
  const axes = shape
    .split(',')
    .map((s) => s.trim().replace(/L$/, ''))
    .filter((s) => s !== '')
    .map(Number)
  const [rows, dimensions] = axes
  if (axes.length !== 2 || rows === undefined || dimensions === undefined) {
    throw fault(`an array of shape (${axes.join(', ')}); vectors are a matrix, a row each`)
  }
  if (!Number.isSafeInteger(rows)) throw fault(`the header claims ${rows} rows`)
  if (dimensions < 1 || dimensions > DIMENSIONS_MAX) {
    throw fault(`${dimensions} dimensions; there may be 1 to ${DIMENSIONS_MAX}`)
  }
  return { descr: type, rows, dimensions }
}

function decode(bytes: Buffer, descr: string, out: Float32Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  switch (descr) {
    case 'f4':
      copyFloats(bytes, 0, out, 0, out.length)
      break
    case 'f8':
      for (let i = 0; i < out.length; i++) out[i] = view.getFloat64(i * 8, true)
      break
    case 'f2':
      for (let i = 0; i < out.length; i++) out[i] = half(view.getUint16(i * 2, true))
      break
    case 'i1':
      for (let i = 0; i < out.length; i++) out[i] = view.getInt8(i)
      break
    default:
      out.set(bytes)
  }
}

/** The value of a float16. */
export function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

export function npySink(output: Output, plan: SinkPlan): Sink {
  let isBegun = false
  const begin = async () => {
    if (isBegun) return
    isBegun = true
    const shape = `(${plan.rows}, ${plan.dimensions})`
    const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`
    const length = Math.ceil((10 + dict.length + 1) / 64) * 64 - 10
    const prefix = Buffer.from(`${MAGIC}\u0001\u0000\u0000\u0000`, 'latin1')
    prefix.writeUInt16LE(length, 8)
    await output.write(prefix)
    await output.write(`${dict.padEnd(length - 1)}\n`)
  }
  return {
    async write(rows) {
      await begin()
      await output.write(Buffer.concat(rows.map((row) => floatBytes(row.vector))))
    },
    finish: begin,
  }
}
