/**
 * ResponseCaller: the caller of a request that is answered once, over REST or RPC. Its signal is
 * made when it is asked for, also after the caller has gone: then it is aborted from the start.
 */

import type { Caller } from './caller.js'
import { type AnyResponse, isGone, isSent, onceClosed } from './exchange.js'
import type { Pass } from './gate.js'

export class ResponseCaller implements Caller {
  readonly access
  readonly keyName
  readonly requestId
  readonly instance
  readonly timeoutMs: number
  readonly #response: AnyResponse
  #signal: AbortSignal | undefined

  constructor(pass: Pass, response: AnyResponse, timeoutMs: number) {
    this.access = pass.access
    this.keyName = pass.keyName
    this.requestId = pass.requestId
    this.instance = pass.instance
    this.timeoutMs = timeoutMs
    this.#response = response
  }

  get signal(): AbortSignal {
    if (this.#signal !== undefined) return this.#signal
    const gone = new AbortController()
    this.#signal = gone.signal
    const response = this.#response
    if (isGone(response) && !isSent(response)) gone.abort()
    onceClosed(response, () => {
      if (!isSent(response)) gone.abort()
    })
    return gone.signal
  }
}
