/** A route of REST: what it takes and answers, who may ask, and what it does. */

import type { Readable } from 'node:stream'
import type { TSchema } from '@sinclair/typebox'
import type { Access, Caller } from '../caller.js'
import type { Context } from '../handlers/context.js'

/** One request, as routes see it. */
export interface Asked {
  readonly context: Context
  readonly caller: Caller
  readonly params: { readonly name: string; readonly id: string }
  // biome-ignore lint/suspicious/noExplicitAny: validated by the route's schema, and cast by it.
  readonly query: any
  // biome-ignore lint/suspicious/noExplicitAny: validated by the route's schema, and cast by it.
  readonly body: any
  /** A body of application/octet-stream. */
  readonly bytes: Uint8Array | undefined
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** An answer that is written already. */
export class Written {
  constructor(
    readonly contentType: string,
    readonly body: string | Readable,
  ) {}
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `:name` and `:id` are the parameters. */
  readonly url: string
  readonly summary: string
  /** `none`: no key is asked for. */
  readonly access: Access | 'none'
  readonly query?: TSchema
  readonly body?: TSchema
  /** Vectors may come as bytes, with the query in place of the rest of the body. */
  readonly binaryQuery?: TSchema
  /** 200 and JSON unless said otherwise. Left out: 204. */
  readonly answer?: TSchema | 'text' | 'tar'
  readonly status?: 201
  /** What is sent as JSON, or Written. */
  run(asked: Asked): Promise<unknown>
}
