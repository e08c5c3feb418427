/**
 * Turn: answers that are ready in one turn of the event loop leave together, at its end.
 *
 * Why: to write to a socket wakes whoever sleeps on the other side, which costs more than a search
 * (docs/decisions/0029). A caller with many connections is woken once by a burst, and its next
 * requests come as one. A lone request loses some microseconds.
 */

import type { AnyResponse } from './exchange.js'
import type { Log } from './log.js'

interface Answer {
  send(): void
  /** `send` threw. */
  failed(error: unknown): void
}

let waiting: Answer[] = []

function sendAll(): void {
  const all = waiting
  waiting = []
  for (const answer of all) {
    try {
      answer.send()
    } catch (error) {
      answer.failed(error)
    }
  }
}

/** Sends it at the end of this turn. */
export function sendAtEndOfTurn(answer: Answer): void {
  if (waiting.push(answer) === 1) setImmediate(sendAll)
}

/** Ends an answer that could not be written: nobody can be told but the log. */
export function abandonUnsent(
  response: AnyResponse,
  error: unknown,
  method: string,
  log: Log,
): void {
  log.error({ error, method }, 'an answer could not be written')
  response.destroy()
}
