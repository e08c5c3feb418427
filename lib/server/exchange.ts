/** Exchange: one request and its answer, as the gate, the handlers, the log and metrics see it. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { nowMs } from '../clock.js'
import type { ErrorCode } from '../errors.js'
import type { Pass } from './gate.js'

export type AnyRequest = IncomingMessage | Http2ServerRequest
export type AnyResponse = ServerResponse | Http2ServerResponse
export type Transport = 'rest' | 'connect' | 'grpc-web' | 'grpc'

export class Exchange {
  readonly startMs = nowMs()
  /** The method of the contract, or the route: few, whatever callers send. */
  method = 'unknown'
  /** How it ended: the code of its error. */
  code: ErrorCode | 'OK' = 'OK'
  pass: Pass | undefined

  constructor(readonly transport: Transport) {}
}

const exchanges = new WeakMap<AnyRequest, Exchange>()

export function attachExchange(request: AnyRequest, exchange: Exchange): void {
  exchanges.set(request, exchange)
}

export function exchangeOf(request: AnyRequest): Exchange {
  const exchange = exchanges.get(request)
  if (exchange === undefined) throw new Error('a request came past the gate')
  return exchange
}

/** By the content type, which is what tells the protocols of RPC apart. */
export function transportOf(contentType: string | undefined): Transport {
  if (contentType?.startsWith('application/grpc-web')) return 'grpc-web'
  if (contentType?.startsWith('application/grpc')) return 'grpc'
  return 'connect'
}

/** Whether all of an answer went out. Of HTTP/2, the stream alone knows. */
export function isSent(response: AnyResponse): boolean {
  return 'stream' in response ? response.stream.writableFinished : response.writableFinished
}
