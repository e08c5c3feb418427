/**
 * Turn: answers that are ready in one turn of the event loop leave together, at its end.
 *
 * Why: to write to a socket wakes whoever sleeps on the other side, which costs more than a search
 * (docs/decisions/0029). A caller with many connections is woken once by a burst, and its next
 * requests come as one. A lone request loses some microseconds.
 */

let waiting: (() => void)[] = []

function sendAll(): void {
  const all = waiting
  waiting = []
  for (const send of all) send()
}

/** Calls `send`, which throws nothing, at the end of this turn. */
export function sendAtEndOfTurn(send: () => void): void {
  if (waiting.push(send) === 1) setImmediate(sendAll)
}
