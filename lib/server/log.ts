/**
 * The log: JSON lines of pino. Neither vectors, bodies, queries nor keys are ever handed to it.
 *
 * A library is silent unless it is told where to write; the command writes to its standard output.
 */

import { type DestinationStream, pino } from 'pino'
import type { LogLevel, LogTarget } from '../../types/server.js'

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
