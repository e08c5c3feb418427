/**
 * Where answers go: stdout, or a file that appears whole.
 *
 * A file is written under another name beside its place and renamed at the end, so that nobody
 * finds half of it; one that is not finished is removed. Writes wait for the reader.
 */

import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { systemError } from './exit.js'

export interface Output {
  write(bytes: Uint8Array | string): Promise<void>
  /** All of it is where it belongs. */
  finish(): Promise<void>
  /** Leaves nothing behind. Harmless after finish. */
  abandon(): Promise<void>
}

export function toStdout(): Output {
  return { write: print, finish: async () => {}, abandon: async () => {} }
}

/** Writes to stdout and waits while the reader is behind. */
export async function print(bytes: Uint8Array | string): Promise<void> {
  if (!process.stdout.write(bytes)) await once(process.stdout, 'drain')
}

export async function toFile(file: string): Promise<Output> {
  const temporary = `${file}.${process.pid}.tmp`
  let handle: FileHandle | undefined
  try {
    handle = await open(temporary, 'wx')
  } catch (error) {
    throw systemError(error, file)
  }
  const removeAtExit = () => rmSync(temporary, { force: true })
  process.once('exit', removeAtExit)
  const settle = () => process.removeListener('exit', removeAtExit)
  const guarded = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      throw systemError(error, file)
    }
  }
  return {
    write: (bytes) =>
      guarded(async () => {
        let rest = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
        while (rest.length > 0) {
          const { bytesWritten } = await (handle as FileHandle).write(rest)
          rest = rest.subarray(bytesWritten)
        }
      }),
    finish: () =>
      guarded(async () => {
        await handle?.sync()
        await handle?.close()
        handle = undefined
        await rename(temporary, file)
        settle()
      }),
    abandon: async () => {
      await handle?.close()
      handle = undefined
      removeAtExit()
      settle()
    },
  }
}
