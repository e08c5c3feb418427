/**
 * Progress of one call, told to its onProgress: never less than before, and what the callback
 * throws is none of the call's.
 *
 * Why: a write that is stored must resolve. Were it rejected by its own progress bar, the caller
 * would store it again.
 */

import type { Progress } from '../types/values.js'

/** Calls code of the caller's: what it throws is an uncaught error, as of any listener. */
export function callOut(callback: () => void): void {
  try {
    callback()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

export class Telling {
  readonly #onProgress: ((progress: Progress) => void) | undefined
  #told = -1

  constructor(onProgress: ((progress: Progress) => void) | undefined) {
    this.#onProgress = onProgress
  }

  tell(done: number, total: number): void {
    if (this.#onProgress === undefined || done <= this.#told) return
    this.#told = done
    callOut(() => this.#onProgress?.({ done, total }))
  }
}
