/** Who calls, and how long the call may take: what handlers know beside their message. */

import type { NativeAddon } from '../../types/native.js'
import { Call } from '../call.js'
import { OmenError } from '../errors.js'

export type Access = 'read' | 'write'

export interface Caller {
  readonly access: Access
  /** A name for the key that was given, never the key: `readWrite[0]`. */
  readonly keyName: string
  /** Aborted when the caller has gone. Made when it is asked for: short calls never do. */
  readonly signal: AbortSignal
  readonly timeoutMs: number
  /** `omendb-request-id`, where it was given. */
  readonly requestId: string | undefined
  /** `omendb-instance`, where it was given: who the request was made for first. */
  readonly instance: string | undefined
}

/** @param tag  Of the receipt of a write. */
export function startCall(
  addon: NativeAddon,
  { signal, timeoutMs }: Caller,
  tag?: Uint8Array,
): Call {
  // Both are given, so that there is a call.
  const call = Call.start(addon, { signal, timeoutMs, onProgress: undefined }) as Call
  if (tag !== undefined) call.operation.keepReceipt(tag)
  return call
}

/** The same caller, with another time. */
export function withTime(caller: Caller, timeoutMs: number): Caller {
  const { access, keyName, signal, requestId, instance } = caller
  return { access, keyName, signal, requestId, instance, timeoutMs: Math.max(0, timeoutMs) }
}

export function mustWrite(caller: Pick<Caller, 'access'>): void {
  if (caller.access !== 'write') {
    throw new OmenError('ERR_FORBIDDEN', 'this API key may only read')
  }
}
