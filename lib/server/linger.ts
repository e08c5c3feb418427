/**
 * Linger: a connection of HTTP/1.1 that ends with its answer, while its request still comes.
 *
 * Why: to close a socket that has unread bytes resets it, and a reset takes the answer away from a
 * caller who has not read it yet; who is refused should know why. So this side ends, and what still
 * comes is read and dropped, for a while: then the connection is closed whatever comes (RFC 9112,
 * 9.6). Invariants:
 * 1. It lasts LINGER_MS and LINGER_BYTES at most, and less where the caller ends it.
 * 2. Its place among the connections is free at once (LINGERS), as is that of its request.
 * 3. No request that comes behind on such a connection is served.
 */

import type { IncomingMessage, RequestListener, Server } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'

export const LINGER_MS = 5_000
const LINGER_BYTES = 256 * 2 ** 20
const CHECK_MS = 50

/** Event of a socket that lingers from now on. */
export const LINGERS = Symbol('lingers')

const lingering = new WeakSet<Socket>()

/** Takes the rest of a request that nobody else reads. */
export function discard(request: IncomingMessage): void {
  request.removeAllListeners('data')
  request.removeAllListeners('readable')
  request.on('error', () => {}) // The caller has gone, which is as well.
  request.resume()
}

/** @param close  Closes the socket when all was written. */
function linger(socket: Socket, request: IncomingMessage, close: () => void): void {
  lingering.add(socket)
  socket.emit(LINGERS)
  const from = socket.bytesRead
  const until = performance.now() + LINGER_MS
  const timer = setInterval(() => {
    if (performance.now() > until || socket.bytesRead - from > LINGER_BYTES) socket.destroy()
  }, CHECK_MS)
  socket.once('close', () => clearInterval(timer))
  request.once('end', close)
  discard(request)
  socket.end()
}

/** Has the connections of a server linger where they have to. */
export function lingerAtEnd(server: Server | https.Server): void {
  const requests = new WeakMap<Socket, IncomingMessage>()
  server.on('request', (request) => requests.set(request.socket, request))
  const event = server instanceof https.Server ? 'secureConnection' : 'connection'
  server.on(event, (socket: Socket) => {
    const close = socket.destroySoon.bind(socket)
    // Node calls it when an answer that ends its connection is written.
    socket.destroySoon = () => {
      const request = requests.get(socket)
      const isLate = request === undefined || request.complete || lingering.has(socket)
      if (isLate || socket.destroyed) close()
      else linger(socket, request, close)
    }
  })
}

/** A handler that serves nothing behind the request at which a connection ended. */
export function unlessLingering(handler: RequestListener): RequestListener {
  return (request, response) => {
    if (lingering.has(request.socket)) request.socket.destroy()
    else handler(request, response)
  }
}
