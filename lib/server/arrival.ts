/**
 * Arrival: how long a request may take to come, over HTTP/1.1 and HTTP/2 alike.
 *
 * Why not `requestTimeout` of Node's server, which HTTP/2 has not: it bounds every request, and an
 * upload takes as long as it is large and its line slow. Invariants:
 * 1. A request has come within `requestTimeoutMs` of its headers, or its connection (of HTTP/2: its
 *    stream) ends. Headers have a time of their own.
 * 2. Uploads are left out: each of their messages has that time (handlers/writes.ts), and what is
 *    left of one that was answered is dropped for a moment only (rpc.ts).
 */

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { AnyRequest, AnyResponse, Exchange } from './exchange.js'

const LATE = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

/** Of HTTP/1.1 one request comes at a time; one that was answered may still come. */
const coming = new WeakMap<Socket, NodeJS.Timeout>()

/** Ends a request that does not come to its end. */
export function endIfLate(
  request: AnyRequest,
  response: AnyResponse,
  exchange: Exchange,
  requestTimeoutMs: number,
): void {
  const note = (): void => {
    if (exchange.code === 'OK') exchange.code = 'ERR_TIMEOUT'
  }
  if ('stream' in response) {
    const timer = setTimeout(() => {
      note()
      response.destroy()
    }, requestTimeoutMs)
    const clear = (): void => clearTimeout(timer)
    request.once('end', clear)
    response.once('close', clear)
    return
  }
  const { socket } = request as IncomingMessage
  expectNoMore(socket)
  const timer = setTimeout(() => {
    if (request.complete) return
    note()
    if (!response.headersSent) socket.write(LATE)
    socket.destroy()
  }, requestTimeoutMs)
  coming.set(socket, timer)
  request.once('end', () => clearTimeout(timer))
}

/** Whatever was coming has come. */
function expectNoMore(socket: Socket): void {
  const clear = (): void => clearTimeout(coming.get(socket))
  if (coming.has(socket)) clear()
  else socket.once('close', clear)
}
