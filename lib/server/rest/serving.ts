/**
 * Serving a route, by Fastify or directly: its checks, who calls it, and what a fault is told as.
 */

import { type TSchema, Type } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import { OmenError } from '../../errors.js'
import { argumentError } from '../../options.js'
import type { Caller } from '../caller.js'
import { type AnyRequest, type AnyResponse, exchangeOf } from '../exchange.js'
import { omenErrorOf, serverFault, withPath } from '../faults.js'
import type { Context } from '../handlers/context.js'
import type { Log } from '../log.js'
import { ResponseCaller } from '../response-caller.js'
import { HttpError } from './problem.js'
import type { Route } from './route.js'
import { JUDGED_ELSEWHERE, NoBody, NoQuery } from './schemas.js'

const TIMEOUT = 'omendb-timeout-ms'
export const JSON_BODY = 'application/json'
export const BYTES_BODY = 'application/octet-stream'

const options = { verbose: true, useDefaults: false, allowUnionTypes: true }
// Numbers of a query are texts; those of a body are not.
const bodies = new Ajv({ ...options, coerceTypes: false })
const queries = new Ajv({ ...options, coerceTypes: true })

/** Throws ERR_ARGUMENT with the path of what does not fit. */
function validatorOf(ajv: Ajv, schema: TSchema | undefined): (value: unknown) => void {
  if (schema === undefined) return () => {}
  const validate = ajv.compile(schema)
  return (value) => {
    if (validate(value)) return
    const faults = validate.errors ?? []
    const { instancePath = '', message = '', params } = faults[0] ?? {}
    const extra = (params as { additionalProperty?: string } | undefined)?.additionalProperty
    const path = instancePath.slice(1).replaceAll('/', '.')
    const known = extra === undefined ? message : `unknown key ${JSON.stringify(extra)}`
    // Of several values each tells that it is not this one.
    const values = faults.flatMap(({ keyword, schema }) => (keyword === 'const' ? [schema] : []))
    const what = values.length > 0 ? `must be one of ${values.join(', ')}` : known
    throw new OmenError('ERR_ARGUMENT', path === '' ? what : `${path}: ${what}`, {
      details: path === '' ? {} : { path },
    })
  }
}

/** The schema of a body without what is judged elsewhere. */
function shapeOf(schema: TSchema): TSchema {
  const properties: Record<string, TSchema> = { ...schema.properties }
  for (const key of JUDGED_ELSEWHERE) if (key in properties) properties[key] = Type.Unknown()
  return { ...schema, properties }
}

/** What a request gives, once it fits its route. */
export interface Given {
  readonly body: unknown
  /** A body of application/octet-stream. */
  readonly bytes: Uint8Array | undefined
}

/**
 * The check of a route: of its body, a Buffer where it is bytes, and of its query, whose numbers
 * become some.
 */
export function checkOf(route: Route): (body: unknown, query: unknown) => Given {
  // What a route does not know it refuses: who gives a filter to one that has none means less than
  // it does. Those that anybody may ask are asked by all sorts of programs.
  const isOpen = route.access === 'none'
  const body = route.body ?? (isOpen ? undefined : NoBody)
  const checkBody = validatorOf(bodies, body && shapeOf(body))
  const checkQuery = validatorOf(queries, route.query ?? (isOpen ? undefined : NoQuery))
  const { binaryQuery } = route
  const checkBinaryQuery = validatorOf(queries, binaryQuery)
  return (body, query) => {
    const given = body ?? {}
    if (Buffer.isBuffer(given)) {
      checkBinaryQuery(query) // There is one: mustBeOf let the bytes through.
      return { body: given, bytes: given }
    }
    checkQuery(query)
    checkBody(given)
    return { body: given, bytes: undefined }
  }
}

/** Whether a body is what its type says. Nothing is inflated: a small request stays small. */
export function isPlain({ headers }: AnyRequest): boolean {
  const encoding = headers['content-encoding']
  return encoding === undefined || encoding.toLowerCase() === 'identity'
}

/** Throws ERR_UNSUPPORTED, before a body is read. */
export function mustBePlain(request: AnyRequest): void {
  if (isPlain(request)) return
  const message = 'this server takes no compressed bodies: send it without content-encoding'
  throw new HttpError(message, 415, { 'accept-encoding': 'identity' })
}

/** Content types of the bodies that a route takes. */
export function typesOf({ binaryQuery }: Route): readonly string[] {
  return binaryQuery === undefined ? [JSON_BODY] : [JSON_BODY, BYTES_BODY]
}

function ofOtherType(types: readonly string[]): OmenError {
  const message = `a body here is of content type ${types.join(' or ')}`
  return new HttpError(message, 415, { accept: types.join(', ') })
}

/** Throws ERR_UNSUPPORTED, before a body is read. One that is empty is of any type. */
export function mustBeOf({ headers }: AnyRequest, types: readonly string[]): void {
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== undefined && types.includes(type)) return
  const isEmpty = headers['transfer-encoding'] === undefined && !Number(headers['content-length'])
  if (!isEmpty) throw ofOtherType(types)
  delete headers['content-type'] // Fastify would look for what reads it.
}

export function callerOf(request: AnyRequest, response: AnyResponse, { limits }: Context): Caller {
  const { pass } = exchangeOf(request)
  if (pass === undefined) throw new Error('a call came past the gate')
  const given = request.headers[TIMEOUT]
  if (given !== undefined && !/^\d{1,10}$/.test(String(given))) {
    throw argumentError(`${TIMEOUT} is a number of milliseconds`)
  }
  const timeoutMs = given === undefined ? limits.timeoutMs : Number(given)
  return new ResponseCaller(pass, response, Math.min(timeoutMs, limits.timeoutMs))
}

/** What the caller is told of it. A fault of the server's own is logged. */
export function toldOf(cause: unknown, request: AnyRequest, log: Log): OmenError {
  const exchange = exchangeOf(request)
  const error = faultOf(cause)
  if (error === undefined) {
    log.error({ error: cause, method: exchange.method }, 'a request failed unexpectedly')
  }
  const told = error ?? serverFault()
  exchange.code = told.code
  exchange.fault = withPath(told)
  return told
}

function faultOf(cause: unknown): OmenError | undefined {
  const known = omenErrorOf(cause)
  if (known !== undefined) return known
  const { code, statusCode, message } = cause as {
    code?: string
    statusCode?: number
    message?: string
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new OmenError('ERR_LIMIT', 'the body is larger than this server takes; split it')
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return ofOtherType([JSON_BODY]) // Behind mustBeOf: its parameters cannot be read.
  }
  if (code === 'FST_ERR_BAD_URL') {
    return argumentError('the path cannot be read: what stands behind a % is no byte of UTF-8')
  }
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return new OmenError('ERR_ID', 'a part of the path is longer than any id or name')
  }
  if (statusCode !== undefined && statusCode < 500) return argumentError(message ?? 'bad request')
  return undefined
}
