/**
 * Unary: methods of one message for one, over gRPC and over Connect's binary form, without the
 * library that serves everything else of RPC.
 *
 * Why: @connectrpc/connect takes each call through a chain of asynchronous iterables and web
 * headers, which costs several times a search (docs/decisions/0029). What is rare (JSON, gRPC-web,
 * streams, compression, other verbs) it serves still: `isUnary` tells. Invariants:
 * 1. A message is whole, within `bodyBytes` and of the contract before its handler is called.
 * 2. What a caller sees is what the library would have shown: server-errors.test.ts.
 */

import { constants, type ServerHttp2Stream } from 'node:http2'
import { OmenError } from '../errors.js'
import { fromBinary, OmenDB, toBinary } from '../wire/protocol.js'
import { bodyOf } from './body.js'
import type { AnyRequest, AnyResponse } from './exchange.js'
import type { Method } from './handlers/index.js'

const HEAD_BYTES = 5
const GRPC = /^application\/grpc(\+proto)?$/

/** Whether the request is served here. */
export function isUnary(request: AnyRequest, method: Method): boolean {
  const { headers } = request
  const type = headers['content-type'] ?? ''
  if (request.method !== 'POST' || OmenDB.method[method].methodKind !== 'unary') return false
  const encoding = headers['content-encoding'] ?? headers['grpc-encoding']
  if (encoding !== undefined && encoding !== 'identity') return false
  return 'stream' in request ? GRPC.test(type) : type === 'application/proto'
}

const UNITS_MS: Record<string, number> = { H: 3.6e6, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** What the request gives itself: Infinity where it does not. Throws ERR_ARGUMENT. */
export function timeoutOf({ headers }: AnyRequest): number {
  const given = headers['grpc-timeout'] ?? headers['connect-timeout-ms']
  if (given === undefined) return Number.POSITIVE_INFINITY
  const [, digits, unit = 'm'] = /^(\d{1,10})([HMSmun])?$/.exec(String(given)) ?? []
  if (digits !== undefined) return Number(digits) * (UNITS_MS[unit] as number)
  throw new OmenError('ERR_ARGUMENT', 'the time-out of the request is none of its protocol')
}

/** The message within the one envelope of a call of gRPC. */
function opened(body: Buffer): Buffer {
  if (body.length < HEAD_BYTES) throw new OmenError('ERR_ARGUMENT', 'the request has no message')
  if (body[0] !== 0) {
    throw new OmenError('ERR_UNSUPPORTED', 'this server takes no compressed messages')
  }
  const length = body.readUInt32BE(1)
  if (length === body.length - HEAD_BYTES) return body.subarray(HEAD_BYTES)
  throw new OmenError('ERR_ARGUMENT', 'the request is not one whole message')
}

/** Reads the message. Throws ERR_ARGUMENT, ERR_LIMIT, ERR_UNSUPPORTED, ERR_ABORTED. */
export async function readUnary(request: AnyRequest, method: Method, bytesMax: number) {
  const isGrpc = 'stream' in request
  const body = await bodyOf(request, isGrpc ? bytesMax + HEAD_BYTES : bytesMax)
  const message = isGrpc ? opened(body) : body
  try {
    return fromBinary(OmenDB.method[method].input, message)
  } catch {
    const text = 'a message is not one of this method of the contract'
    throw new OmenError('ERR_ARGUMENT', text)
  }
}

/** Answers with a message. @param takeMs  For the caller to take it, over gRPC. */
export function answerUnary(
  response: AnyResponse,
  method: Method,
  message: object,
  takeMs: number,
): void {
  const bytes = toBinary(OmenDB.method[method].output, message as never)
  if ('stream' in response) {
    // Node's own listener of the response sends them.
    response.addTrailers({ 'grpc-status': '0' })
    answerGrpc(response.stream, response.getHeaders(), bytes)
    const { stream } = response
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), takeMs)
    stream.once('close', () => clearTimeout(timer))
    return
  }
  const headers = { 'content-type': 'application/proto', 'content-length': bytes.length }
  response.writeHead(200, headers)
  response.end(bytes)
}

function answerGrpc(stream: ServerHttp2Stream, before: object, bytes: Uint8Array): void {
  const body = Buffer.allocUnsafe(HEAD_BYTES + bytes.length)
  body[0] = 0
  body.writeUInt32BE(bytes.length, 1)
  body.set(bytes, HEAD_BYTES)
  const headers = { ':status': 200, 'content-type': 'application/grpc', ...before }
  stream.respond(headers, { waitForTrailers: true })
  stream.end(body)
}
