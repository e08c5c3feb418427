/**
 * The log: JSON lines of pino. Neither vectors, bodies, queries nor keys are ever handed to it.
 *
 * A library is silent unless it is told where to write; the command writes to its standard output.
 */

import { type DestinationStream, pino } from 'pino'
import type { LogLevel, LogTarget } from '../../types/server.js'
import type { Progress } from '../../types/values.js'

export type Log = ReturnType<typeof createLog>

/** @param target  Left out: nothing is written. */
export function createLog(level: LogLevel, target: LogTarget | undefined) {
  const options = {
    level: target === undefined ? 'silent' : level,
    base: null,
    serializers: { error: pino.stdSerializers.err },
  }
  return pino(options, harmless(target))
}

const OPENING_MS = 2_000

/** How far a long opening is: a line every two seconds. */
export function tellOpening(log: Log): (progress: Progress) => void {
  let told = performance.now()
  return ({ done, total }) => {
    const now = performance.now()
    if (now - told < OPENING_MS) return
    told = now
    log.info({ done, total }, 'opening the database: linking records into the graph')
  }
}

/** A target of the caller's that throws fails no request. */
function harmless(target: LogTarget | undefined): DestinationStream {
  return {
    write(line) {
      try {
        target?.write(line)
      } catch {
        // There is nowhere to tell it: this was the place.
      }
    },
  }
}

/** The standard output, written to at once. */
export function standardOutput(): LogTarget {
  return pino.destination({ dest: 1, sync: true })
}
