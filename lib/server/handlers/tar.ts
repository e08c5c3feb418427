/**
 * Tar archives (POSIX ustar), written as they are read: one flat directory of regular files.
 *
 * A header is 512 bytes of text fields; a file's bytes follow, filled up to 512; two empty blocks
 * end the archive. Sizes past 8 GiB, which eleven octal digits cannot say, are in base 256.
 * @see POSIX.1-2017, pax, "ustar Interchange Format"
 */

import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

const BLOCK = 512
const PIECE_BYTES = 256 * 1024
const OCTAL_SIZE_MAX = 8 ** 11 - 1

function header(name: string, size: number, mtimeMs: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long a name for an archive`)
  block.write(name, 0)
  block.write('0000600\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  if (size <= OCTAL_SIZE_MAX) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  else {
    block[124] = 0x80
    block.writeBigUInt64BE(BigInt(size), 128)
  }
  block.write(
    `${Math.floor(mtimeMs / 1000)
      .toString(8)
      .padStart(11, '0')}\0`,
    136,
  )
  block.write('        ', 148)
  block.write('0', 156)
  block.write('ustar\x0000', 257, 'latin1')
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** The files of a directory as the pieces of an archive. */
export async function* tarOf(directory: string): AsyncGenerator<Uint8Array, undefined> {
  for (const name of (await readdir(directory)).sort()) {
    const file = path.join(directory, name)
    const { size, mtimeMs } = await stat(file)
    yield header(name, size, mtimeMs)
    let read = 0
    for await (const piece of createReadStream(file, { highWaterMark: PIECE_BYTES })) {
      read += (piece as Buffer).length
      yield piece as Buffer
    }
    if (read !== size) throw new Error(`${name} changed while it was archived`)
    const rest = size % BLOCK
    if (rest > 0) yield Buffer.alloc(BLOCK - rest)
  }
  yield Buffer.alloc(2 * BLOCK)
}
