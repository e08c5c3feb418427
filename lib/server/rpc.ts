/**
 * RPC: the contract over gRPC, gRPC-web and Connect, with health and reflection beside it.
 *
 * The handlers are those of REST too. Most requests are read and answered by unary.ts, the others
 * by @connectrpc/connect, and every error becomes a status with one ErrorDetail.
 */

import { constants } from 'node:http2'
import {
  type ConnectError,
  type ConnectRouter,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from '@connectrpc/connect'
import type { UniversalServerRequest } from '@connectrpc/connect/protocol'
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node'
import { OmenError } from '../errors.js'
import { type CheckResponse, OmenDB } from '../wire/protocol.js'
import { type Caller, mustWrite } from './caller.js'
import { depthBounded } from './depth.js'
import { type AnyRequest, type AnyResponse, Exchange, exchangeOf, isGone } from './exchange.js'
import { connectErrorOf, omenErrorOf, refuseRpc, serverFault, withPath, wordsOf } from './faults.js'
import type { Context } from './handlers/context.js'
import { ACCESS, HANDLERS, type Method } from './handlers/index.js'
import { addHealth } from './health.js'
import { discard, LINGER_MS } from './linger.js'
import type { Log } from './log.js'
import { addReflection } from './reflection.js'
import { ResponseCaller } from './response-caller.js'
import { abandonUnsent, sendAtEndOfTurn } from './turn.js'
import { answerUnary, isUnary, readUnary, timeoutOf } from './unary.js'
import { tellAtEnd, tellInTrailers, untoldFault } from './untold.js'

const exchangeKey = createContextKey(new Exchange('connect'))

const TRAILERS_MS = 50

/**
 * Takes what is left of a request that was answered early, so that a caller who reads the answer
 * only after sending everything gets to read it. For a moment; then the connection ends.
 */
function drain(request: AnyRequest): void {
  if ('stream' in request) {
    const { stream } = request
    // Later: the trailers are on their way. Streams that ended on both sides are closed by then.
    const timer = setTimeout(() => {
      if (stream.destroyed) return
      stream.close(constants.NGHTTP2_NO_ERROR)
      // It ends when what had come already was read: nobody else will.
      stream.removeAllListeners('data')
      stream.resume()
    }, TRAILERS_MS)
    stream.once('close', () => clearTimeout(timer))
    return
  }
  if (request.complete) return
  const timer = setTimeout(() => request.destroy(), LINGER_MS)
  request.once('close', () => clearTimeout(timer))
  discard(request)
}

/** Trailers of gRPC are changed on their way out. */
function changeTrailers(response: AnyResponse, exchange: Exchange): void {
  const target = response as import('node:http').ServerResponse
  const add = target.addTrailers.bind(target)
  target.addTrailers = (trailers) => {
    tellInTrailers(trailers as Record<string, unknown>, exchange)
    add(trailers)
  }
}

function isPieces(body: UniversalServerRequest['body']): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body
}

/** The reports of a check have advice too, which is for programs with a `Client`. */
function toldTo(contentType: string | null | undefined, method: Method, answer: object): object {
  if (method === 'check') {
    for (const report of (answer as CheckResponse).reports) {
      report.problem = wordsOf(report.problem, contentType)
    }
  }
  return answer
}

/** Which protocols a port speaks. gRPC needs HTTP/2. */
export type Protocols = 'grpc' | 'web'

export class Rpc {
  readonly #context: Context
  readonly #log: Log
  readonly #handlers: Map<string, ConnectRouter['handlers'][number]>

  constructor(context: Context, log: Log, protocols: Protocols) {
    this.#context = context
    this.#log = log
    const router = createConnectRouter({
      grpc: protocols === 'grpc',
      grpcWeb: protocols === 'web',
      connect: protocols === 'web',
      readMaxBytes: context.limits.bodyBytes,
      // Nothing is inflated: a small request stays small.
      acceptCompression: [],
    })
    this.#addContract(router)
    addHealth(router, context.engine)
    addReflection(router)
    this.#handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]))
  }

  /** The method of the contract, by path; undefined for another service. */
  methodOf(path: string): Method | undefined {
    const prefix = `/${OmenDB.typeName}/`
    if (!path.startsWith(prefix)) return undefined
    const name = path.slice(prefix.length)
    const method = name.charAt(0).toLowerCase() + name.slice(1)
    return Object.hasOwn(HANDLERS, method) ? (method as Method) : undefined
  }

  has(path: string): boolean {
    return this.#handlers.has(path)
  }

  /** Answers a request that has passed the gate. */
  serve(request: AnyRequest, response: AnyResponse, path: string): void {
    const exchange = exchangeOf(request)
    const handler = this.#handlers.get(path)
    const contentType = request.headers['content-type']
    if (handler === undefined) {
      exchange.code = 'ERR_NOT_FOUND'
      refuseRpc(response, contentType, new OmenError('ERR_NOT_FOUND', `there is no ${path}`))
      return
    }
    const method = this.methodOf(path)
    exchange.method = method ?? path.slice(1)
    if (method !== undefined && ACCESS[method] === 'write') {
      try {
        mustWrite({ access: exchange.pass?.access ?? 'read' })
      } catch (error) {
        exchange.code = 'ERR_FORBIDDEN'
        refuseRpc(response, contentType, error as OmenError)
        return
      }
    }
    if (method !== undefined && isUnary(request, method)) {
      this.#unary(request, response, method).catch((error: unknown) =>
        abandonUnsent(response, error, method, this.#log),
      )
      return
    }
    exchange.abandon = () => response.destroy()
    // Of HTTP/2, Node tells the end of an answer by its stream alone.
    const sent = 'stream' in response ? response.stream : response
    sent.once('finish', () => drain(request))
    const values = createContextValues().set(exchangeKey, exchange)
    const incoming = universalRequestFromNodeRequest(request, response, undefined, values)
    handler({ ...incoming, body: this.#bounded(incoming.body, contentType) })
      .then(async (outgoing) => {
        const untold = await untoldFault(outgoing, exchange)
        if (untold !== undefined) {
          refuseRpc(response, contentType, untold)
          return
        }
        changeTrailers(response, exchange)
        const hasEnd = /^application\/(connect\+|grpc-web)/.test(contentType ?? '')
        const told = hasEnd ? tellAtEnd(outgoing, exchange) : outgoing
        await universalResponseToNodeResponse(told, response)
      })
      .catch((error: unknown) => {
        // The caller has gone, or the answer could not be written: nobody is left to be told.
        exchange.code = omenErrorOf(error)?.code ?? 'ERR_ABORTED'
        this.#log.debug({ error, method: exchange.method }, 'an answer was not sent')
        response.destroy()
      })
  }

  /** Of JSON, no deeper than it may be. */
  #bounded(body: UniversalServerRequest['body'], contentType = ''): typeof body {
    const isFramed = /^application\/[\w-]+\+json/i.test(contentType)
    const isJson = isFramed || /^application\/json/i.test(contentType)
    if (!isJson || !isPieces(body)) return body
    return depthBounded(body, this.#context.limits.jsonDepth, isFramed)
  }

  async #unary(request: AnyRequest, response: AnyResponse, method: Method): Promise<void> {
    const exchange = exchangeOf(request)
    const handler = HANDLERS[method] as (...given: unknown[]) => Promise<object>
    const { pass } = exchange
    let isRead = false
    try {
      if (pass === undefined) throw new Error('a call came past the gate')
      const { timeoutMs, requestTimeoutMs, bodyBytes } = this.#context.limits
      const allowedMs = Math.min(timeoutOf(request), timeoutMs)
      const caller = new ResponseCaller(pass, response, allowedMs)
      const message = await readUnary(request, method, bodyBytes)
      isRead = true
      const contentType = request.headers['content-type']
      const answer = toldTo(contentType, method, await handler(this.#context, caller, message))
      sendAtEndOfTurn({
        // A stream of HTTP/2 whose caller has gone throws; the listener sees who has.
        send: () => {
          if (!isGone(response)) answerUnary(response, method, answer, requestTimeoutMs)
        },
        failed: (error) => abandonUnsent(response, error, method, this.#log),
      })
    } catch (error) {
      const told = omenErrorOf(error) ?? this.#bug(error, exchange)
      exchange.code = told.code
      exchange.fault = withPath(told)
      if (isGone(response)) return
      refuseRpc(response, request.headers['content-type'], told, isRead)
    }
  }

  /** A fault of the server's own: the log has it, callers are told little. */
  #bug(error: unknown, { method }: Exchange): OmenError {
    this.#log.error({ error, method }, 'a request failed unexpectedly')
    return serverFault()
  }

  #addContract(router: ConnectRouter): void {
    const implementation: Record<string, unknown> = {}
    for (const method of Object.values(OmenDB.method)) {
      const name = method.localName as Method
      implementation[name] =
        method.methodKind === 'server_streaming' ? this.#streaming(name) : this.#single(name)
    }
    router.service(OmenDB, implementation)
  }

  #single(method: Method) {
    const handlers: Readonly<Record<Method, unknown>> = HANDLERS
    return async (request: unknown, context: HandlerContext): Promise<object> => {
      const handler = handlers[method] as (...given: unknown[]) => Promise<object>
      try {
        const answer = await handler(this.#context, this.#caller(context, method), request)
        return toldTo(context.requestHeader.get('content-type'), method, answer)
      } catch (error) {
        throw this.#fault(error, context)
      }
    }
  }

  #streaming(method: Method) {
    const handler = HANDLERS[method] as (...given: unknown[]) => AsyncIterable<object>
    const rpc = this
    return async function* (request: unknown, context: HandlerContext): AsyncGenerator<object> {
      const { requestTimeoutMs } = rpc.#context.limits
      const { abandon } = context.values.get(exchangeKey)
      try {
        for await (const message of handler(rpc.#context, rpc.#caller(context, method), request)) {
          // Whoever takes nothing would hold its place for ever.
          const timer = setTimeout(abandon, requestTimeoutMs)
          try {
            yield message
          } finally {
            clearTimeout(timer)
          }
        }
      } catch (error) {
        throw rpc.#fault(error, context)
      }
    }
  }

  #caller(context: HandlerContext, method: Method): Caller {
    const { pass } = context.values.get(exchangeKey)
    if (pass === undefined) throw new Error('a call came past the gate')
    // An upload takes as long as its rows come; once they are here, its commit has this time.
    const most = method === 'upload' ? Number.POSITIVE_INFINITY : this.#context.limits.timeoutMs
    return {
      ...pass,
      signal: context.signal,
      timeoutMs: Math.max(0, Math.min(context.timeoutMs() ?? most, most)),
    }
  }

  #fault(error: unknown, context: HandlerContext): ConnectError {
    const exchange = context.values.get(exchangeKey)
    const known = omenErrorOf(error, context.signal)
    if (known !== undefined) {
      exchange.code = known.code
      exchange.fault = withPath(known)
      return connectErrorOf(known, context.requestHeader.get('content-type'))
    }
    const fault = this.#bug(error, exchange)
    exchange.code = fault.code
    return connectErrorOf(fault)
  }
}
