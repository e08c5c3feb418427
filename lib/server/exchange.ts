/** Exchange: one request and its answer, as the gate, the handlers, the log and metrics see it. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
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
  /** What the log has of it beyond that: a message with a path of the server's. */
  fault: string | undefined
  pass: Pass | undefined
  /** Ends it without an answer, or in the middle of one. */
  abandon: () => void = () => {}

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

const closings = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls `closed` once, when an answer or its connection has been closed. Why not the answer alone:
 * of one that waits behind another (HTTP/1.1 lets callers ask ahead) Node tells nothing when the
 * connection ends.
 */
export function onceClosed(response: AnyResponse, closed: () => void): void {
  if ('stream' in response) {
    response.once('close', closed)
    return
  }
  const { socket } = response.req
  const open = closings.get(socket) ?? closingsOf(socket)
  const end = (): void => {
    if (open.delete(end)) closed()
  }
  open.add(end)
  response.once('close', end)
  // Node goes on to read what came before the end.
  if (socket.closed) queueMicrotask(end)
}

function closingsOf(socket: Socket): Set<() => void> {
  const open = new Set<() => void>()
  closings.set(socket, open)
  socket.once('close', () => {
    for (const end of open) end()
  })
  return open
}

/** Whether nobody is left to be answered. A stream of HTTP/2 throws where it is answered then. */
export function isGone(response: AnyResponse): boolean {
  if (!('stream' in response)) return response.destroyed || response.req.socket?.destroyed === true
  const { stream } = response
  return stream.destroyed || stream.closed
}

/**
 * Whether all of an answer went out, asked when it is closed. A connection that breaks finishes
 * its answer too. Of HTTP/2, the stream alone knows; one that its caller cancelled is ended by
 * Node, and so finished too.
 */
export function isSent(response: AnyResponse): boolean {
  if (!('stream' in response)) {
    return response.writableFinished && response.req.socket?.destroyed !== true
  }
  const { headersSent, rstCode, writableFinished } = response.stream
  return headersSent && writableFinished && rstCode !== constants.NGHTTP2_CANCEL
}
