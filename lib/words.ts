/**
 * Advice of messages in the words of who reads them. The engine and what checks calls speak of
 * methods and options of the interface, which is right for programs; whoever sits at a shell, or
 * asks over REST, has others. A message without such advice stays as it is.
 */

import { type ErrorCode, OmenError } from './errors.js'

/** Parts of messages, and what is said instead; '' for what has no counterpart. */
type Words = readonly (readonly [said: string | RegExp, instead: string])[]

/** An id past 2^53 - 1 is a bigint of programs alone. */
const LARGE_ID = [/\b(\d{16,20})n\b/g, '$1'] as const

/** Of `omendb`, whose commands open a database as they need it. */
export const SHELL: Words = [
  [', or open with readOnly: true', ''],
  ['; open with readOnly: true', ''],
  [', or open without readOnly and createIfMissing: false', ''],
  ['use upsert to replace it', '--upsert replaces it'],
  ['rebuild the graph with optimize()', 'check --salvage builds a new one'],
  ['give a bigint', 'give {"$int": "..."}'],
  LARGE_ID,
]

/** Of who starts `omendb-server`. */
export const START: Words = [
  ['open with readOnly: true', 'start with --read-only'],
  ['open without readOnly and createIfMissing: false', 'start without --read-only'],
]

/** Of all callers of a server. */
export const SERVED: Words = [
  ['open it without readOnly to write', 'start the server without --read-only to write'],
  ['of maxMemoryBytes', "of the server's --max-memory-bytes"],
]

/** Of callers over REST, besides. */
export const REST: Words = [
  ['use clear()', 'use POST .../clear'],
  ['use upsert to replace it', 'use PUT to replace it'],
  ['or use upsert', 'or use PUT .../records'],
  ['; open it instead', '; PUT opens it'],
  ['rebuild the graph with optimize()', 'rebuild the graph with POST .../optimize'],
  ['Client or gRPC, which send bytes', 'gRPC, which sends bytes'],
  LARGE_ID,
]

/** Of callers of the contract in any language: over gRPC, gRPC-web and the JSON of Connect. */
export const RPC: Words = [
  ['use clear()', 'use Clear'],
  ['use upsert to replace it', 'write it with the kind WRITE_KIND_UPSERT to replace it'],
  ['or use upsert', 'or write it with the kind WRITE_KIND_UPSERT'],
  ['rebuild the graph with optimize()', 'rebuild the graph with Optimize'],
  LARGE_ID,
]

/** What to do about a code, over REST, where that of ERROR_CODES is for programs: `title`. */
export const REST_ADVICE: Partial<Record<ErrorCode, string>> = {
  ERR_EXISTS: 'Use PUT to replace or to open, or another id or name.',
  ERR_CLOSED: 'Retry when the server is ready.',
  ERR_ABORTED: 'The caller had gone; a write may be stored.',
  ERR_TIMEOUT: "Raise omendb-timeout-ms or the server's limit, lower ef, or send less at once.",
  ERR_MEMORY: "Raise the server's --max-memory-bytes, delete records, or use a smaller codec.",
  ERR_LOCKED: 'Close the other writer, or start the server with --read-only.',
  ERR_READ_ONLY: 'Start the server without --read-only to write.',
  ERR_IO: "Check the server's disk; its log names the path.",
  ERR_IO_POISONED: 'Start the server anew: a sync failed earlier.',
  ERR_NATIVE: "Read the server's log.",
}

export function inWords(message: string, words: Words): string {
  let text = message
  for (const [said, instead] of words) text = text.replace(said, instead)
  return text
}

/** The same error; another one where its message has such advice. */
export function toldIn(error: OmenError, words: Words): OmenError {
  const message = inWords(error.message, words)
  if (message === error.message) return error
  const { code, details, cause } = error
  return new OmenError(code, message, cause === undefined ? { details } : { details, cause })
}
