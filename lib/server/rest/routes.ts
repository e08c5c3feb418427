/**
 * REST: the routes behind Fastify, which parses, validates and sends; handlers are those of RPC.
 * Searches mostly go past it: direct.ts.
 *
 * A request has passed the gate when it comes here, with its body unread. Which key may use a route
 * is judged before the body is read as well.
 */

import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { ERROR_CODES, OmenError } from '../../errors.js'
import { mustWrite } from '../caller.js'
import { type AnyRequest, type AnyResponse, exchangeOf } from '../exchange.js'
import type { Context } from '../handlers/context.js'
import type { Log } from '../log.js'
import type { Metrics } from '../metrics.js'
import { databaseRoutes } from './database.js'
import { createDirect } from './direct.js'
import { parseJson } from './parse.js'
import { problemBytes, problemHeaders } from './problem.js'
import { RECORD_ROUTES, SEARCH_URL } from './records.js'
import { type Route, Written } from './route.js'
import { callerOf, checkOf, mustBePlain, toldOf } from './serving.js'

const PATH_PART_MAX = 4096

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
    // Of a path that the router cannot read, before there is a route.
    frameworkErrors: (cause, request, reply) => refuse(cause, request, reply, log),
    // The server's own listener calls what Fastify would have listened with.
    serverFactory: (handler) => {
      handle = handler as Handle
      return { once: () => {}, removeListener: () => {}, on: () => {} } as never
    },
  })
  addParsers(app, context)
  addFaults(app, log)
  const routes = routesOf(metrics)
  for (const route of routes) addRoute(app, route, context)
  await app.ready()
  const others = handle
  if (others === undefined) throw new Error('Fastify made no handler')
  const search = routes.find(({ url }) => url === SEARCH_URL) as Route
  const direct = createDirect(search, context, log)
  return (request, response) => {
    if (!direct(request, response)) others(request, response)
  }
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

function refuse(cause: unknown, request: FastifyRequest, reply: FastifyReply, log: Log) {
  const told = toldOf(cause, request.raw, log)
  const { httpStatus } = ERROR_CODES[told.code]
  return reply.code(httpStatus).headers(problemHeaders(told)).send(problemBytes(told))
}

function addFaults(app: FastifyInstance, log: Log): void {
  app.setNotFoundHandler((request, reply) => {
    const [path] = request.url.split('?')
    const error = new OmenError('ERR_NOT_FOUND', `there is no ${request.method} ${path}`)
    exchangeOf(request.raw).code = error.code
    return reply.code(404).headers(problemHeaders(error)).send(problemBytes(error))
  })
  app.setErrorHandler((cause, request, reply) => refuse(cause, request, reply, log))
  // Answers need no schema to be written by.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
}

function addRoute(app: FastifyInstance, route: Route, context: Context): void {
  const { method, url, access, answer, status } = route
  const check = checkOf(route)
  app.route({
    method,
    url,
    // What watches over servers often asks by HEAD.
    exposeHeadRoute: access === 'none',
    onRequest: async (request) => {
      const exchange = exchangeOf(request.raw)
      exchange.method = `${method} ${url}`
      if (access === 'write') mustWrite({ access: exchange.pass?.access ?? 'read' })
      mustBePlain(request.raw)
    },
    handler: async (request, reply) => {
      const given = check(request.body, request.query)
      const caller = callerOf(request.raw, reply.raw, context)
      const params = request.params as { name: string; id: string }
      const result = await route.run({ context, caller, params, query: request.query, ...given })
      if (answer === undefined) return reply.code(204).send()
      if (status !== undefined) reply.code(status)
      if (!(result instanceof Written)) return result
      return reply.header('content-type', result.contentType).send(result.body)
    },
  })
}
