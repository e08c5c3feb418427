/**
 * Ctrl-C and SIGTERM: the first asks the command to end at the next whole place, the second gives
 * up what runs, the third ends the process. Nothing that was stored is lost by any of them.
 */

import { EXIT } from './exit.js'

export class Interrupt {
  readonly #controller = new AbortController()
  #count = 0
  readonly #onSignal = () => {
    this.#count += 1
    if (this.#count === 1) {
      this.#resolve?.()
      this.#onFirst()
    } else if (this.#count === 2) this.#controller.abort(new Error('interrupted'))
    else process.exit(EXIT.interrupted)
  }
  readonly #onFirst: () => void
  #resolve: (() => void) | undefined
  /** Resolves at the first. */
  readonly asked = new Promise<void>((resolve) => {
    this.#resolve = resolve
  })

  /** @param onFirst  Tells the user what happens now. */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst
    process.on('SIGINT', this.#onSignal)
    process.on('SIGTERM', this.#onSignal)
  }

  /** Whether to stop at the next whole place. */
  get isAsked(): boolean {
    return this.#count > 0
  }

  /** Aborted by the second: pass it to what may be given up. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  dispose(): void {
    process.removeListener('SIGINT', this.#onSignal)
    process.removeListener('SIGTERM', this.#onSignal)
  }
}
