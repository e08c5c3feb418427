/** Problem documents (RFC 9457): errors of REST, with the codes of everywhere. */

import { ERROR_CODES, OmenError } from '../../errors.js'
import { idToJson } from '../../ids.js'
import { inWords, REST, REST_ADVICE } from '../../words.js'
import type { AnyResponse } from '../exchange.js'
import { finish, RETRY_AFTER_S } from '../faults.js'
import { AddressError } from '../gate.js'

export const PROBLEM_TYPE = 'application/problem+json'

/**
 * ERR_UNSUPPORTED where HTTP has a status of its own for it: 405, 415. Its headers say to programs
 * what the message says to people.
 */
export class HttpError extends OmenError {
  constructor(
    message: string,
    readonly httpStatus: 405 | 415,
    readonly headers: Readonly<Record<string, string>>,
  ) {
    super('ERR_UNSUPPORTED', message)
  }
}

/** That of docs/errors.md. */
export function statusOf(error: OmenError): number {
  return error instanceof HttpError ? error.httpStatus : ERROR_CODES[error.code].httpStatus
}

/** `title` is what to do. */
function problemOf(error: OmenError): Record<string, unknown> {
  const { advice } = ERROR_CODES[error.code]
  const { row, path, id } = error.details
  return {
    type: `urn:omendb:error:${error.code}`,
    title: error instanceof AddressError ? error.advice : (REST_ADVICE[error.code] ?? advice),
    status: statusOf(error),
    detail: inWords(error.message, REST),
    code: error.code,
    ...(row === undefined ? {} : { row }),
    ...(path === undefined ? {} : { path }),
    ...(id === undefined ? {} : { id: idToJson(id) }),
  }
}

/** As bytes, to which nobody adds a charset: JSON has none. */
export function problemBytes(error: OmenError): Buffer {
  return Buffer.from(JSON.stringify(problemOf(error)))
}

export function problemHeaders(error: OmenError): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE }
  if (error.code === 'ERR_BUSY') headers['retry-after'] = RETRY_AFTER_S
  if (error.code === 'ERR_AUTH') headers['www-authenticate'] = 'Bearer'
  return error instanceof HttpError ? { ...headers, ...error.headers } : headers
}

/** Answers before the body was read. */
export function refuseRest(response: AnyResponse, error: OmenError): void {
  finish(response, statusOf(error), problemHeaders(error), problemBytes(error))
}
