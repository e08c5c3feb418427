/**
 * Listener: what happens to a request on every port, before and after it is served.
 *
 * Places, gate, access, room and the limit on its length come first, while its body is unread; the
 * log and metrics last, when the answer has ended or the caller has gone.
 */

import type { IncomingHttpHeaders } from 'node:http'
import { nowMs } from '../clock.js'
import { OmenError } from '../errors.js'
import { endIfLate } from './arrival.js'
import type { Console } from './console.js'
import {
  type AnyRequest,
  type AnyResponse,
  attachExchange,
  Exchange,
  isSent,
  onceClosed,
  transportOf,
} from './exchange.js'
import { finish, refuseRpc } from './faults.js'
import type { Gate } from './gate.js'
import type { Log } from './log.js'
import type { Metrics } from './metrics.js'
import type { Places } from './places.js'
import type { Requests } from './requests.js'
import { refuseRest } from './rest/problem.js'
import type { Rpc } from './rpc.js'
import { vouchFor } from './sessions.js'
import type { Limits } from './settings.js'

export interface Surroundings {
  readonly gate: Gate
  readonly limits: Limits
  readonly log: Log
  readonly metrics: Metrics
  readonly requests: Requests
}

/** What serves a port: RPC, REST and the console where there are. */
export interface Served {
  readonly rpc: Rpc
  readonly rest: ((request: AnyRequest, response: AnyResponse) => void) | undefined
  readonly page?: Console | undefined
  readonly places: Places
}

// RPC paths are those of the services; whatever else there is belongs to REST.
const RPC_PATH = /^\/(omendb|grpc)\.[A-Za-z0-9_.]*\//

export function createListener(around: Surroundings, { rpc, rest, page, places }: Served) {
  return (request: AnyRequest, response: AnyResponse): void => {
    const path = (request.url ?? '').split('?', 1)[0] as string
    const contentType = request.headers['content-type']
    const isRpc = rest === undefined || RPC_PATH.test(path)
    const exchange = new Exchange(isRpc ? transportOf(contentType) : 'rest')
    attachExchange(request, exchange)
    const { instance } = around.requests
    if (instance !== undefined) response.setHeader('omendb-instance', instance)
    const leave = admit(around, request, response, exchange, { path, places })
    if (typeof leave !== 'function') {
      exchange.code = leave.code
      if (isRpc) refuseRpc(response, contentType, leave)
      else refuseRest(response, leave)
      observeAtClose(around, response, exchange, () => {})
      return
    }
    observeAtClose(around, response, exchange, leave)
    if (!isRpc || rpc.methodOf(path) !== 'upload') {
      endIfLate(request, response, exchange, around.limits.requestTimeoutMs)
    }
    if (request.method === 'OPTIONS') finish(response, 204, {}, undefined)
    else if (isRpc) rpc.serve(request, response, path)
    else if (!page?.serve(request, response, path)) rest?.(request, response)
  }
}

/** Whether the request may come in: what it calls when it leaves, or why not. */
function admit(
  { gate, limits }: Surroundings,
  request: AnyRequest,
  response: AnyResponse,
  exchange: Exchange,
  { path, places }: { path: string; places: Places },
): (() => void) | OmenError {
  const { headers } = request
  try {
    const authority = authorityOf(headers)
    const { origin } = headers
    if (gate.allowsOrigin(origin)) allowOrigin(response, origin as string)
    places.check(request)
    if (request.method === 'OPTIONS' && gate.allowsOrigin(origin)) {
      // A browser asks without the key whether it may ask with it.
      exchange.pass = { ...gate.check('/healthz', authority, headers), access: 'read' }
    } else exchange.pass = gate.check(path, authority, headers)
    if (gate.isKnown(exchange.pass)) vouchFor(request)
    const length = Number(headers['content-length'] ?? 0)
    if (length > limits.bodyBytes && !path.endsWith('/Upload')) {
      const message = `${length} bytes, and this server takes at most ${limits.bodyBytes} a request`
      throw new OmenError('ERR_LIMIT', `${message}; split it, or upload it as a stream`)
    }
    return gate.enter()
  } catch (error) {
    if (error instanceof OmenError) return error
    throw error
  }
}

function authorityOf(headers: IncomingHttpHeaders): string | undefined {
  const authority = headers[':authority'] ?? headers.host
  return Array.isArray(authority) ? authority[0] : authority
}

const CORS_REQUEST_HEADERS =
  'authorization, content-type, connect-protocol-version, connect-timeout-ms, ' +
  'omendb-request-id, omendb-instance, omendb-timeout-ms, x-grpc-web, x-user-agent, grpc-timeout'

function allowOrigin(response: AnyResponse, origin: string): void {
  response.setHeader('access-control-allow-origin', origin)
  response.setHeader('vary', 'origin')
  response.setHeader('access-control-allow-methods', 'GET, POST, PUT, PATCH, DELETE')
  response.setHeader('access-control-allow-headers', CORS_REQUEST_HEADERS)
  response.setHeader(
    'access-control-expose-headers',
    'omendb-instance, retry-after, grpc-status, grpc-message, grpc-status-details-bin',
  )
  response.setHeader('access-control-max-age', '600')
}

function observeAtClose(
  { log, metrics }: Surroundings,
  response: AnyResponse,
  exchange: Exchange,
  leave: () => void,
): void {
  onceClosed(response, () => {
    leave()
    if (!isSent(response) && exchange.code === 'OK') exchange.code = 'ERR_ABORTED'
    metrics.observe(exchange)
    const { transport, method, code, fault, pass, startMs } = exchange
    const ms = round(nowMs() - startMs)
    const line = { transport, method, code, key: pass?.keyName, ms, fault }
    if (code === 'OK') log.debug(line, 'request')
    else log.info(line, 'request refused')
  })
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100
}
