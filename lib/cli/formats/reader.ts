/**
 * Bytes in order, from a file or from standard input.
 *
 * A regular file is read by ranges, so that beginning at a late row costs nothing; a pipe is read
 * as it comes. At most what was asked for is held, beside one chunk of the pipe.
 */

import { type FileHandle, open } from 'node:fs/promises'
import { formatError, systemError } from '../exit.js'

export class Reader {
  readonly name: string
  /** Of a regular file. */
  readonly size: number | undefined
  #file: FileHandle | undefined
  #stream: AsyncIterator<Buffer> | undefined
  /** Read of the stream and not yet given out. */
  #pending: Buffer[] = []
  #position = 0

  private constructor(name: string, size: number | undefined) {
    this.name = name
    this.size = size
  }

  /** @param file  `-` is standard input. */
  static async open(file: string): Promise<Reader> {
    if (file === '-') {
      const reader = new Reader('standard input', undefined)
      reader.#stream = process.stdin[Symbol.asyncIterator]()
      return reader
    }
    let handle: FileHandle | undefined
    try {
      handle = await open(file, 'r')
      const stat = await handle.stat()
      if (stat.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' })
      const reader = new Reader(file, stat.isFile() ? stat.size : undefined)
      reader.#file = handle
      if (!stat.isFile()) reader.#stream = handle.createReadStream()[Symbol.asyncIterator]()
      return reader
    } catch (error) {
      await handle?.close()
      throw systemError(error, file)
    }
  }

  /** Bytes given out. */
  get position(): number {
    return this.#position
  }

  part(): number | undefined {
    if (this.size === undefined) return undefined
    return this.size === 0 ? 1 : Math.min(1, this.#position / this.size)
  }

  /** The next `bytes`, fewer only at the end. */
  async read(bytes: number): Promise<Buffer> {
    const out = await this.#take(bytes)
    this.#position += out.length
    return out
  }

  /** What `read(bytes)` would give. */
  async peek(bytes: number): Promise<Buffer> {
    const out = await this.#take(bytes)
    if (this.#stream !== undefined && out.length > 0) this.#pending.unshift(out)
    return out
  }

  /** Bytes [start, end) of a regular file. */
  async range(start: number, end: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(end, this.size ?? 0) - start)
    const buffer = Buffer.alloc(wanted)
    let done = 0
    try {
      while (done < wanted) {
        const file = this.#file as FileHandle
        const { bytesRead } = await file.read(buffer, done, wanted - done, start + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
    } catch (error) {
      throw systemError(error, this.name)
    }
    if (done < wanted) throw formatError(this.name, 'the file became shorter while it was read')
    return buffer
  }

  async #take(bytes: number): Promise<Buffer> {
    if (this.#stream === undefined) {
      return this.range(this.#position, this.#position + bytes)
    }
    let held = this.#pending.reduce((sum, b) => sum + b.length, 0)
    while (held < bytes) {
      const next = await this.#pull()
      if (next === undefined) break
      this.#pending.push(next)
      held += next.length
    }
    const all = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : concat(this.#pending)
    const out = all.subarray(0, bytes)
    this.#pending = all.length > bytes ? [all.subarray(bytes)] : []
    return out
  }

  async #pull(): Promise<Buffer | undefined> {
    try {
      const { done, value } = await (this.#stream as AsyncIterator<Buffer>).next()
      return done ? undefined : value
    } catch (error) {
      throw systemError(error, this.name)
    }
  }

  async close(): Promise<void> {
    // Standard input that is not read to its end must not keep the process alive.
    if (this.#file === undefined) process.stdin.destroy()
    else await this.#file.close().catch(() => {}) // A stream of it may have closed it already.
  }
}

function concat(buffers: Buffer[]): Buffer {
  return buffers.length === 0 ? Buffer.alloc(0) : Buffer.concat(buffers)
}
