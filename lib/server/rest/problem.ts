/** Problem documents (RFC 9457): errors of REST, with the codes of everywhere. */

import { ERROR_CODES, type OmenError } from '../../errors.js'
import { idToJson } from '../../ids.js'
import { inWords, REST, REST_ADVICE } from '../../words.js'
import type { AnyResponse } from '../exchange.js'
import { finish, RETRY_AFTER_S } from '../faults.js'
import { AddressError } from '../gate.js'

export const PROBLEM_TYPE = 'application/problem+json'

/** `status` is that of docs/errors.md, `title` what to do. */
function problemOf(error: OmenError): Record<string, unknown> {
  const { httpStatus, advice } = ERROR_CODES[error.code]
  const { row, path, id } = error.details
  return {
    type: `urn:omendb:error:${error.code}`,
    title: error instanceof AddressError ? error.advice : (REST_ADVICE[error.code] ?? advice),
    status: httpStatus,
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
  return headers
}

/** Answers before the body was read. */
export function refuseRest(response: AnyResponse, error: OmenError): void {
  const { httpStatus } = ERROR_CODES[error.code]
  finish(response, httpStatus, problemHeaders(error), problemBytes(error))
}
