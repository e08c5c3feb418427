/** The log: JSON lines of pino. Neither vectors, bodies, queries nor keys are ever handed to it. */

import { type DestinationStream, pino } from 'pino'
import type { LogLevel } from '../../types/server.js'

export type Log = ReturnType<typeof createLog>

export function createLog(level: LogLevel, destination?: DestinationStream) {
  const options = {
    level,
    base: null,
    serializers: { error: pino.stdSerializers.err },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
