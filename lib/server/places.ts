/**
 * Places: the connections that a port may have, and those beyond.
 *
 * Why not the socket's own limit alone: it closes a connection without a word, upon which a client
 * knows nothing, and some connect again at once and without end. So a few more are let in, to be
 * told ERR_BUSY in the words of their protocol and closed. Invariants:
 * 1. At most `limit` connections are served at once. Those that linger are served no more.
 * 2. A connection that found no place never gets one: its first request is its last.
 * 3. Past SURPLUS_MAX of these, further ones are closed as they come.
 * Of HTTP/1.1 a connection is a socket, of HTTP/2 a session; under TLS, one after its handshake.
 */

import type http from 'node:http'
import type http2 from 'node:http2'
import https from 'node:https'
import type { Server as NetServer, Socket } from 'node:net'
import { OmenError } from '../errors.js'
import type { AnyRequest } from './exchange.js'
import { LINGERS } from './linger.js'

const SURPLUS_MAX = 64

type Connection = Socket | http2.Http2Session

export class Places {
  readonly #limit: number
  readonly #held = new Set<Connection>()
  readonly #surplus = new WeakSet<Connection>()
  readonly #onRefused: (limit: number) => void

  /** @param onRefused  Is called for each connection that finds no place. */
  constructor(limit: number, onRefused: (limit: number) => void) {
    this.#limit = limit
    this.#onRefused = onRefused
  }

  /** Counts the connections of a server from now on. */
  watch(server: NetServer, isHttp2: boolean): void {
    server.maxConnections = this.#limit + SURPLUS_MAX
    server.on('drop', () => this.#onRefused(this.#limit))
    const secure = server instanceof https.Server ? 'secureConnection' : 'connection'
    server.on(isHttp2 ? 'session' : secure, (connection: Connection) => this.#add(connection))
  }

  #add(connection: Connection): void {
    if (this.#held.size >= this.#limit) {
      this.#surplus.add(connection)
      this.#onRefused(this.#limit)
      return
    }
    this.#held.add(connection)
    const free = (): boolean => this.#held.delete(connection)
    connection.once('close', free)
    ;(connection as NodeJS.EventEmitter).once(LINGERS, free)
  }

  /** Throws ERR_BUSY where the connection has no place; its answer is to end it. */
  check(request: AnyRequest): void {
    const connection = connectionOf(request)
    if (connection === undefined || !this.#surplus.has(connection)) return
    if ('stream' in request) request.stream.session?.close()
    const message = `${this.#limit} connections are open, and this server takes no more`
    throw new OmenError('ERR_BUSY', `${message}; retry in a moment, or use one for many requests`)
  }
}

function connectionOf(request: AnyRequest): Connection | undefined {
  return 'stream' in request ? request.stream.session : (request as http.IncomingMessage).socket
}
