/**
 * Advice of messages in the words of who reads them. The engine and what checks calls speak of
 * methods and options of the interface, which is right for programs; whoever sits at a shell, or
 * asks over REST, has others. A message without such advice stays as it is.
 */

import { OmenError } from './errors.js'

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
  ['rebuild the graph with optimize()', 'rebuild the graph with POST .../optimize'],
  LARGE_ID,
]

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
