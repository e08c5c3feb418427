/**
 * Opening: what the log has of the opening of a database.
 *
 * A line when records are linked into graphs, which takes long, since the stored graph of a
 * collection was missing or damaged, or the log holds more than it; one every two seconds
 * meanwhile; and at the end how long it took and what was brought back. A graph that was built
 * anew is a warning: a crash leaves none behind that is damaged.
 */

import type { NativeDatabase } from '../../types/native.js'
import type { Progress } from '../../types/values.js'
import { nowMs } from '../clock.js'
import type { Log } from './log.js'

const EVERY_MS = 2_000

export class Opening {
  readonly #log: Log
  readonly #data: string
  readonly #startMs = nowMs()
  #told = Number.NEGATIVE_INFINITY

  constructor(log: Log, data: string) {
    this.#log = log
    this.#data = data
  }

  get #ms(): number {
    return Math.round(nowMs() - this.#startMs)
  }

  /** How far it is. */
  readonly tell = ({ done, total }: Progress): void => {
    const now = nowMs()
    if (now - this.#told < EVERY_MS) return
    this.#told = now
    const line = { done, total, ms: this.#ms }
    this.#log.info(line, 'opening the database: linking records into the graph')
  }

  /** It is open. */
  async tellEnd(database: NativeDatabase): Promise<void> {
    const ms = this.#ms
    const { recovery } = await database.stats()
    const { rebuiltCollections: rebuilt = [], ...counts } = recovery ?? {}
    if (rebuilt.length > 0) {
      const line = { graphs: rebuilt.length, collections: rebuilt, ms }
      this.#log.warn(line, 'graphs were built anew: the stored ones were missing or damaged')
    }
    this.#log.info({ data: this.#data, ms, ...counts }, 'the database is open')
  }
}
