/**
 * The server: its two ports, its database, and the way from start to end.
 *
 * Ports are bound first, so that health can be asked while the database recovers; until it is open
 * everything else is ERR_UNAVAILABLE. Closing refuses new requests, lets running ones finish for
 * `drainMs`, then closes connections and the database.
 */

import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import path from 'node:path'
import type { Server, ServerOptions } from '../../types/server.js'
import { nowMs } from '../clock.js'
import { argumentError } from '../options.js'
import { Console } from './console.js'
import { Engine } from './engine.js'
import type { AnyRequest, AnyResponse } from './exchange.js'
import { Gate } from './gate.js'
import type { Context } from './handlers/context.js'
import { lingerAtEnd, unlessLingering } from './linger.js'
import { createListener, type Surroundings } from './listener.js'
import { createLog, type Log } from './log.js'
import { Metrics } from './metrics.js'
import { Opening } from './opening.js'
import { Pending } from './pending.js'
import { Places } from './places.js'
import { Requests } from './requests.js'
import { createRest } from './rest/routes.js'
import { Rpc } from './rpc.js'
import { watchSessions } from './sessions.js'
import { readSettings, type Settings } from './settings.js'

const CHECK_MS = 1000
const IDLE_MS = 50
const STREAMS_MAX = 256
/** Of a connection that has nothing to do; longer than that of most proxies. */
const KEEP_ALIVE_MS = 65_000
const REFUSED_TOLD_MS = 10_000

interface Certificate {
  cert: Buffer
  key: Buffer
  /** Said here, so that no flag of the host's process lowers it. */
  minVersion: 'TLSv1.2'
}

function readCertificate({ tls }: Settings): Certificate | undefined {
  if (tls === undefined) return undefined
  const read = (what: string, file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (cause) {
      throw argumentError(`tls.${what}: cannot read ${file}: ${(cause as Error).message}`)
    }
  }
  return { cert: read('cert', tls.cert), key: read('key', tls.key), minVersion: 'TLSv1.2' }
}

/** Made nowhere: a name that is misspelt is to be noticed before a backup is needed. */
function checkBackups({ backupDirectory }: Settings): void {
  if (backupDirectory === undefined) return
  try {
    rmdirSync(mkdtempSync(path.join(backupDirectory, 'omendb-backup-')))
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code
    throw argumentError(
      `backupDirectory (--backup-directory): nothing can be made in ${backupDirectory}: ` +
        `${reason}; give a directory that is there and can be written to`,
    )
  }
}

type Handler = (request: AnyRequest, response: AnyResponse) => void

/** One port: its server, and the connections that it has. */
class Port {
  readonly #server: NetServer
  readonly #sockets = new Set<Socket>()
  /** Of HTTP/1.1: with how many requests each has at work. */
  readonly #running = new Map<Socket, number>()
  readonly #sessions = new Set<http2.Http2Session>()

  constructor(server: NetServer) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      // HTTP/2 writes an answer in parts, which would wait for one another.
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    if (server instanceof http.Server || server instanceof https.Server) this.#countRequests(server)
    server.on('session', (session: http2.Http2Session) => {
      this.#sessions.add(session)
      session.once('close', () => this.#sessions.delete(session))
    })
  }

  #countRequests(server: http.Server | https.Server): void {
    const count = (socket: Socket, change: 1 | -1): void => {
      const running = this.#running.get(socket)
      if (running !== undefined) this.#running.set(socket, running + change)
    }
    const event = server instanceof https.Server ? 'secureConnection' : 'connection'
    server.on(event, (socket: Socket) => {
      this.#running.set(socket, 0)
      socket.once('close', () => this.#running.delete(socket))
    })
    server.on('request', ({ socket }: http.IncomingMessage, response: http.ServerResponse) => {
      count(socket, 1)
      response.once('close', () => count(socket, -1))
    })
  }

  /** Throws ERR_ARGUMENT where the address is taken or not this machine's. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const reason = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message
        reject(argumentError(`cannot listen on ${host} port ${port}: ${reason}`))
      })
      this.#server.listen(port, host, resolve)
    })
    return (this.#server.address() as AddressInfo).port
  }

  /** Takes no more connections, and waits for those there are. */
  async close(drainMs: number): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    // Sessions of HTTP/2 end with their streams; other connections when they have nothing to do.
    for (const session of this.#sessions) session.close()
    const idle = setInterval(() => {
      for (const [socket, running] of this.#running) if (running === 0) socket.destroy()
    }, IDLE_MS)
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, drainMs)
    await closed
    clearInterval(idle)
    clearTimeout(timer)
  }
}

function webServer(settings: Settings, certificate: Certificate | undefined, handler: Handler) {
  const { headersTimeoutMs, requestTimeoutMs, timeoutMs } = settings.limits
  const options = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0, // arrival.ts
    connectionsCheckingInterval: Math.min(CHECK_MS, headersTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
  }
  const serve = unlessLingering(handler)
  const server =
    certificate === undefined
      ? http.createServer(options, serve)
      : https.createServer({ ...options, ...certificate }, serve)
  lingerAtEnd(server)
  // Closes a connection of whose answer nothing is taken; a request at work moves nothing either.
  server.timeout = Math.max(requestTimeoutMs, timeoutMs + headersTimeoutMs)
  return server
}

function grpcServer(settings: Settings, certificate: Certificate | undefined, handler: Handler) {
  const options = { settings: { maxConcurrentStreams: STREAMS_MAX, enablePush: false } }
  const server =
    certificate === undefined
      ? http2.createServer(options, handler)
      : http2.createSecureServer({ ...options, ...certificate }, handler)
  watchSessions(server, { strangerMs: settings.limits.headersTimeoutMs, idleMs: KEEP_ALIVE_MS })
  return server
}

/** Told now and then, not each time: what brings many of them shall not fill the log. */
function placesOf(limit: number, log: Log): Places {
  let told = Number.NEGATIVE_INFINITY
  return new Places(limit, (connections) => {
    if (nowMs() - told < REFUSED_TOLD_MS) return
    told = nowMs()
    log.warn({ connections }, 'connections are refused: limits.connections are open')
  })
}

export class RunningServer implements Server {
  url = ''
  grpcUrl: string | undefined
  ready: Promise<void> = Promise.resolve()
  readonly log: Log
  readonly #settings: Settings
  readonly #engine: Engine
  readonly #gate: Gate
  readonly #requests: Requests
  readonly #ports: Port[] = []
  #closing: Promise<void> | undefined
  #hasStarted = false

  private constructor(settings: Settings, log: Log, { engine, gate, requests }: Context) {
    this.#gate = gate
    this.#requests = requests
    this.#settings = settings
    this.log = log
    this.#engine = engine
  }

  async #open(): Promise<void> {
    const { url, grpcUrl } = this
    const data = this.#settings.data ?? 'memory'
    this.log.info({ data, url, grpcUrl }, 'opening the database')
    const opening = new Opening(this.log, data)
    const database = await this.#engine.open(opening.tell, (db) => this.#requests.open(db))
    if (database === undefined) return
    await opening.tellEnd(database)
    this.log.info({ url, grpcUrl }, 'listening')
    this.#hasStarted = true
  }

  /** Binds the ports, and begins to open the database. */
  static async start(options: ServerOptions | undefined): Promise<RunningServer> {
    const settings = readSettings(options)
    const certificate = readCertificate(settings)
    checkBackups(settings)
    const log = createLog(settings.logLevel, settings.log)
    const engine = new Engine(settings)
    const { limits } = settings
    const requests = new Requests(engine.isOnDisk)
    const page = settings.console ? new Console() : undefined
    const gate = new Gate(settings, page?.paths ?? [])
    const context: Context = { engine, limits, gate, pending: new Pending(), requests }
    const metrics = new Metrics(context)
    const around: Surroundings = { gate, limits, log, metrics, requests }
    const rest = await createRest(context, metrics, log, page?.paths ?? [])
    const webRpc = new Rpc(context, log, 'web')
    const places = placesOf(limits.connections, log)
    const web = createListener(around, { rpc: webRpc, rest, page, places })
    const server = new RunningServer(settings, log, context)
    try {
      const scheme = certificate === undefined ? 'http' : 'https'
      const { host } = settings
      const shown = host.includes(':') ? `[${host}]` : host
      const at = await server.#bind(() => {
        const made = webServer(settings, certificate, web)
        places.watch(made, false)
        return made
      }, settings.port)
      server.url = `${scheme}://${shown}:${at}`
      if (settings.grpcPort !== false) {
        const rpc = new Rpc(context, log, 'grpc')
        const places = placesOf(limits.connections, log)
        const listener = createListener(around, { rpc, rest: undefined, places })
        const grpcAt = await server.#bind(() => {
          const made = grpcServer(settings, certificate, listener)
          places.watch(made, true)
          return made
        }, settings.grpcPort)
        server.grpcUrl = `${scheme}://${shown}:${grpcAt}`
      }
      // Not before: a start that fails at a port or a certificate makes no database.
      server.ready = server.#open()
      server.ready.catch(() => {}) // Told to those who wait for it.
      return server
    } catch (error) {
      await server.close()
      throw error
    }
  }

  async #bind(make: () => NetServer, port: number): Promise<number> {
    let made: NetServer
    try {
      made = make()
    } catch (cause) {
      const { cert, key } = this.#settings.tls ?? {}
      const reason = (cause as Error).message
      throw argumentError(`tls: ${cert} with the key ${key} cannot be used: ${reason}`)
    }
    const bound = new Port(made)
    this.#ports.push(bound)
    return bound.listen(this.#settings.host, port)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { drainMs } = this.#settings.limits
    this.#gate.drain()
    await Promise.all(this.#ports.map((port) => port.close(drainMs)))
    // A database that is still being opened is closed when that is done.
    await this.ready.catch(() => {})
    await this.#engine.close()
    if (this.#hasStarted) this.log.info('closed')
  }
}
