/**
 * Requests: what writes were answered, by request id, so that a repeated write is done once.
 *
 * Why: a connection may break after the commit and before the answer. The client then repeats the
 * write under the same id, and is told what it would have been told. Invariants:
 * 1. A write of a known id does not run; while the first is at work, the second waits for it.
 * 2. What failed is forgotten: it stored nothing, and may be tried again.
 * 3. An entry lives for REMEMBERED_MS after its write. When there are too many, new ids are refused
 *    (ERR_BUSY) rather than old ones forgotten.
 * 4. An id belongs to one key, method and collection; used for another it is ERR_ARGUMENT.
 * 5. The table does not outlive the process. `instance` names the process; a repeated write that
 *    was begun under another is refused, since nobody knows what became of it.
 */

import { randomBytes } from 'node:crypto'
import { nowMs } from '../clock.js'
import { OmenError } from '../errors.js'
import type { Caller } from './caller.js'

const REMEMBERED_MS = 10 * 60_000
const ENTRIES_MAX = 500_000

interface Entry {
  readonly what: string
  readonly answer: Promise<unknown>
  /** undefined while it is at work. */
  until: number | undefined
}

export class Requests {
  /** Names this run of the server. */
  readonly instance = randomBytes(9).toString('base64url')
  // Insertion order is nearly the order of `until`.
  readonly #entries = new Map<string, Entry>()

  get size(): number {
    return this.#entries.size
  }

  /** Runs a write, or answers as it was answered before. @param what  Method and collection. */
  once<T>(caller: Caller, what: string, run: () => Promise<T>): Promise<T> {
    const { requestId, instance, keyName } = caller
    if (requestId === undefined) return run()
    const key = `${keyName} ${requestId}`
    const known = this.#entries.get(key)
    if (known !== undefined) {
      if (known.what === what) return known.answer as Promise<T>
      const message = `the request id ${requestId} was used for another request`
      throw new OmenError('ERR_ARGUMENT', message)
    }
    if (instance !== undefined && instance !== this.instance) {
      const message =
        'the server was started anew since this write was first sent: whether it was stored is ' +
        'not known. Look, and repeat it if it was not'
      throw new OmenError('ERR_UNAVAILABLE', message)
    }
    this.#forget()
    if (this.#entries.size >= ENTRIES_MAX) {
      throw new OmenError('ERR_BUSY', 'too many writes are remembered; retry later')
    }
    return this.#run(key, what, run)
  }

  #run<T>(key: string, what: string, run: () => Promise<T>): Promise<T> {
    const answer = run()
    const entry: Entry = { what, answer, until: undefined }
    this.#entries.set(key, entry)
    answer.then(
      () => {
        entry.until = nowMs() + REMEMBERED_MS
      },
      () => {
        this.#entries.delete(key)
      },
    )
    return answer
  }

  #forget(): void {
    const now = nowMs()
    for (const [key, { until }] of this.#entries) {
      if (until === undefined || until > now) return
      this.#entries.delete(key)
    }
  }
}
