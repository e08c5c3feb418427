/** Limits on what a message asks for: each judged before any work is done for it. */

import { OmenError } from '../../errors.js'

/** Throws ERR_LIMIT, which says what to do. */
export function checkLimit(value: number, limit: number, what: string): void {
  if (value <= limit) return
  const message = `${what}: ${value}, and this server takes at most ${limit}; split the request`
  throw new OmenError('ERR_LIMIT', message)
}
