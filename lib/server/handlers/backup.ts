/**
 * Backups over the network: a copy made beside, sent as a tar archive, and removed.
 *
 * A copy takes as long as it is large, and nothing of it comes before it is whole. So callers who
 * wait for each message, and not for the whole, are told that the server is at work.
 */

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
import { within } from '../bounded.js'
import type { Caller } from '../caller.js'
import type { Context } from './context.js'
import { tarOf } from './tar.js'

const SIGN_MS = 1000

type Pieces = AsyncGenerator<Uint8Array, undefined>

/** The archive in messages; empty ones while the copy is made. */
export async function* backup(
  context: Context,
  caller: Caller,
  _request: BackupRequest,
): AsyncGenerator<BackupResponse, undefined> {
  const pieces = archive(context, caller)
  const first = pieces.next()
  try {
    while (!(await isSettled(first, SIGN_MS))) yield create(BackupResponseSchema)
    for (let next = await first; !next.done; next = await pieces.next()) {
      yield create(BackupResponseSchema, { data: next.value })
    }
  } finally {
    first.catch(() => {}) // Who has gone does not ask for it.
    await pieces.return(undefined)
  }
}

async function isSettled(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const waited = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  const settled = work.then(
    () => true as const,
    () => true as const,
  )
  try {
    return await Promise.race([settled, waited])
  } finally {
    clearTimeout(timer)
  }
}

/** Throws ERR_UNSUPPORTED, ERR_IO; ERR_TIMEOUT where a piece of the copy is read for too long. */
export async function* archive({ engine, limits }: Context, { signal }: Caller): Pieces {
  const { database, settings } = engine
  if (!engine.isOnDisk) {
    throw new OmenError('ERR_UNSUPPORTED', 'the database is in memory: there is nothing to copy')
  }
  const directory = await temporary(settings.backupDirectory ?? tmpdir())
  let gathered: Promise<unknown> = Promise.resolve()
  const end = engine.onEnd(async () => {
    await gathered.catch(() => {})
    await rm(directory, { recursive: true, force: true })
  })
  // Who has gone may never come for the next piece, so that what follows here does not run.
  const gone = (): void => void end().catch(() => {})
  signal.addEventListener('abort', gone)
  try {
    const copy = path.join(directory, 'copy')
    gathered = database.backup(copy)
    await gathered
    const pieces = tarOf(copy)
    const { timeoutMs } = limits
    const next = () => within({ signal, timeoutMs }, () => pieces.next())
    for (let step = await next(); !step.done; step = await next()) yield step.value
  } finally {
    signal.removeEventListener('abort', gone)
    await end()
  }
}

/** Throws ERR_IO. Names no path: callers need not know where the server has what. */
async function temporary(place: string): Promise<string> {
  try {
    return await mkdtemp(path.join(place, 'omendb-backup-'))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const message = `the server cannot gather a backup in its --backup-directory: ${code}`
    throw new OmenError('ERR_IO', message, { cause })
  }
}
