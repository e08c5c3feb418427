/**
 * Session: what a DB and all its collections share, and the one place that knows whether it is
 * closed.
 */

import type { NativeAddon, NativeDatabase } from '../../types/native.js'
import { OmenError } from '../errors.js'
import { WriteQueue } from './staging.js'

export class Session {
  readonly addon: NativeAddon
  readonly database: NativeDatabase
  /** Set by close: everything that comes later is refused, what is queued still runs. */
  isClosed = false
  readonly #queues = new Map<string, WriteQueue>()

  constructor(addon: NativeAddon, database: NativeDatabase) {
    this.addon = addon
    this.database = database
  }

  /** Throws ERR_CLOSED after close. */
  check(): void {
    if (this.isClosed) throw new OmenError('ERR_CLOSED', 'the database is closed; open it again')
  }

  /** The queue of one collection's writes. */
  queue(name: string): WriteQueue {
    let queue = this.#queues.get(name)
    if (queue === undefined) {
      // An idle queue orders nothing any more: names that came and went are not kept.
      for (const [old, { isIdle }] of this.#queues) if (isIdle) this.#queues.delete(old)
      queue = new WriteQueue()
      this.#queues.set(name, queue)
    }
    return queue
  }

  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all([...this.#queues.values()].map((queue) => queue.drained()))
    await this.database.close()
  }

  closeSync(): void {
    this.isClosed = true
    for (const queue of this.#queues.values()) queue.drainSync()
    this.database.closeSync()
  }
}
