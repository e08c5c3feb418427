/**
 * Numbers as bytes: little-endian, one after the other, as they travel.
 *
 * On little-endian machines, which nearly all are, an array's bytes are sent as they lie, and bytes
 * that came are looked at in place where their alignment allows it.
 */

import { OmenError } from '../errors.js'

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** The same bytes, each group of `size` turned round: a copy. */
function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(bytes)
  for (let at = 0; at < out.length; at += size) out.subarray(at, at + size).reverse()
  return out
}

/** Bytes of an array, to be sent before it changes. */
export function bytesOf(array: Float32Array | Uint32Array | BigUint64Array): Uint8Array {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  return isLittleEndian ? bytes : swapped(bytes, array.BYTES_PER_ELEMENT)
}

/** Whole, aligned to `size`, in this machine's order: the bytes themselves, or a copy. */
function aligned(bytes: Uint8Array, size: number, what: string): Uint8Array {
  if (bytes.length % size !== 0) {
    throw new OmenError('ERR_ARGUMENT', `${what} has ${bytes.length} bytes, no multiple of ${size}`)
  }
  if (!isLittleEndian) return swapped(bytes, size)
  // Not slice(): that of Node's Buffer is no copy.
  return bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes)
}

/** @param what  For messages. Throws ERR_ARGUMENT where a number is cut off. */
export function floatsOf(bytes: Uint8Array, what: string): Float32Array {
  const { buffer, byteOffset, length } = aligned(bytes, 4, what)
  return new Float32Array(buffer as ArrayBuffer, byteOffset, length / 4)
}

export function wordsOf(bytes: Uint8Array, what: string): Uint32Array {
  const { buffer, byteOffset, length } = aligned(bytes, 4, what)
  return new Uint32Array(buffer as ArrayBuffer, byteOffset, length / 4)
}

export function integersOf(bytes: Uint8Array, what: string): BigUint64Array {
  const { buffer, byteOffset, length } = aligned(bytes, 8, what)
  return new BigUint64Array(buffer as ArrayBuffer, byteOffset, length / 8)
}

/** A copy that nothing else holds. */
export function ownFloats(bytes: Uint8Array, what: string): Float32Array {
  const floats = floatsOf(bytes, what)
  return floats.buffer.byteLength === bytes.length ? floats : floats.slice()
}

const WORD = 2 ** 32

/** uint64 bytes of numbers that hold integers. NaN becomes all ones. */
export function bytesOfIntegers(numbers: ArrayLike<number>): Uint8Array {
  const words = new Uint32Array(numbers.length * 2)
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i] as number
    if (Number.isNaN(value)) {
      words[2 * i] = WORD - 1
      words[2 * i + 1] = WORD - 1
    } else {
      words[2 * i] = value % WORD
      words[2 * i + 1] = Math.floor(value / WORD)
    }
  }
  return bytesOf(words)
}

/** The reverse of `bytesOfIntegers`. */
export function numbersOfIntegers(bytes: Uint8Array, what: string): Float64Array {
  if (bytes.length % 8 !== 0) {
    throw new OmenError('ERR_ARGUMENT', `${what} has ${bytes.length} bytes, no multiple of 8`)
  }
  const words = wordsOf(bytes, what)
  const out = new Float64Array(words.length / 2)
  for (let i = 0; i < out.length; i++) {
    const low = words[2 * i] as number
    const high = words[2 * i + 1] as number
    out[i] = low === WORD - 1 && high === WORD - 1 ? Number.NaN : high * WORD + low
  }
  return out
}
