/**
 * REST: the routes behind Fastify, which parses, validates and sends; handlers are those of RPC.
 *
 * A request has passed the gate when it comes here, with its body unread. Which key may use a route
 * is judged before the body is read as well.
 */

import type { TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { ERROR_CODES, OmenError } from '../../errors.js'
import { argumentError } from '../../options.js'
import { type Caller, mustWrite } from '../caller.js'
import { type AnyRequest, type AnyResponse, exchangeOf } from '../exchange.js'
import { omenErrorOf, serverFault } from '../faults.js'
import type { Context } from '../handlers/context.js'
import type { Log } from '../log.js'
import type { Metrics } from '../metrics.js'
import { ResponseCaller } from '../response-caller.js'
import { databaseRoutes } from './database.js'
import { problemBytes, problemHeaders } from './problem.js'
import { RECORD_ROUTES } from './records.js'
import type { Route } from './route.js'

const PATH_PART_MAX = 4096
const TIMEOUT = 'omendb-timeout-ms'

type Handle = (request: AnyRequest, response: AnyResponse) => void

/** The routes in their order, for the server and for its description. */
export function routesOf(metrics: Metrics): readonly Route[] {
  const all: Route[] = []
  all.push(...databaseRoutes(metrics, () => all), ...RECORD_ROUTES)
  return all
}

export async function createRest(context: Context, metrics: Metrics, log: Log): Promise<Handle> {
  let handle: Handle | undefined
  const app = fastify({
    logger: false,
    bodyLimit: context.limits.bodyBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: PATH_PART_MAX },
    // The server's own listener calls what Fastify would have listened with.
    serverFactory: (handler) => {
      handle = handler as Handle
      return { once: () => {}, removeListener: () => {}, on: () => {} } as never
    },
  })
  addParsers(app, context)
  addFaults(app, log)
  for (const route of routesOf(metrics)) addRoute(app, route, context)
  await app.ready()
  if (handle === undefined) throw new Error('Fastify made no handler')
  return handle
}

function addParsers(app: FastifyInstance, { limits }: Context): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseJson(body as Buffer, limits.jsonDepth))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  )
}

/** undefined where there is no body. */
function parseJson(body: Buffer, depthMax: number): unknown {
  if (body.length === 0) return undefined
  checkDepth(body, depthMax)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw argumentError('the body is no UTF-8')
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    // The message of JSON.parse quotes the text, which belongs in no log.
    const at = /position (\d+)/.exec((error as Error).message)?.[1]
    throw argumentError(`the body is no JSON${at === undefined ? '' : `, at character ${at}`}`)
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Before it is parsed: what is nested deep costs more than it should everywhere. */
function checkDepth(body: Buffer, depthMax: number): void {
  let depth = 0
  for (let i = 0; i < body.length; i++) {
    const byte = body[i]
    if (byte === QUOTE) {
      for (i++; i < body.length && body[i] !== QUOTE; i++) if (body[i] === BACKSLASH) i++
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > depthMax) {
        throw new OmenError('ERR_LIMIT', `the JSON is nested deeper than ${depthMax} levels`)
      }
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
}

function addFaults(app: FastifyInstance, log: Log): void {
  app.setNotFoundHandler((request, reply) => {
    const [path] = request.url.split('?')
    const error = new OmenError('ERR_NOT_FOUND', `there is no ${request.method} ${path}`)
    exchangeOf(request.raw).code = error.code
    return reply.code(404).headers(problemHeaders(error)).send(problemBytes(error))
  })
  app.setErrorHandler((cause, request, reply) => {
    const exchange = exchangeOf(request.raw)
    const error = faultOf(cause)
    if (error === undefined) {
      log.error({ error: cause, method: exchange.method }, 'a request failed unexpectedly')
    }
    const told = error ?? serverFault()
    exchange.code = told.code
    const { httpStatus } = ERROR_CODES[told.code]
    return reply.code(httpStatus).headers(problemHeaders(told)).send(problemBytes(told))
  })
  // Answers need no schema to be written by.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
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
    return argumentError('the content type is application/json, or application/octet-stream')
  }
  if (statusCode !== undefined && statusCode < 500) return argumentError(message ?? 'bad request')
  return undefined
}

// Numbers of a query are texts; those of a body are not.
const bodies = new Ajv({ coerceTypes: false, useDefaults: false, allowUnionTypes: true })
const queries = new Ajv({ coerceTypes: true, useDefaults: false, allowUnionTypes: true })

/** Throws ERR_ARGUMENT with the path of what does not fit. */
function validatorOf(ajv: Ajv, schema: TSchema | undefined): (value: unknown) => void {
  if (schema === undefined) return () => {}
  const validate = ajv.compile(schema)
  return (value) => {
    if (validate(value)) return
    const { instancePath = '', message = '', params } = validate.errors?.[0] ?? {}
    const extra = (params as { additionalProperty?: string } | undefined)?.additionalProperty
    const path = instancePath.slice(1).replaceAll('/', '.')
    const what = extra === undefined ? message : `unknown key ${JSON.stringify(extra)}`
    throw new OmenError('ERR_ARGUMENT', path === '' ? what : `${path}: ${what}`, {
      details: path === '' ? {} : { path },
    })
  }
}

function addRoute(app: FastifyInstance, route: Route, context: Context): void {
  const { method, url, access, body, query, binaryQuery, answer, status } = route
  const checkBody = validatorOf(bodies, body)
  const checkQuery = validatorOf(queries, query)
  const checkBinaryQuery = validatorOf(queries, binaryQuery)
  app.route({
    method,
    url,
    onRequest: async (request) => {
      const exchange = exchangeOf(request.raw)
      exchange.method = `${method} ${url}`
      if (access === 'write') mustWrite({ access: exchange.pass?.access ?? 'read' })
    },
    handler: async (request, reply) => {
      const given = request.body
      const bytes = Buffer.isBuffer(given) ? given : undefined
      if (bytes !== undefined) {
        if (binaryQuery === undefined) throw argumentError('this route takes no bytes')
        checkBinaryQuery(request.query)
      } else {
        checkQuery(request.query)
        checkBody(given ?? {})
      }
      const result = await route.run({
        context,
        caller: callerOf(request, reply, context),
        params: request.params as { name: string; id: string },
        query: request.query,
        body: given ?? {},
        bytes,
        reply,
      })
      if (answer === undefined) return reply.code(204).send()
      if (status !== undefined) reply.code(status)
      return result
    },
  })
}

function callerOf(request: FastifyRequest, reply: FastifyReply, { limits }: Context): Caller {
  const { pass } = exchangeOf(request.raw)
  if (pass === undefined) throw new Error('a call came past the gate')
  const given = request.headers[TIMEOUT]
  if (given !== undefined && !/^\d{1,10}$/.test(String(given))) {
    throw argumentError(`${TIMEOUT} is a number of milliseconds`)
  }
  const timeoutMs = given === undefined ? limits.timeoutMs : Number(given)
  return new ResponseCaller(pass, reply.raw, Math.min(timeoutMs, limits.timeoutMs))
}
