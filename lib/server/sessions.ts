/**
 * Sessions: when a connection of HTTP/2, which has no time-outs of its own, is ended.
 *
 * Why: a session holds a place among the connections (places.ts) also where it asks for nothing.
 * Who has a key may keep one open between its calls; who has none must not be able to keep others
 * out. Invariants:
 * 1. A session none of whose requests has passed the gate with a key (any request, of a server
 *    without keys) ends `strangerMs` after it began, whatever it asks.
 * 2. Any other ends when no stream of it was open for `idleMs`.
 * 3. The end lets streams that are open finish (GOAWAY), for LEAVE_MS where it is a stranger's.
 */

import type { Http2SecureServer, Http2Server, Http2Session } from 'node:http2'
import type { AnyRequest } from './exchange.js'

const LEAVE_MS = 1_000

export interface SessionTimes {
  readonly strangerMs: number
  readonly idleMs: number
}

/** Sessions that nobody has vouched for yet: what is to be done once somebody has. */
const strangers = new WeakMap<Http2Session, () => void>()

function watch(session: Http2Session, { strangerMs, idleMs }: SessionTimes): void {
  let streams = 0
  let timer = setTimeout(() => {
    session.close()
    timer = setTimeout(() => session.destroy(), LEAVE_MS)
  }, strangerMs)
  const rest = (): void => {
    clearTimeout(timer)
    if (streams === 0 && !session.destroyed) timer = setTimeout(() => session.close(), idleMs)
  }
  strangers.set(session, rest)
  session.on('stream', (stream) => {
    streams++
    if (!strangers.has(session)) clearTimeout(timer)
    stream.once('close', () => {
      streams--
      if (!strangers.has(session)) rest()
    })
  })
  session.once('close', () => clearTimeout(timer))
  session.on('error', () => session.destroy()) // The caller's fault; its streams end with it.
}

export function watchSessions(server: Http2Server | Http2SecureServer, times: SessionTimes): void {
  server.on('session', (session) => watch(session, times))
}

/** Notes that a request has come with a key. Of HTTP/1.1 nothing is to be noted. */
export function vouchFor(request: AnyRequest): void {
  if (!('stream' in request)) return
  const { session } = request.stream
  if (session === undefined) return
  const rest = strangers.get(session)
  if (rest === undefined) return
  strangers.delete(session)
  rest()
}
