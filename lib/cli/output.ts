/**
 * Where answers go: stdout, or a file that appears whole.
 *
 * A file is written under another name beside its place and renamed at the end, so that nobody
 * finds half of it; one that is not finished is removed. Of a symbolic link that is what it points
 * to. What is no regular file (a FIFO, a device) is written to as it is: a rename would put a file
 * in its place. Writes wait for the reader.
 */

import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { constants, type FileHandle, lstat, open, readlink, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OmenError } from '../errors.js'
import { systemError } from './exit.js'

const LINKS_MAX = 40
const READER_MS = 50

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
  try {
    const found = await statOf(file)
    if (found === undefined || found.isFile()) return await toRegular(await linked(file), file)
    if (found.isDirectory()) throw new OmenError('ERR_IO', `${file} is a directory, not a file`)
    if (found.isSocket()) {
      throw new OmenError('ERR_IO', `${file} is a socket; --out - writes to standard output`)
    }
    return toSpecial(
      found.isFIFO() ? await openFifo(file) : await open(file, constants.O_WRONLY),
      file,
    )
  } catch (error) {
    throw systemError(error, file)
  }
}

/** What is there, behind links; undefined: nothing yet. */
async function statOf(file: string) {
  try {
    return await stat(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Where the links end, which may be a file that is not there yet. */
async function linked(file: string): Promise<string> {
  let at = file
  for (let links = 0; links < LINKS_MAX; links++) {
    const found = await lstat(at).catch(() => undefined)
    if (!found?.isSymbolicLink()) break
    at = path.resolve(path.dirname(at), await readlink(at))
  }
  return at
}

/** Waits for a reader without a thread that hangs in open(2), where no signal would reach it. */
async function openFifo(file: string): Promise<FileHandle> {
  for (;;) {
    let first: FileHandle
    try {
      first = await open(file, constants.O_WRONLY | constants.O_NONBLOCK)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error
      await sleep(READER_MS)
      continue
    }
    try {
      return await open(file, constants.O_WRONLY)
    } finally {
      await first.close()
    }
  }
}

function writer(handle: FileHandle, file: string): Output['write'] {
  return async (bytes) => {
    try {
      let rest = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
      while (rest.length > 0) {
        const { bytesWritten } = await handle.write(rest)
        rest = rest.subarray(bytesWritten)
      }
    } catch (error) {
      throw systemError(error, file)
    }
  }
}

function toSpecial(handle: FileHandle, file: string): Output {
  let isOpen = true
  const close = async () => {
    if (isOpen) await handle.close()
    isOpen = false
  }
  return { write: writer(handle, file), finish: close, abandon: close }
}

/** @param file  As it was given: messages name it. */
async function toRegular(target: string, file: string): Promise<Output> {
  const temporary = `${target}.${process.pid}.tmp`
  const handle = await open(temporary, 'wx')
  let isOpen = true
  const removeAtExit = () => rmSync(temporary, { force: true })
  process.once('exit', removeAtExit)
  const settle = () => process.removeListener('exit', removeAtExit)
  const close = async () => {
    if (isOpen) await handle.close()
    isOpen = false
  }
  return {
    write: writer(handle, file),
    finish: async () => {
      try {
        await handle.sync()
        await close()
        await rename(temporary, target)
        settle()
      } catch (error) {
        throw systemError(error, file)
      }
    },
    abandon: async () => {
      await close()
      removeAtExit()
      settle()
    },
  }
}
