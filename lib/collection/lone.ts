/**
 * Lone searches: an awaited search that is short and has little company runs at once, on the thread
 * that asked for it.
 *
 * Why: to wake a sleeping thread and to be woken by it takes longer than most searches. With
 * company the pool takes its share: all processors search then, this one too, and it finds what the
 * others did without having slept. A search runs here when
 * 1. it is expected to take SEARCH_MS_MAX at most, by what the last ones of its collection took for
 *    each candidate of `ef`; while that is unknown it goes to the pool, which tells;
 * 2. it has no filter and is not exact. (A `search` with a signal or a time-out does not even ask.)
 * 3. no other short one of this JS thread is on the pool, and it is the first since the caller's
 *    code last gave way, or will be over with those before it in BURST_MS: what waking the pool and
 *    being woken takes. Or there are others, and this thread has searched no longer in this turn
 *    of the event loop than each thread of the pool has to for those;
 * 4. in this turn such searches took less than TURN_MS: then one goes to the pool, and the loop
 *    turns while it runs.
 */

import { setImmediate } from '../clock.js'
import type { SearchCall } from '../options.js'

const SEARCH_MS_MAX = 0.2
const SAMPLE_MS_MAX = 4 * SEARCH_MS_MAX
const TURN_MS = 1
const BURST_MS = 0.1

/** What searches of one collection take. */
export class SearchCost {
  #msPerCandidate = Number.POSITIVE_INFINITY

  expected(ef: number): number {
    return ef * this.#msPerCandidate
  }

  note(ef: number, ms: number): void {
    // One that was interrupted for long tells little; two that took long send the next to the pool.
    const now = Math.min(ms, SAMPLE_MS_MAX) / ef
    const known = this.#msPerCandidate
    this.#msPerCandidate = known === Number.POSITIVE_INFINITY ? now : known + (now - known) / 8
  }
}

/** What a search will take; undefined: that is not known, or it is not short. */
export function expectedMs(call: SearchCall, cost: SearchCost): number | undefined {
  if (call.filter !== undefined || call.mode === 1) return undefined
  const ms = cost.expected(call.ef)
  return ms <= SEARCH_MS_MAX ? ms : undefined
}

const GIVEN_WAY = Promise.resolve()

class LoneSearches {
  #pooled = 0 // Short searches of this thread on the pool,
  #pooledMs = 0 // and what they are expected to take together.
  #burstMs = 0 // Since the caller's code last gave way.
  #spentMs = 0
  #isArmed = false

  /**
   * Whether this search may run here and now.
   * @param threads  Of the pool.
   * @param msMax  What it may be expected to take.
   */
  admits(call: SearchCall, cost: SearchCost, threads: number, msMax = SEARCH_MS_MAX): boolean {
    const expected = expectedMs(call, cost)
    return (
      expected !== undefined &&
      expected <= msMax &&
      this.#spentMs < TURN_MS &&
      (this.#pooled === 0
        ? this.#burstMs === 0 || this.#burstMs + expected <= BURST_MS
        : this.#spentMs + expected <= this.#pooledMs / Math.max(1, threads - 1))
    )
  }

  /** One of those that expectedMs() knows goes to the pool. */
  pooled(ms: number): void {
    this.#pooled += 1
    this.#pooledMs += ms
  }

  /** It is back. */
  returned(ms: number): void {
    this.#pooled -= 1
    this.#pooledMs = this.#pooled === 0 ? 0 : this.#pooledMs - ms
  }

  /** One ran here. */
  ran(ms: number): void {
    this.#spentMs += ms
    if (this.#burstMs === 0) GIVEN_WAY.then(this.#giveWay)
    this.#burstMs += Math.max(ms, Number.MIN_VALUE)
    if (this.#isArmed) return
    this.#isArmed = true
    // Asks for no turn of its own: it runs in the next there is.
    setImmediate(this.#turn).unref()
  }

  readonly #giveWay = (): void => {
    this.#burstMs = 0
  }

  readonly #turn = (): void => {
    this.#isArmed = false
    this.#spentMs = 0
  }
}

export const loneSearches = new LoneSearches()
