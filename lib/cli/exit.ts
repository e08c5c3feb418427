/** What the process answers, and the faults that end a command. */

import { OmenError } from '../errors.js'

/**
 * `failed`: the command could not do its work; for `check`, damage was found. `unusable`: the call
 * is wrong; for `check`, also a path that is no database. `interrupted`: 128 + SIGINT.
 * `pipeClosed`: 128 + SIGPIPE, as programs end whose reader went away.
 */
export const EXIT = { ok: 0, failed: 1, unusable: 2, interrupted: 130, pipeClosed: 141 } as const

/** A call that cannot be understood. */
export class UsageError extends Error {}

/** What is wrong with a file that is not a database's. */
export function formatError(file: string, message: string, row?: number): OmenError {
  const where = row === undefined ? file : `${file}: row ${row}`
  return new OmenError('ERR_FORMAT', `${where}: ${message}`, {
    details: row === undefined ? {} : { row },
  })
}

/** A fault of the system (ENOENT, ENOSPC ...) as an OmenError that names the file. */
export function systemError(error: unknown, file: string): OmenError {
  if (error instanceof OmenError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const options = { cause: error }
  switch (code) {
    case 'ENOENT':
      return new OmenError('ERR_NOT_FOUND', `${file}: there is no such file or directory`, options)
    case 'ENOSPC':
    case 'EDQUOT':
      return new OmenError('ERR_NO_SPACE', `${file}: the disk is full`, options)
    case 'EISDIR':
      return new OmenError('ERR_IO', `${file} is a directory, not a file`, options)
    case 'EACCES':
    case 'EPERM':
      return new OmenError('ERR_IO', `${file}: permission denied`, options)
    default:
      return new OmenError('ERR_IO', `${file}: ${message}`, options)
  }
}

export function isSystemError(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return error instanceof Error && typeof code === 'string' && typeof syscall === 'string'
}
