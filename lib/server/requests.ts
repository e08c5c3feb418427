/**
 * Requests: what writes were answered, by request id, so that a repeated write is done once.
 *
 * Why: a connection may break after the commit and before the answer. The client then repeats the
 * write under the same id, and is told what it would have been told. Invariants:
 * 1. A write of a known id does not run; while the first is at work, the second waits for it, as
 *    long as its own caller has time.
 * 2. What failed is forgotten: it stored nothing, and may be tried again. Who waits for an attempt
 *    that its own caller ended (gone, or out of time) does so itself, one at a time; any other
 *    failure is everybody's answer.
 * 3. An entry lives for REMEMBERED_MS after its write. When there are too many, new ids are refused
 *    (ERR_BUSY) rather than old ones forgotten.
 * 4. An id belongs to one key and one request, as `whatOf` tells them apart; used for another it is
 *    ERR_ARGUMENT, so that no answer tells of what was not done.
 * 5. A database on disk keeps the receipts of its writes, each in the commit itself: whoever serves
 *    it next knows what was done, and `instance` names the database. What a server has in memory
 *    goes with the process: there `instance` names the process, and a write that was begun under
 *    another is refused, since nobody knows what became of it.
 */

import { createHash, randomBytes } from 'node:crypto'
import type { NativeDatabase, NativeReceipt } from '../../types/native.js'
import { nowMs } from '../clock.js'
import { OmenError } from '../errors.js'
import { within } from './bounded.js'
import { type Caller, withTime } from './caller.js'
import { omenErrorOf } from './faults.js'

const REMEMBERED_MS = 10 * 60_000
const ENTRIES_MAX = 500_000
const HASH_BYTES = 16

export type Receipt = Omit<NativeReceipt, 'tag'>

interface Entry {
  /** Write.what, hashed. */
  readonly what: string
  /** Its answer, or, of an earlier run of the server, what it came to. */
  readonly answer: Promise<unknown> | Receipt
  /** Whose attempt it is; undefined of an earlier run's. */
  readonly caller: Caller | undefined
  /** undefined while it is at work. */
  until: number | undefined
}

/** A write that is run once. */
export interface Write<T> {
  /** Which write it is: whatOf. Asked for only where an id came. */
  what(): string
  /**
   * @param caller  Whose time is what is left of it.
   * @param tag     For the receipt; undefined where none is kept.
   */
  run(caller: Caller, tag: Uint8Array | undefined): Promise<T>
  /** What `run` answered in an earlier run of the server. */
  told(receipt: Receipt): T | Promise<T>
}

export class Requests {
  readonly #isOnDisk: boolean
  #instance: string | undefined
  // Insertion order is nearly the order of `until`.
  readonly #entries = new Map<string, Entry>()

  constructor(isOnDisk: boolean) {
    this.#isOnDisk = isOnDisk
    if (!isOnDisk) this.#instance = randomBytes(9).toString('base64url')
  }

  /** Of a database on disk: takes what earlier runs did. */
  open(database: NativeDatabase): void {
    const until = nowMs() + REMEMBERED_MS
    for (const { tag, ...receipt } of database.receipts()) {
      const [key, what] = [tag.slice(0, 2 * HASH_BYTES), tag.slice(2 * HASH_BYTES)]
      this.#entries.set(key, { what, answer: receipt, caller: undefined, until })
    }
    this.#instance = database.id()
  }

  /** Names what is remembered; undefined until the database is open. */
  get instance(): string | undefined {
    return this.#instance
  }

  get size(): number {
    return this.#entries.size
  }

  /** Runs a write, or answers as it was answered before. */
  async once<T>(caller: Caller, write: Write<T>): Promise<T> {
    const { requestId, keyName, timeoutMs } = caller
    if (requestId === undefined) return write.run(caller, undefined)
    const key = hashed(`${keyName} ${requestId}`)
    const what = hashed(write.what())
    const start = nowMs()
    let asking = caller
    for (;;) {
      const known = this.#entries.get(key)
      if (known === undefined) return this.#begin(asking, write, key, what)
      if (known.what !== what) {
        const message = `the request id ${requestId} was used for another request`
        throw new OmenError('ERR_ARGUMENT', `${message}; give each write an id of its own`)
      }
      const { answer } = known
      if (!(answer instanceof Promise)) return write.told(answer)
      if (known.until !== undefined || !(await within(asking, () => wasEnded(known)))) {
        return answer as Promise<T>
      }
      asking = withTime(caller, timeoutMs - (nowMs() - start))
    }
  }

  /** Runs a write whose id is not known. */
  #begin<T>(caller: Caller, write: Write<T>, key: string, what: string): Promise<T> {
    const { instance } = caller
    if (instance !== undefined && this.#instance !== undefined && instance !== this.#instance) {
      const message =
        'the server was started anew since this write was first sent: whether it was stored is ' +
        'not known. Look, and repeat it if it was not'
      throw new OmenError('ERR_UNAVAILABLE', message)
    }
    this.#forget()
    if (this.#entries.size >= ENTRIES_MAX) {
      throw new OmenError('ERR_BUSY', 'too many writes are remembered; retry later')
    }
    const tag = this.#isOnDisk ? Buffer.from(key + what, 'hex') : undefined
    const answer = write.run(caller, tag)
    const entry: Entry = { what, answer, caller, until: undefined }
    this.#entries.set(key, entry)
    answer.then(
      () => {
        entry.until = nowMs() + REMEMBERED_MS
      },
      () => {
        // Not what open() put there meanwhile.
        if (this.#entries.get(key) === entry) this.#entries.delete(key)
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

const CALLERS_END: readonly unknown[] = ['ERR_ABORTED', 'ERR_TIMEOUT']

/** Whether a write failed for what its caller did, which says nothing of the next one's. */
async function wasEnded({ answer, caller }: Entry): Promise<boolean> {
  try {
    await answer
    return false
  } catch (error) {
    // A stream that broke shows as all sorts of faults.
    return caller?.signal.aborted === true || CALLERS_END.includes(omenErrorOf(error)?.code)
  }
}

/**
 * Tells one write from another, by its method, its collection, and the bytes of what else its
 * answer depends on. Why not all bytes: to hash the vectors would cost more than to store them.
 */
export function whatOf(method: string, collection: string, parts: Uint8Array): string {
  return `${method} ${collection} ${hashed(parts)}`
}

function hashed(data: string | Uint8Array): string {
  return createHash('sha256')
    .update(data)
    .digest('hex')
    .slice(0, 2 * HASH_BYTES)
}
