/**
 * Depth: how deep the JSON of a request is nested, told before it is parsed. Why before: an array
 * within an array costs a hundred times its two bytes, and time that nobody else gets.
 *
 * Counted are bodies of REST and of Connect's JSON, and the messages of streams in JSON, whose
 * frames are five bytes (flags, length) each. Texts of JSON within a message (metadata, filters,
 * schemas) are the engine's to bound: csrc/meta.
 */

import { Code, ConnectError } from '@connectrpc/connect'
import { OmenError } from '../errors.js'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const FRAME_BYTES = 5

function tooDeep(max: number): string {
  return `the JSON is nested deeper than ${max} levels`
}

/** The depth of one text, which may come in pieces. */
class Depth {
  readonly #max: number
  #depth = 0
  #isText = false
  #isEscaped = false

  constructor(max: number) {
    this.#max = max
  }

  /** Whether it is still within the bound. */
  take(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
    for (let i = from; i < to; i++) {
      const byte = bytes[i]
      if (this.#isText) {
        if (this.#isEscaped) this.#isEscaped = false
        else if (byte === BACKSLASH) this.#isEscaped = true
        else if (byte === QUOTE) this.#isText = false
      } else if (byte === QUOTE) this.#isText = true
      else if (byte === 0x7b || byte === 0x5b) {
        if (++this.#depth > this.#max) return false
      } else if (byte === 0x7d || byte === 0x5d) this.#depth--
    }
    return true
  }
}

/** Throws ERR_LIMIT. */
export function checkDepth(body: Uint8Array, max: number): void {
  if (!new Depth(max).take(body)) throw new OmenError('ERR_LIMIT', tooDeep(max))
}

/** The same bytes. Throws as @connectrpc/connect does, which tells it. */
export async function* depthBounded(
  body: AsyncIterable<Uint8Array>,
  max: number,
  isFramed: boolean,
): AsyncGenerator<Uint8Array> {
  const check = isFramed ? new Framed(max) : new Depth(max)
  for await (const piece of body) {
    if (!check.take(piece)) throw new ConnectError(tooDeep(max), Code.ResourceExhausted)
    yield piece
  }
}

/** The depth of each message of a stream. */
class Framed {
  readonly #max: number
  #head = 0
  #length = 0
  #depth: Depth

  constructor(max: number) {
    this.#max = max
    this.#depth = new Depth(max)
  }

  take(bytes: Uint8Array): boolean {
    for (let i = 0; i < bytes.length; ) {
      if (this.#head < FRAME_BYTES) {
        // The flags are shifted out.
        this.#length = ((this.#length << 8) | (bytes[i++] as number)) >>> 0
        if (++this.#head === FRAME_BYTES) this.#depth = new Depth(this.#max)
      }
      if (this.#head < FRAME_BYTES) continue
      const to = Math.min(bytes.length, i + this.#length)
      if (!this.#depth.take(bytes, i, to)) return false
      this.#length -= to - i
      i = to
      if (this.#length === 0) this.#head = 0
    }
    return true
  }
}
