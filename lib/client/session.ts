/**
 * Session: what a client and all its collections share: the transport, retries, the order of
 * writes, and whether it is closed.
 *
 * What is repeated: reads, and writes under the same request id, so that a write whose answer was
 * lost is not done twice. Only where the server could not be reached or had no room; whatever it
 * has judged stands.
 */

import { setTimeout } from '../clock.js'
import { OmenError } from '../errors.js'
import type { CallSettings } from '../options.js'
import { Deadline } from './deadline.js'
import type { ClientSettings } from './settings.js'
import { type Sent, Transport } from './transport.js'
import { mayPass, wasNotSent } from './unreachable.js'

const FIRST_PAUSE_MS = 50
const PAUSE_MS_MAX = 2000

type Over = (error: OmenError | undefined) => void

export interface Streaming {
  readonly deadline: Deadline
  end(): void
}

/** Of one call; those that it does not give are the client's. */
export type Limits = Pick<CallSettings, 'signal' | 'timeoutMs'>

/** What a call relies on that others may change: where its collection is, and its dimensions. */
export interface Ground {
  /** Is done before the call. */
  prepare(): Promise<void>
  /** Whether a failed call stood on what is so no longer: then it is begun anew, once. */
  hasChanged(error: unknown): Promise<boolean>
}

export class Session {
  readonly transport: Transport
  readonly settings: ClientSettings
  #isClosed = false
  readonly #running = new Set<Promise<unknown>>()
  readonly #streams = new Set<Deadline>()
  /** The last write of each collection; those that came before it are before it. */
  readonly #writes = new Map<string, Promise<unknown>>()

  constructor(settings: ClientSettings) {
    this.settings = settings
    this.transport = new Transport(settings)
  }

  /** Throws ERR_CLOSED after close. */
  check(): void {
    if (this.#isClosed) throw new OmenError('ERR_CLOSED', 'the client is closed; make a new one')
  }

  /** One call: its work may be repeated. */
  read<T>(limits: Limits, work: (sent: Sent) => Promise<T>, ground?: Ground): Promise<T> {
    return this.#run(limits, (deadline) => this.#begun(deadline, work, undefined, ground))
  }

  /** One write to `name`, after those that were called before it. */
  write<T>(
    name: string,
    limits: Limits,
    work: (sent: Sent) => Promise<T>,
    ground?: Ground,
  ): Promise<T> {
    const before = this.#writes.get(name)
    const done = this.#run(limits, async (deadline) => {
      if (before !== undefined) await deadline.race(before)
      deadline.check()
      return this.#begun(deadline, work, randomId(), ground)
    })
    // A write that gave up waiting is over; what comes after it still waits for those before.
    const settled = Promise.allSettled([before, done])
    this.#writes.set(name, settled)
    settled.then(() => {
      if (this.#writes.get(name) === settled) this.#writes.delete(name)
    })
    return done
  }

  #run<T>(limits: Limits, work: (deadline: Deadline) => Promise<T>): Promise<T> {
    const result = this.#within(limits, work)
    this.#running.add(result)
    const forget = (): void => {
      this.#running.delete(result)
    }
    result.then(forget, forget)
    return result
  }

  async #within<T>(
    { signal, timeoutMs = this.settings.timeoutMs }: Limits,
    work: (deadline: Deadline) => Promise<T>,
  ): Promise<T> {
    this.check()
    const deadline = new Deadline(signal, timeoutMs)
    try {
      return await work(deadline)
    } finally {
      deadline.end()
    }
  }

  async #begun<T>(
    deadline: Deadline,
    work: (sent: Sent) => Promise<T>,
    requestId: string | undefined,
    ground: Ground | undefined,
  ): Promise<T> {
    const attempt = async (): Promise<T> => {
      if (ground !== undefined) await deadline.race(ground.prepare())
      return this.#retried(deadline, work, requestId)
    }
    try {
      return await attempt()
    } catch (error) {
      // Under the same request id: what failed is forgotten by the server, and stored nothing.
      const isWorth = ground !== undefined && deadline.over() === undefined
      if (!isWorth || !(await deadline.race(ground.hasChanged(error)))) throw error
      return await attempt()
    }
  }

  async #retried<T>(
    deadline: Deadline,
    work: (sent: Sent) => Promise<T>,
    requestId: string | undefined,
  ): Promise<T> {
    let { instance } = this.transport
    let sent: Sent = requestId === undefined ? { deadline } : { deadline, requestId }
    for (let attempt = 0; ; attempt++) {
      deadline.check()
      try {
        return await work(sent)
      } catch (error) {
        if (attempt >= this.settings.retries || !mayPass(error)) throw error
        if (requestId !== undefined) {
          // A server that is opening refuses, and does not tell yet who it is; or nobody was there.
          const hasNotBegun = wasRefused(error) || wasNotSent(error)
          if (instance === undefined && hasNotBegun) instance = this.transport.instance
          // Nobody remembers a write of which no server is known: it is not repeated.
          else if (instance === undefined) throw error
          // Nor where another one has answered: it has said that it does not know.
          else if (this.transport.instance !== instance) throw unknown(error)
        }
      }
      // A little by chance, so that many clients do not come back at once.
      const pause = Math.min(FIRST_PAUSE_MS * 4 ** attempt, PAUSE_MS_MAX)
      await deadline.sleep(pause * (0.5 + Math.random() / 2))
      if (requestId !== undefined && instance !== undefined) sent = { ...sent, instance }
    }
  }

  /**
   * A call whose answer is read at the caller's leisure: running until `end` is called.
   *
   * @param over  Is told why, when it ends before: aborted, out of time, or the client closed.
   */
  stream({ signal, timeoutMs = this.settings.timeoutMs }: Limits, over: Over): Streaming {
    this.check()
    const deadline = new Deadline(signal, timeoutMs, true)
    const tell = (): void => over(deadline.over())
    deadline.signal.addEventListener('abort', tell)
    this.#streams.add(deadline)
    const end = (): void => {
      this.#streams.delete(deadline)
      deadline.signal.removeEventListener('abort', tell)
      deadline.end()
    }
    return { deadline, end }
  }

  /** Refuses new calls, ends streams, and resolves when the calls that run have ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const deadline of this.#streams) {
      deadline.fail(new OmenError('ERR_CLOSED', 'the client was closed before the end came'))
    }
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    await new Promise<void>((resolve) => setTimeout(resolve, 0))
  }
}

/** Whether the server answered that it did not begin, rather than that nobody answered. */
function wasRefused(error: unknown): boolean {
  return error instanceof OmenError && error.cause === undefined
}

/** What is told of a write whose server was followed by another, which did not judge it. */
function unknown(error: unknown): unknown {
  if (!(error instanceof OmenError) || error.code !== 'ERR_BUSY') return error
  const message =
    'the server was started anew since this write was first sent: whether it was stored is not ' +
    'known. Look, and repeat it if it was not'
  return new OmenError('ERR_UNAVAILABLE', message, { cause: error })
}

/** 128 bits by chance, also in pages that are not secure contexts. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
