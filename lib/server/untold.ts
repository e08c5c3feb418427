/**
 * Untold faults: those that @connectrpc/connect finds itself, before or behind a handler: messages
 * that cannot be read, that are too large, a time that is no time.
 *
 * Why here: its protocols tell them without a code of ours, what could not be read as `internal`,
 * as if the server had failed. On their way out they are put into our codes, with an ErrorDetail;
 * `exchange.code` tells them apart from those that a handler told. Where there is no code of ours
 * (the standard services have their own) they stay as they are.
 */

import { Code, ConnectError } from '@connectrpc/connect'
import type { UniversalServerResponse } from '@connectrpc/connect/protocol'
import {
  endStreamFlag,
  endStreamFromJson,
  endStreamToJson,
  errorFromJsonBytes,
} from '@connectrpc/connect/protocol-connect'
import { findTrailerError, setTrailerStatus } from '@connectrpc/connect/protocol-grpc'
import { trailerFlag, trailerParse, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web'
import { OmenError } from '../errors.js'
import type { Exchange } from './exchange.js'
import { connectErrorOf, omenErrorOf, spareMessage } from './faults.js'

const HEAD_BYTES = 5

/** Notes the code in the exchange. */
function ours(fault: ConnectError | undefined, exchange: Exchange): OmenError | undefined {
  const error = fault === undefined ? undefined : omenErrorOf(fault)
  if (error !== undefined) exchange.code = error.code
  return error
}

/** Of Connect with one message: what the answer should have said. */
export async function untoldFault(
  { status, body }: UniversalServerResponse,
  exchange: Exchange,
): Promise<OmenError | undefined> {
  if (status < 400 || exchange.code !== 'OK') return undefined
  const pieces: Uint8Array[] = []
  for await (const piece of body ?? []) pieces.push(piece)
  const otherwise = new ConnectError('not a request of this protocol', Code.InvalidArgument)
  const fault =
    pieces.length === 0
      ? otherwise
      : errorFromJsonBytes(Buffer.concat(pieces), new Headers(), otherwise)
  const unread = new OmenError('ERR_ARGUMENT', 'the request is not one of this method')
  return ours(fault, exchange) ?? unread
}

/** Of gRPC: its trailers, as they are about to be sent. */
export function tellInTrailers(trailers: Record<string, unknown>, exchange: Exchange): void {
  if (exchange.code === 'OK') {
    const [status, message] = [trailers['grpc-status'], trailers['grpc-message']]
    const headers = new Headers({ 'grpc-status': String(status) })
    if (typeof message === 'string') headers.set('grpc-message', message)
    const error = ours(findTrailerError(headers), exchange)
    if (error !== undefined) {
      for (const [name, value] of setTrailerStatus(new Headers(), connectErrorOf(error))) {
        trailers[name] = value
      }
    }
  }
  spareMessage(trailers)
}

function envelope(flags: number, data: Uint8Array): Uint8Array {
  const out = Buffer.alloc(HEAD_BYTES + data.length)
  out[0] = flags
  out.writeUInt32BE(data.length, 1)
  out.set(data, HEAD_BYTES)
  return out
}

/** Of Connect's streams and of gRPC-web, whose last envelope tells how it ended. */
export function tellAtEnd(
  outgoing: UniversalServerResponse,
  exchange: Exchange,
): UniversalServerResponse {
  const { body } = outgoing
  return body === undefined ? outgoing : { ...outgoing, body: changed(body, exchange) }
}

async function* changed(
  body: AsyncIterable<Uint8Array>,
  exchange: Exchange,
): AsyncGenerator<Uint8Array> {
  for await (const piece of body) yield isEnd(piece, exchange) ? ended(piece, exchange) : piece
}

function isEnd(piece: Uint8Array, { code, transport }: Exchange): boolean {
  const flag = transport === 'grpc-web' ? trailerFlag : endStreamFlag
  return code === 'OK' && ((piece[0] ?? 0) & flag) !== 0
}

function ended(piece: Uint8Array, exchange: Exchange): Uint8Array {
  const data = piece.subarray(HEAD_BYTES)
  if (exchange.transport === 'grpc-web') {
    const trailers = trailerParse(data)
    const error = ours(findTrailerError(trailers), exchange)
    if (error === undefined) return piece
    return envelope(
      trailerFlag,
      trailerSerialize(setTrailerStatus(trailers, connectErrorOf(error))),
    )
  }
  const { metadata, error: fault } = endStreamFromJson(data)
  const error = ours(fault, exchange)
  if (error === undefined) return piece
  const text = JSON.stringify(endStreamToJson(metadata, connectErrorOf(error), undefined))
  return envelope(endStreamFlag, Buffer.from(text))
}
