/**
 * Digests of what a file holds up to a row, by which an import that goes on knows that the rows
 * which it stored are still what the file says.
 *
 * What lies behind that row is no part of it: a file may grow, and a bad row may be mended. Of
 * formats whose rows lie in groups (parquet, arrow) it is what lies up to the end of the group.
 */

import { createHash, type Hash } from 'node:crypto'
import type { Reader } from './reader.js'

const PIECE_BYTES = 2 ** 20

/** What a file holds up to a row. */
export interface Sealed {
  sha256: string
  /** Of the file, from its start, at most those that it is made of. */
  bytes: number
}

/** Of the file up to the end of row `rows - 1` of a chunk. */
export type Seal = (rows: number) => Sealed | Promise<Sealed>

/** Of a file that is read from its start on. */
export class Prefix {
  readonly #hash = createHash('sha256')
  #bytes = 0

  add(part: Uint8Array | string): void {
    this.#hash.update(part)
    this.#bytes += Buffer.byteLength(part)
  }

  /**
   * Adds rows; row i of them ends at `end(i)` of `part`.
   *
   * @returns Their seal, which keeps `part`.
   */
  addRows(part: Buffer | string, end: (row: number) => number): Seal {
    const [before, bytes] = [this.#hash.copy(), this.#bytes]
    this.add(part)
    return (rows) => {
      const last = part.slice(0, end(rows - 1))
      const sha256 = before.copy().update(last).digest('hex')
      return { sha256, bytes: bytes + Buffer.byteLength(last) }
    }
  }

  /** Of all so far. */
  sealed(): Sealed {
    return { sha256: this.#hash.copy().digest('hex'), bytes: this.#bytes }
  }

  /** Reads rows that nobody wants, since they are before those that are. */
  async pass(reader: Reader, bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const piece = await reader.read(Math.min(left, PIECE_BYTES))
      if (piece.length === 0) return
      this.add(piece)
      left -= piece.length
    }
  }
}

/** Of a file that is read by ranges: it is read once more, from its start to where rows end. */
export class RangePrefix {
  readonly #reader: Reader
  readonly #lead: string
  #hash: Hash
  #at = 0
  #turn: Promise<unknown> = Promise.resolve()

  /** @param lead  What else rows depend on: a schema that lies behind them. */
  constructor(reader: Reader, lead: string) {
    this.#reader = reader
    this.#lead = lead
    this.#hash = createHash('sha256').update(lead)
  }

  /** Of bytes [0, end). */
  upTo(end: number): Promise<Sealed> {
    const sealed = this.#turn.then(() => this.#readTo(end))
    this.#turn = sealed.catch(() => {})
    return sealed
  }

  async #readTo(end: number): Promise<Sealed> {
    if (end < this.#at) {
      this.#at = 0
      this.#hash = createHash('sha256').update(this.#lead)
    }
    while (this.#at < end) {
      const piece = await this.#reader.range(this.#at, Math.min(end, this.#at + PIECE_BYTES))
      if (piece.length === 0) break
      this.#hash.update(piece)
      this.#at += piece.length
    }
    return { sha256: this.#hash.copy().digest('hex'), bytes: this.#at }
  }
}
