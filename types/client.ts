/** The client: its options, and what only it has. */

import type { CollectionOptions } from './options.js'

/** Options of `new Client()`. Those of a collection apply to the one named `default`. */
export interface ClientOptions extends CollectionOptions {
  /** Sent as `authorization: Bearer KEY`. Beside a header of that name: ERR_ARGUMENT. */
  apiKey?: string | undefined
  /**
   * Milliseconds that a call may take, waiting and retries included, where the call itself says
   * nothing else. Infinity: no bound. Default 30 000.
   */
  timeoutMs?: number | undefined
  /**
   * How often a call is repeated after the server could not be reached or had no room: reads, and
   * writes under the same request id. 0 to 10. Default 4.
   */
  retries?: number | undefined
  /**
   * Headers of every request, for a proxy on the way: names and values as HTTP has them, but for
   * those of the connection (`content-length`) and of the protocol. Others, and two that differ in
   * case alone, are ERR_ARGUMENT.
   */
  headers?: { readonly [name: string]: string } | undefined
}

/** A web `ReadableStream` of bytes, in the parts that every platform has. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  readonly locked: boolean
  cancel(reason?: unknown): Promise<void>
  getReader(): {
    read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
    cancel(reason?: unknown): Promise<void>
    releaseLock(): void
  }
}
