/**
 * LZ4 frames, unpacked: how Arrow files are compressed by default. The libraries at hand unpack
 * blocks that stand alone, while the blocks of a frame refer to those before them.
 *
 * Whatever the bytes are, nothing is read or written out of bounds, and no more is allocated than
 * the caller says. Checksums are passed over: Arrow writes none.
 *
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */

const MAGIC = 0x184d2204
const UNCOMPRESSED = 0x80000000
const MATCH_MIN = 4

/** Unpacks a frame, or several, to exactly `bytes` bytes. Throws Errors that say what is wrong. */
export function decompressLz4Frame(input: Uint8Array, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes)
  const length = unpackFrames(input, (block, at) => unpackBlock(block, out, at), out)
  if (length !== bytes) throw new Error(`it unpacks to ${length} bytes and not ${bytes}`)
  return out
}

/** How many bytes a frame, or several, unpack to, if its blocks are not damaged. */
export function unpackedLz4Bytes(input: Uint8Array): number {
  return unpackFrames(input, (block, at) => at + blockBytes(block))
}

/** Goes through all blocks. @param unpack  Answers how many bytes there are behind a block. */
function unpackFrames(
  input: Uint8Array,
  unpack: (block: Uint8Array, at: number) => number,
  out?: Uint8Array,
): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  let length = 0
  for (let at = 0; at < input.length; ) {
    const frame = readHeader(view, at)
    at = frame.blocks
    for (;;) {
      need(view, at, 4)
      const size = view.getUint32(at, true)
      at += 4
      if (size === 0) break
      const end = at + (size & ~UNCOMPRESSED)
      need(view, at, end - at)
      const block = input.subarray(at, end)
      if ((size & UNCOMPRESSED) === 0) length = unpack(block, length)
      else {
        if (out !== undefined && block.length > out.length - length) throw tooLong()
        out?.set(block, length)
        length += block.length
      }
      at = end + (frame.hasBlockChecksums ? 4 : 0)
    }
    if (frame.hasChecksum) at += 4
  }
  return length
}

function readHeader(view: DataView, start: number) {
  need(view, start, 7)
  if (view.getUint32(start, true) !== MAGIC) throw new Error('it is no LZ4 frame')
  const flags = view.getUint8(start + 4)
  if (flags >> 6 !== 1) throw new Error('its LZ4 frame has an unknown version')
  if ((flags & 1) !== 0) throw new Error('its LZ4 frame needs a dictionary')
  const hasSize = (flags & 8) !== 0
  return {
    blocks: start + 7 + (hasSize ? 8 : 0),
    hasBlockChecksums: (flags & 16) !== 0,
    hasChecksum: (flags & 4) !== 0,
  }
}

/** Unpacks a block behind `length` bytes that are there; returns how many there are then. */
function unpackBlock(block: Uint8Array, out: Uint8Array, length: number): number {
  let at = 0
  let to = length
  while (at < block.length) {
    const token = block[at++] as number
    let literals = token >> 4
    if (literals === 15) [literals, at] = readLength(block, at, literals)
    if (literals > block.length - at) throw cut()
    if (literals > out.length - to) throw tooLong()
    out.set(block.subarray(at, at + literals), to)
    at += literals
    to += literals
    if (at === block.length) return to // The last sequence has no match.
    if (at + 2 > block.length) throw cut()
    const distance = (block[at] as number) | ((block[at + 1] as number) << 8)
    at += 2
    let match = token & 15
    if (match === 15) [match, at] = readLength(block, at, match)
    match += MATCH_MIN
    if (distance === 0 || distance > to) throw new Error('an LZ4 block refers to what is not there')
    if (match > out.length - to) throw tooLong()
    if (distance >= match) out.copyWithin(to, to - distance, to - distance + match)
    else for (let i = 0; i < match; i++) out[to + i] = out[to + i - distance] as number
    to += match
  }
  throw cut()
}

/** The sum of a block's literals and matches. */
function blockBytes(block: Uint8Array): number {
  let bytes = 0
  for (let at = 0; at < block.length; ) {
    const token = block[at++] as number
    let literals = token >> 4
    if (literals === 15) [literals, at] = readLength(block, at, literals)
    at += literals
    bytes += literals
    if (at === block.length) return bytes
    at += 2
    let match = token & 15
    if (match === 15) [match, at] = readLength(block, at, match)
    bytes += match + MATCH_MIN
  }
  throw cut()
}

function readLength(block: Uint8Array, start: number, first: number): [length: number, at: number] {
  let length = first
  for (let at = start; at < block.length; at++) {
    const byte = block[at] as number
    length += byte
    if (byte !== 255) return [length, at + 1]
  }
  throw cut()
}

function need(view: DataView, at: number, bytes: number): void {
  if (at + bytes > view.byteLength) throw cut()
}

const cut = (): Error => new Error('it ends within an LZ4 block')
const tooLong = (): Error => new Error('it unpacks to more than it says')
