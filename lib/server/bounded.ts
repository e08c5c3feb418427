/**
 * Waiting for what cannot be ended once it runs: the caller's time ends the waiting, and the work
 * goes on. What native code can end has a Call instead.
 */

import { OmenError } from '../errors.js'
import type { Caller } from './caller.js'

const TIMER_MS_MAX = 2 ** 31 - 1

/**
 * What `work` comes to, if it comes in time. It does not begin where no time is left.
 *
 * @param late  What is said then.
 * @throws {OmenError} ERR_TIMEOUT, ERR_ABORTED; what `work` throws.
 */
export async function within<T>(
  { signal, timeoutMs }: Pick<Caller, 'signal' | 'timeoutMs'>,
  work: () => Promise<T>,
  late = `not done within ${timeoutMs} ms`,
): Promise<T> {
  if (timeoutMs <= 0) throw new OmenError('ERR_TIMEOUT', late)
  let timer: NodeJS.Timeout | undefined
  let gone = (): void => {}
  const over = new Promise<never>((_, reject) => {
    if (timeoutMs <= TIMER_MS_MAX)
      timer = setTimeout(() => reject(new OmenError('ERR_TIMEOUT', late)), timeoutMs)
    gone = () => reject(new OmenError('ERR_ABORTED', 'the caller has gone'))
    if (signal.aborted) gone()
    else signal.addEventListener('abort', gone)
  })
  try {
    return await Promise.race([work(), over])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', gone)
  }
}
