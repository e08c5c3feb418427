/** Opening the database that a command is about, with a bar where that takes long. */

import { DB } from '../db.js'
import type { Call } from './arguments.js'
import { Progress } from './progress.js'

/** @param call  With `--json` or `--quiet` nothing is written. */
export async function openDatabase(
  path: string,
  call: Call,
  options: { readOnly: boolean },
): Promise<DB> {
  const progress = new Progress(path, 'records linked', call.json || call.flag('quiet'))
  const db = await DB.open(path, {
    ...options,
    onProgress: ({ done, total }) => progress.update(done, done / total),
  })
  progress.clear()
  return db
}
