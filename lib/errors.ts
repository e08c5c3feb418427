/**
 * OmenError and the table of its codes.
 *
 * Codes are stable, messages are not. The table says what csrc/base/error_codes.def and
 * docs/errors.md say; test/js/errors.test.ts compares the three.
 */

import type { Id } from '../types/values.js'

/** What a code means elsewhere, and what to do about it. */
export interface ErrorInfo {
  readonly httpStatus: number
  readonly grpcStatus: number
  readonly advice: string
}

function info(httpStatus: number, grpcStatus: number, advice: string): ErrorInfo {
  return Object.freeze({ httpStatus, grpcStatus, advice })
}

/** Every code that an OmenError can have. */
export const ERROR_CODES = Object.freeze({
  ERR_ARGUMENT: info(400, 3, 'Correct the argument that the message names.'),
  ERR_DIMENSIONS: info(400, 3, "Pass vectors of the collection's dimensions."),
  ERR_VECTOR: info(400, 3, 'Remove NaN, Infinity, over-large or (under cosine) zero vectors.'),
  ERR_DETACHED: info(400, 3, 'Do not transfer or shrink a buffer while a call uses it.'),
  ERR_ID: info(400, 3, 'Use a string of 1 to 512 bytes or an integer from 0.'),
  ERR_EXISTS: info(409, 6, 'Use upsert to replace, or another id or name.'),
  ERR_DUPLICATE: info(400, 3, 'Give each id of a batch once.'),
  ERR_NOT_FOUND: info(404, 5, 'Check the id or name; create it first.'),
  ERR_METADATA: info(400, 3, "Pass JSON values and dates; no '.' or leading '$' in keys."),
  ERR_FILTER: info(400, 3, 'Correct the filter at the path that the message names.'),
  ERR_OPTIONS: info(409, 9, 'Leave the option out, or give the stored value.'),
  ERR_CLOSED: info(409, 9, 'Open the database again.'),
  ERR_ABORTED: info(499, 1, "The signal aborted the call; a Client's write may be stored."),
  ERR_TIMEOUT: info(504, 4, 'Raise timeoutMs, lower ef, or send less at once.'),
  ERR_MEMORY: info(507, 8, 'Raise maxMemoryBytes, delete records, or use a smaller codec.'),
  ERR_LOCKED: info(409, 9, 'Close the other writer, or open with readOnly.'),
  ERR_READ_ONLY: info(403, 7, 'Open without readOnly to write.'),
  ERR_IO: info(500, 13, 'Check the disk and the path that the message names.'),
  ERR_IO_POISONED: info(500, 13, 'Reopen the database: a sync failed earlier.'),
  ERR_NO_SPACE: info(507, 8, 'Free disk space, or delete records; then repeat the write.'),
  ERR_CORRUPT: info(500, 15, 'Run omendb check, restore a backup, or salvage.'),
  ERR_FORMAT: info(500, 9, 'Use a version of OmenDB that knows this format.'),
  ERR_NATIVE: info(500, 13, 'Reinstall or rebuild omendb; of a server, read its log.'),
  ERR_UNSUPPORTED: info(501, 12, 'Use one of the alternatives that the message names.'),
  ERR_AUTH: info(401, 16, 'Send a valid API key.'),
  ERR_FORBIDDEN: info(403, 7, 'Use a key that may write.'),
  ERR_LIMIT: info(413, 8, 'Split the request.'),
  ERR_BUSY: info(429, 14, 'Retry after a while.'),
  ERR_UNAVAILABLE: info(503, 14, 'Retry when the server is ready.'),
})

export type ErrorCode = keyof typeof ERROR_CODES

/** What an error is about, where there is something to name. */
export interface ErrorDetails {
  /** Zero-based row of the batch. */
  readonly row?: number
  /** Path within a filter, a record's metadata or a schema: `year.$gte`. */
  readonly path?: string
  readonly id?: Id
}

export interface OmenErrorOptions {
  details?: ErrorDetails
  cause?: unknown
}

/** The error of every call: `code` is one of ERROR_CODES. */
export class OmenError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, options: OmenErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
  }

  static {
    // On the prototype, as with the built-in errors: the code stands out in a printed error.
    Object.defineProperty(OmenError.prototype, 'name', { value: 'OmenError', writable: true })
  }
}

/**
 * Makes the OmenError for an error of the addon.
 */
export function errorFromNative(
  code: string,
  message: string,
  row?: number,
  path?: string,
  id?: string,
): OmenError {
  const details: { row?: number; path?: string; id?: Id } = {}
  // Native code names an id past 2^53 - 1 by its JSON.
  let text = message.replace(/\{"\$int":"(\d+)"\}/g, '$1n')
  if (row !== undefined) {
    details.row = row
    if (!text.includes(`row ${row}`)) text = `row ${row}: ${text}`
  }
  if (path !== undefined && path !== '') {
    details.path = path
    if (!text.includes(path)) text = `${path}: ${text}`
  }
  if (id !== undefined && id !== '') details.id = idFromJson(JSON.parse(id))
  const known = Object.hasOwn(ERROR_CODES, code)
  return new OmenError(known ? (code as ErrorCode) : 'ERR_NATIVE', text, { details })
}

/**
 * An id from parsed JSON: a number, a string, or `{"$int": "..."}` past 2^53 - 1.
 */
export function idFromJson(value: unknown): Id {
  if (typeof value === 'number' || typeof value === 'string') return value
  return BigInt((value as { $int: string }).$int)
}
