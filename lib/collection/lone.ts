/**
 * Lone searches: an awaited search that is short and has little company runs at once, on the thread
 * that asked for it.
 *
 * Why: to wake a sleeping thread and to be woken by it takes longer than most searches. With
 * company the pool is better: it searches on all processors. A search is lone when
 * 1. no other of this JS thread is on the pool, and it is the first since the caller's code last
 *    gave way, or will be over with those before it in BURST_MS: what waking the pool takes (so
 *    that of many asked for in one go only the first few run here);
 * 2. it is expected to take SEARCH_MS_MAX at most, by what the last ones of its collection took for
 *    each candidate of `ef`; while that is unknown it goes to the pool, which tells;
 * 3. it has no filter and is not exact. (A `search` with a signal or a time-out does not even ask.)
 * 4. in this turn of the event loop such searches took less than TURN_MS: then one goes to the
 *    pool, and the loop turns while it runs.
 */

import { setImmediate } from '../clock.js'
import type { SearchCall } from '../options.js'

const SEARCH_MS_MAX = 0.2
const SAMPLE_MS_MAX = 4 * SEARCH_MS_MAX
const TURN_MS = 1
const BURST_MS = 0.05

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

const GIVEN_WAY = Promise.resolve()

class LoneSearches {
  /** Searches of this thread on the pool. */
  queued = 0
  #burstMs = 0 // Since the caller's code last gave way.
  #spentMs = 0
  #isArmed = false

  /** Whether this search may run here and now. @param msMax  What it may be expected to take. */
  admits(call: SearchCall, cost: SearchCost, msMax = SEARCH_MS_MAX): boolean {
    const expected = cost.expected(call.ef)
    return (
      this.queued === 0 &&
      (this.#burstMs === 0 || this.#burstMs + expected <= BURST_MS) &&
      this.#spentMs < TURN_MS &&
      call.filter === undefined &&
      call.mode !== 1 &&
      expected <= msMax
    )
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
