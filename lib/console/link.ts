/**
 * Link: the page's way to its server: a client, the key, and the round that asks for figures.
 *
 * The key lives in this object alone: not in the address, not in any storage. While the server does
 * not answer, the round goes on, slower; nothing else of the page asks by itself.
 */

import { Client, type Collection, type DatabaseStats, OmenError } from 'omendb/client'
import { type Point, readMetrics } from './prometheus.js'

const ROUND_MS = 2000
const PAUSES_MS = [1000, 2000, 4000, 5000]
/** Of a round, and of what somebody waits for. */
const ANSWER_MS = 10_000
const CALL_MS = 30_000

export interface Figures {
  readonly stats: DatabaseStats
  readonly metrics: readonly Point[]
  readonly atMs: number
}

export interface Watcher {
  onFigures(figures: Figures): void
  /** @param againMs  When the next round is; undefined: when a key is given. */
  onFailure(error: OmenError, againMs: number | undefined): void
}

export class Link {
  /** Where the page came from: a proxy may have put it below a path. */
  readonly base = new URL('.', location.href).href.replace(/\/$/, '')
  readonly #watcher: Watcher
  #key: string | undefined
  #client = this.#connect(1, CALL_MS)
  #asking = this.#connect(0, ANSWER_MS)
  #timer: number | undefined
  #failures = 0
  /** Rounds of an earlier key or an earlier call are of no interest. */
  #round = 0

  constructor(watcher: Watcher) {
    this.#watcher = watcher
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.ask()
    })
  }

  #connect(retries: number, timeoutMs: number): Client {
    return new Client(this.base, { apiKey: this.#key, retries, timeoutMs })
  }

  get hasKey(): boolean {
    return this.#key !== undefined
  }

  /** Throws ERR_AUTH where it can be no key. */
  setKey(key: string | undefined): void {
    const before = this.#key
    this.#key = key === '' ? undefined : key
    try {
      this.#client = this.#connect(1, CALL_MS)
      this.#asking = this.#connect(0, ANSWER_MS)
    } catch (error) {
      this.#key = before
      throw error
    }
    this.ask()
  }

  collection(name: string): Promise<Collection> {
    return this.#client.collection(name, { createIfMissing: false })
  }

  /** Starts a round now. */
  ask(): void {
    clearTimeout(this.#timer)
    void this.#ask(++this.#round)
  }

  async #ask(round: number): Promise<void> {
    try {
      const [stats, metrics] = await Promise.all([this.#stats(), this.#metrics()])
      if (round !== this.#round) return
      this.#failures = 0
      this.#next(ROUND_MS)
      this.#watcher.onFigures({ stats, metrics, atMs: performance.now() })
    } catch (error) {
      if (round !== this.#round) return
      const known = error instanceof OmenError ? error : undefined
      const told = known ?? new OmenError('ERR_UNAVAILABLE', String(error))
      const pause = PAUSES_MS[Math.min(this.#failures++, PAUSES_MS.length - 1)] as number
      const againMs = told.code === 'ERR_AUTH' ? undefined : pause
      if (againMs !== undefined) this.#next(againMs)
      this.#watcher.onFailure(told, againMs)
    }
  }

  #next(ms: number): void {
    this.#timer = window.setTimeout(() => {
      // A page that nobody sees asks nothing; it asks when it is seen again.
      if (!document.hidden) this.ask()
    }, ms)
  }

  #stats(): Promise<DatabaseStats> {
    return this.#asking.stats()
  }

  async #metrics(): Promise<Point[]> {
    const headers: Record<string, string> =
      this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }
    try {
      const signal = AbortSignal.timeout(ANSWER_MS)
      const response = await fetch(`${this.base}/metrics`, { headers, signal })
      return response.ok ? readMetrics(await response.text()) : []
    } catch {
      return [] // The stats tell of what is wrong.
    }
  }
}
