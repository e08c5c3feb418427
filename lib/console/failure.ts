/** Failures of calls as the page tells them: what happened, the code, and what to do. */

import { ERROR_CODES, OmenError } from 'omendb/client'

export function failureOf(error: unknown): string {
  if (!(error instanceof OmenError)) return `The page failed: ${(error as Error).message}`
  const { code, message } = error
  const end = /[.!?]$/.test(message) ? '' : '.'
  return `${code}: ${message}${end} ${ERROR_CODES[code].advice}`
}
