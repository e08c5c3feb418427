/**
 * Faults as each protocol tells them: OmenError to RPC errors, and refusals before a body is read.
 */

import { constants } from 'node:http2'
import path from 'node:path'
import { Code, ConnectError } from '@connectrpc/connect'
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJson,
} from '@connectrpc/connect/protocol-connect'
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc'
import { ERROR_CODES, OmenError } from '../errors.js'
import { errorToMessage } from '../wire/messages.js'
import { ErrorDetailSchema } from '../wire/protocol.js'
import { inWords, RPC, SERVED, toldIn } from '../words.js'
import { type AnyResponse, isGone } from './exchange.js'

export const RETRY_AFTER_S = '1'

// What reading from a caller throws that went away in its middle.
const GONE = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET'])

/** Codes of requests: the path in their details is one within the request. */
const OF_REQUESTS = new Set(['ERR_ARGUMENT', 'ERR_FILTER', 'ERR_ID', 'ERR_METADATA', 'ERR_VECTOR'])

const untold = new WeakMap<OmenError, string>()

/** For the log: the message with the path that its caller is not told. */
export function withPath(error: OmenError): string | undefined {
  return untold.get(error)
}

/** Callers need not know where the server has what: of a path only the name of the file is told. */
function withoutPath(error: OmenError): OmenError {
  const { code, cause, details } = error
  const { path: at, ...rest } = details
  if (at === undefined || !path.isAbsolute(at) || OF_REQUESTS.has(code)) return error
  const message = error.message
    .replaceAll(` of ${at} `, ' ')
    .replace(` in ${at}, which is open`, ', and the server is')
    .replaceAll(at, () => path.basename(at))
  const options = cause === undefined ? { details: rest } : { details: rest, cause }
  const told = new OmenError(code, message, options)
  untold.set(told, error.message)
  return told
}

/** The OmenError of whatever was thrown; undefined where it is a fault of the server's own. */
export function omenErrorOf(error: unknown, signal?: AbortSignal): OmenError | undefined {
  if (error instanceof OmenError) {
    const isDeadline = ConnectError.from(signal?.reason).code === Code.DeadlineExceeded
    if (error.code !== 'ERR_ABORTED' || !isDeadline) return withoutPath(toldIn(error, SERVED))
    return new OmenError('ERR_TIMEOUT', 'not done within the time that the caller gave')
  }
  if (GONE.has((error as NodeJS.ErrnoException | undefined)?.code ?? '')) {
    return new OmenError('ERR_ABORTED', 'the caller has gone')
  }
  if (!(error instanceof ConnectError)) return undefined
  const { code, rawMessage } = error
  switch (code) {
    case Code.Canceled:
    case Code.Aborted:
      return new OmenError('ERR_ABORTED', 'the caller has gone')
    case Code.DeadlineExceeded:
      return new OmenError('ERR_TIMEOUT', rawMessage)
    case Code.ResourceExhausted:
      return new OmenError('ERR_LIMIT', `${rawMessage}; split the request`)
    case Code.InvalidArgument:
      return new OmenError('ERR_ARGUMENT', rawMessage)
    case Code.Unimplemented:
      return new OmenError('ERR_UNSUPPORTED', rawMessage)
    case Code.Internal:
      // What the caller sent and nobody can read is the caller's fault.
      if (!rawMessage.startsWith('parse ')) return undefined
      return new OmenError('ERR_ARGUMENT', 'a message is not one of this method of the contract')
    default:
      return undefined
  }
}

/** What callers are told of a fault that is the server's own. */
export function serverFault(): OmenError {
  return new OmenError('ERR_NATIVE', 'the server failed, which is a bug of it; its log says why')
}

/** What `Client` speaks: its callers are programs, whose words the messages have. */
const OF_CLIENT = /^application\/(connect\+)?proto$/

/** @param contentType  Of the request: it tells who reads the message. */
export function wordsOf(message: string, contentType?: string | null): string {
  return OF_CLIENT.test(contentType ?? '') ? message : inWords(message, RPC)
}

/** @param contentType  Of the request. */
export function connectErrorOf(error: OmenError, contentType?: string | null): ConnectError {
  const headers = error.code === 'ERR_BUSY' ? { 'retry-after': RETRY_AFTER_S } : undefined
  const detail = { desc: ErrorDetailSchema, value: errorToMessage(error) }
  const { grpcStatus } = ERROR_CODES[error.code]
  const message = wordsOf(error.message, contentType)
  return new ConnectError(message, grpcStatus as Code, headers, [detail])
}

/**
 * Answers an RPC in the words of its protocol.
 *
 * @param isRead  Its body was read to the end: then the connection stays.
 */
export function refuseRpc(
  response: AnyResponse,
  contentType: string | undefined,
  error: OmenError,
  isRead = false,
): void {
  const fault = connectErrorOf(error, contentType)
  const headers: Record<string, string> = Object.fromEntries(fault.metadata)
  if (contentType?.startsWith('application/grpc')) {
    for (const [name, value] of setTrailerStatus(new Headers(), fault)) headers[name] = value
    spareMessage(headers)
    finish(response, 200, { ...headers, 'content-type': contentType }, undefined)
    return
  }
  if (contentType?.startsWith('application/connect+')) {
    const text = JSON.stringify(endStreamToJson(new Headers(), fault, undefined))
    const body = Buffer.alloc(5 + Buffer.byteLength(text))
    body[0] = endStreamFlag
    body.writeUInt32BE(body.length - 5, 1)
    body.write(text, 5)
    finish(response, 200, { ...headers, 'content-type': contentType }, body)
    return
  }
  const body = Buffer.from(JSON.stringify(errorToJson(fault, undefined)))
  const status = codeToHttpStatus(fault.code)
  const all = { ...headers, 'content-type': 'application/json' }
  if (isRead && !('stream' in response)) {
    response.writeHead(status, { ...all, 'content-length': body.length })
    response.end(body)
  } else finish(response, status, all, body)
}

/**
 * Encodes no more of `grpc-message` than gRPC asks for. Why: @grpc/grpc-js decodes no more, and
 * would show `%2C` for a comma.
 */
export function spareMessage(trailers: Record<string, unknown>): void {
  const message = trailers['grpc-message']
  if (typeof message !== 'string') return
  trailers['grpc-message'] = decodeURIComponent(message).replace(/[^\x20-\x7e]|%/gu, (c) =>
    encodeURIComponent(c),
  )
}

/** Ends an answer whose request nobody reads: the connection ends with it, as linger.ts says. */
export function finish(
  response: AnyResponse,
  status: number,
  headers: Record<string, string>,
  body: Buffer | undefined,
): void {
  if (isGone(response)) return
  if ('stream' in response) {
    const { stream } = response
    const before = response.getHeaders() as Record<string, string>
    // gRPC knows an answer without a message by its headers being its end.
    stream.respond({ ':status': status, ...before, ...headers }, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    stream.close(constants.NGHTTP2_NO_ERROR)
    return
  }
  const length = { 'content-length': String(body?.length ?? 0) }
  const all = { ...headers, ...length, connection: 'close' }
  response.writeHead(status, all)
  response.end(body)
}
