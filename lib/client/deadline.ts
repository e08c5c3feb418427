/** Deadline: the signal and the time of one call, from the call until its promise settles. */

import type { AbortSignalLike } from '../../types/values.js'
import { clearTimeout, nowMs, setTimeout } from '../clock.js'
import { OmenError } from '../errors.js'

const TIMER_MS_MAX = 2 ** 31 - 1

export class Deadline {
  readonly #signal: AbortSignalLike | undefined
  readonly #timeoutMs: number | undefined
  readonly #ofWaits: boolean
  #end = Number.POSITIVE_INFINITY
  readonly #controller = new AbortController()
  #timer: ReturnType<typeof setTimeout> | undefined
  #fault: OmenError | undefined

  /**
   * Throws ERR_ABORTED if the signal is aborted already.
   *
   * @param ofWaits  The time is that of each wait for something to come, from `restart` to `pause`,
   *   and not of the whole call.
   */
  constructor(signal: AbortSignalLike | undefined, timeoutMs: number | undefined, ofWaits = false) {
    this.#signal = signal
    this.#timeoutMs = timeoutMs
    this.#ofWaits = ofWaits
    this.check()
    this.restart()
    signal?.addEventListener('abort', this.#abort)
  }

  /** The time begins anew. */
  restart(): void {
    const ms = this.#timeoutMs
    if (ms === undefined) return
    clearTimeout(this.#timer)
    this.#end = nowMs() + ms
    if (ms <= TIMER_MS_MAX) this.#timer = setTimeout(this.#abort, Math.ceil(ms))
  }

  /** The time stands still, until it begins anew. */
  pause(): void {
    clearTimeout(this.#timer)
    this.#end = Number.POSITIVE_INFINITY
  }

  /** Ends the call with this error, if it is not over. */
  fail(error: OmenError): void {
    if (this.over() !== undefined) return
    this.#fault = error
    this.#controller.abort()
  }

  readonly #abort = (): void => {
    this.#controller.abort()
  }

  /** Aborted when the call is over: of the caller's will, or of time. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Of the whole call. Infinity: no bound. */
  get remainingMs(): number {
    return this.#ofWaits ? Number.POSITIVE_INFINITY : this.#end - nowMs()
  }

  /** Why the call is over, if it is. */
  over(): OmenError | undefined {
    if (this.#fault !== undefined) return this.#fault
    if (this.#signal?.aborted) {
      const { reason } = this.#signal
      return new OmenError('ERR_ABORTED', "the caller's signal aborted the call", { cause: reason })
    }
    // At its end it is over: clocks of browsers stand still for a while, and 0 ms are no time.
    if (!this.#controller.signal.aborted && nowMs() < this.#end) return undefined
    const what = this.#ofWaits ? 'nothing came' : 'not done'
    return new OmenError('ERR_TIMEOUT', `${what} within ${this.#timeoutMs} ms`)
  }

  /** Throws if the call is over. */
  check(): void {
    const error = this.over()
    if (error !== undefined) throw error
  }

  /** Waits for `work` (which fails on its own) or for the end of the call, which throws. */
  async race<T>(work: Promise<T>): Promise<T> {
    const late = this.over()
    if (late !== undefined) {
      work.catch(() => {}) // Nobody waits for it any more.
      throw late
    }
    let stop = (): void => {}
    const over = new Promise<never>((_, reject) => {
      stop = () => reject(this.over())
      this.signal.addEventListener('abort', stop)
    })
    try {
      return await Promise.race([work, over])
    } finally {
      this.signal.removeEventListener('abort', stop)
    }
  }

  /** Sleeps, unless the call ends first. */
  async sleep(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    try {
      await this.race(slept)
    } finally {
      clearTimeout(timer)
    }
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#abort)
  }
}
