/**
 * How apache-arrow unpacks the buffers of compressed batches: LZ4 and Zstandard.
 *
 * The library gives a codec the bytes alone. How many they unpack to stands in the eight bytes
 * before them, in the same memory: it bounds what is allocated, and must be what comes out. Where
 * the library wrote the file itself (21 at least) the packed length stands there, and what the
 * frame tells is taken.
 */

import type * as Arrow from 'apache-arrow'
import { decompressLz4Frame, unpackedLz4Bytes } from './lz4-frame.js'
import { loadParquet } from './parquet-library.js'

const BUFFER_BYTES_MAX = 512 * 2 ** 20
const PREFIX_BYTES = 8

interface Method {
  unpack(input: Uint8Array, bytes: number): Uint8Array
  /** By the frame itself. */
  unpackedBytes(input: Uint8Array): number
}

/** Makes the library read compressed batches. */
export async function registerCodecs(arrow: typeof Arrow): Promise<void> {
  const { compressionRegistry, CompressionType } = arrow
  if (compressionRegistry.get(CompressionType.ZSTD) !== null) return
  const { decompressZstd } = await loadParquet()
  const lz4: Method = { unpack: decompressLz4Frame, unpackedBytes: unpackedLz4Bytes }
  const zstd: Method = {
    unpack: (input, bytes) => decompressZstd(input, new Uint8Array(bytes)),
    unpackedBytes: unpackedZstdBytes,
  }
  compressionRegistry.set(CompressionType.LZ4_FRAME, codecOf(lz4))
  compressionRegistry.set(CompressionType.ZSTD, codecOf(zstd))
}

function codecOf(method: Method): Arrow.Codec {
  return {
    decode(input) {
      const told = prefixOf(input)
      const bytes = told === input.length ? method.unpackedBytes(input) : told
      if (bytes < 0 || bytes > BUFFER_BYTES_MAX) throw new Error(`a buffer claims ${bytes} bytes`)
      const out = bytes === 0 ? new Uint8Array(0) : method.unpack(input, bytes)
      if (out.length !== bytes) {
        throw new Error(`a buffer unpacks to ${out.length} bytes and not ${bytes}`)
      }
      return out
    },
  }
}

function prefixOf({ buffer, byteOffset }: Uint8Array): number {
  if (byteOffset < PREFIX_BYTES) throw new Error('a buffer does not say how long it is')
  return Number(new DataView(buffer, byteOffset - PREFIX_BYTES, PREFIX_BYTES).getBigInt64(0, true))
}

/** @see https://github.com/facebook/zstd/blob/dev/doc/zstd_compression_format.md#frame_header */
function unpackedZstdBytes(input: Uint8Array): number {
  const [flags = 0] = input.subarray(4)
  const isSingle = (flags & 0x20) !== 0
  const size = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6] as number
  const at = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][flags & 3] as number)
  if (size === 0 || at + size > input.length) {
    throw new Error('a buffer does not say how long it is')
  }
  const bytes = Buffer.from(input.buffer, input.byteOffset + at, size)
  if (size === 8) return Number(bytes.readBigUInt64LE())
  return bytes.readUIntLE(0, size) + (size === 2 ? 256 : 0)
}
