/**
 * Call: what limits and watches one asynchronous call (signal, timeoutMs, onProgress), from the
 * call until its promise settles.
 *
 * Two halves of a call's life: while it waits or stages on this side, `over` is asked and
 * `onOver` told; once it is native, its operation is cancelled instead, and native code decides
 * whether the commit came first. The operation's clock starts with the call, queueing included.
 */

import type { NativeAddon, NativeOperation } from '../types/native.js'
import type { AbortSignalLike } from '../types/values.js'
import { clearInterval, clearTimeout, nowMs, setInterval, setTimeout } from './clock.js'
import { OmenError } from './errors.js'
import type { CallSettings } from './options.js'
import { callOut, Telling } from './progress.js'

const PROGRESS_MS = 50
const TIMER_MS_MAX = 2 ** 31 - 1

function aborted(signal: AbortSignalLike): OmenError {
  return new OmenError('ERR_ABORTED', "the caller's signal aborted the call", {
    cause: signal.reason,
  })
}

/** Throws if a call is over before it begins: all that ends one whose work is done at once. */
export function checkBegins({ signal, timeoutMs }: CallSettings): void {
  if (signal?.aborted) throw aborted(signal)
  if (timeoutMs === 0) throw new OmenError('ERR_TIMEOUT', 'not done within 0 ms')
}

/** The one listener on a signal, and what it calls. */
interface Watch {
  readonly calls: Set<() => void>
  readonly listener: () => void
}

// One listener for all calls under a signal: Node warns of a leak past ten of them.
const watches = new WeakMap<AbortSignalLike, Watch>()

function watch(signal: AbortSignalLike, onAbort: () => void): void {
  let found = watches.get(signal)
  if (found === undefined) {
    const calls = new Set<() => void>()
    const listener = (): void => {
      for (const call of [...calls]) call()
    }
    found = { calls, listener }
    signal.addEventListener('abort', listener)
    watches.set(signal, found)
  }
  found.calls.add(onAbort)
}

function unwatch(signal: AbortSignalLike, onAbort: () => void): void {
  const found = watches.get(signal)
  if (found === undefined || !found.calls.delete(onAbort) || found.calls.size > 0) return
  watches.delete(signal)
  callOut(() => signal.removeEventListener('abort', found.listener))
}

export class Call {
  readonly operation: NativeOperation
  readonly #settings: CallSettings
  readonly #deadline: number
  #onOver: ((error: OmenError) => void) | undefined
  #timeout: NodeJS.Timeout | undefined
  #poll: NodeJS.Timeout | undefined
  readonly #telling: Telling

  /** undefined where the call has neither signal nor timeout nor progress. */
  static start(addon: NativeAddon, settings: CallSettings): Call | undefined {
    const { signal, timeoutMs, onProgress } = settings
    if (signal === undefined && timeoutMs === undefined && onProgress === undefined) {
      return undefined
    }
    if (signal?.aborted) throw aborted(signal)
    return new Call(addon, settings)
  }

  private constructor(addon: NativeAddon, settings: CallSettings) {
    this.#settings = settings
    const { signal, timeoutMs, onProgress } = settings
    this.#telling = new Telling(onProgress)
    this.operation = new addon.Operation(timeoutMs)
    this.#deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : nowMs() + timeoutMs
    if (signal !== undefined) watch(signal, this.#abort)
  }

  readonly #abort = (): void => {
    const { signal } = this.#settings
    if (this.#onOver !== undefined && signal !== undefined) this.#onOver(aborted(signal))
    else this.operation.cancel()
  }

  /** Tells `onOver` of an abort or timeout for as long as the call waits on this side. */
  wait(onOver: (error: OmenError) => void): void {
    this.#onOver = onOver
    const { timeoutMs } = this.#settings
    if (timeoutMs !== undefined && timeoutMs <= TIMER_MS_MAX) {
      this.#timeout = setTimeout(() => {
        const error = this.over()
        if (error !== undefined) this.#onOver?.(error)
      }, Math.ceil(timeoutMs) + 1)
    }
  }

  /** Why the call is over already, if it is. */
  over(): OmenError | undefined {
    const { signal, timeoutMs } = this.#settings
    if (signal?.aborted) return aborted(signal)
    if (nowMs() <= this.#deadline) return undefined
    return new OmenError('ERR_TIMEOUT', `not done within ${timeoutMs} ms`)
  }

  /** The call went native: from now on the operation is what gets cancelled. */
  submitted(rows: number): void {
    this.#onOver = undefined
    clearTimeout(this.#timeout)
    if (this.#settings.onProgress === undefined) return
    this.#poll = setInterval(() => this.#readProgress(rows), PROGRESS_MS)
    this.#poll.unref()
  }

  /** Rows staged so far: each counts half. */
  staged(rows: number, total: number): void {
    this.#telling.tell(Math.floor(rows / 2), total)
  }

  #readProgress(rows: number): void {
    const [done, total] = this.operation.progress()
    if (total === 0) return
    if (rows === 0) this.#telling.tell(done, total)
    else this.#telling.tell(Math.floor((rows + rows * (done / total)) / 2), rows)
  }

  /**
   * Waits for work that native code cannot end, and ends the call: with what it comes to, or
   * before, and then the work goes on. It does not begin where no time is left.
   */
  static async during<T>(
    addon: NativeAddon,
    settings: CallSettings,
    work: () => Promise<T>,
  ): Promise<T> {
    checkBegins(settings)
    const call = Call.start(addon, settings)
    if (call === undefined) return work()
    try {
      return await new Promise<T>((resolve, reject) => {
        call.wait(reject)
        work().then(resolve, reject)
      })
    } finally {
      call.end()
    }
  }

  /** Waits for native work and ends the call. Names the signal's reason as the cause. */
  async settle<T>(work: Promise<T>, rows = 0): Promise<T> {
    try {
      const result = await work
      const total = rows > 0 ? rows : this.operation.progress()[1]
      if (total > 0) this.#telling.tell(total, total)
      return result
    } catch (error) {
      const { signal } = this.#settings
      if (error instanceof OmenError && error.code === 'ERR_ABORTED' && signal?.aborted) {
        throw aborted(signal)
      }
      throw error
    } finally {
      this.end()
    }
  }

  end(): void {
    this.#onOver = undefined
    clearTimeout(this.#timeout)
    clearInterval(this.#poll)
    const { signal } = this.#settings
    if (signal !== undefined) unwatch(signal, this.#abort)
  }
}
