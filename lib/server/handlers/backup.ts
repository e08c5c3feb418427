/** Backups over the network: a copy made beside, sent as a tar archive, and removed. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { OmenError } from '../../errors.js'
import {
  type BackupRequest,
  type BackupResponse,
  BackupResponseSchema,
  create,
} from '../../wire/protocol.js'
import type { Caller } from '../caller.js'
import type { Context } from './context.js'
import { tarOf } from './tar.js'

export async function* backup(
  { engine }: Context,
  caller: Caller,
  _request: BackupRequest,
): AsyncGenerator<BackupResponse, undefined> {
  const { database, settings } = engine
  if (!engine.isOnDisk) {
    throw new OmenError('ERR_UNSUPPORTED', 'the database is in memory: there is nothing to copy')
  }
  const directory = await temporary(settings.backupDirectory ?? tmpdir())
  try {
    const copy = path.join(directory, 'copy')
    await database.backup(copy)
    for await (const data of tarOf(copy)) {
      if (caller.signal.aborted) throw new OmenError('ERR_ABORTED', 'the caller has gone')
      yield create(BackupResponseSchema, { data })
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Throws ERR_IO. Names no path: callers need not know where the server has what. */
async function temporary(within: string): Promise<string> {
  try {
    return await mkdtemp(path.join(within, 'omendb-backup-'))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const message = `the server cannot gather a backup in its --backup-directory: ${code}`
    throw new OmenError('ERR_IO', message, { cause })
  }
}
