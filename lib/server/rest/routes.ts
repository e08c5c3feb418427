/**
 * REST: the routes behind Fastify, which parses, validates and sends; handlers are those of RPC.
 * Searches mostly go past it: direct.ts.
 *
 * A request has passed the gate when it comes here, with its body unread. Which key may use a route
 * is judged before the body is read as well.
 */

import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { OmenError } from '../../errors.js'
import { mustWrite } from '../caller.js'
import { type AnyRequest, type AnyResponse, exchangeOf } from '../exchange.js'
import type { Context } from '../handlers/context.js'
import type { Log } from '../log.js'
import type { Metrics } from '../metrics.js'
import { databaseRoutes } from './database.js'
import { createDirect } from './direct.js'
import { parseJson } from './parse.js'
import { HttpError, problemBytes, problemHeaders, statusOf } from './problem.js'
import { RECORD_ROUTES, SEARCH_URL } from './records.js'
import { type Route, Written } from './route.js'
import {
  BYTES_BODY,
  callerOf,
  checkOf,
  JSON_BODY,
  mustBeOf,
  mustBePlain,
  toldOf,
  typesOf,
} from './serving.js'

const PATH_PART_MAX = 4096
/** Others are ERR_UNSUPPORTED everywhere. OPTIONS never comes here. */
const VERBS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

type Handle = (request: AnyRequest, response: AnyResponse) => void

/** The routes in their order, for the server and for its description. */
export function routesOf(metrics: Metrics): readonly Route[] {
  const all: Route[] = []
  all.push(...databaseRoutes(metrics, () => all), ...RECORD_ROUTES)
  return all
}

/** @param pages  Paths that are served before REST, by GET and HEAD. */
export async function createRest(
  context: Context,
  metrics: Metrics,
  log: Log,
  pages: Iterable<string>,
): Promise<Handle> {
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
  for (const [url, verbs] of verbsOf(routes, pages)) refuseOthers(app, url, verbs)
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
  app.addContentTypeParser(JSON_BODY, { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseJson(body as Buffer, limits.jsonDepth))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addContentTypeParser(BYTES_BODY, { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )
}

function refuse(cause: unknown, request: FastifyRequest, reply: FastifyReply, log: Log) {
  const told = toldOf(cause, request.raw, log)
  return reply.code(statusOf(told)).headers(problemHeaders(told)).send(problemBytes(told))
}

/** What each path takes. */
function verbsOf(routes: readonly Route[], pages: Iterable<string>): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const url of pages) found.set(url, new Set(['GET', 'HEAD']))
  for (const { url, method, access } of routes) {
    const verbs = found.get(url) ?? new Set()
    verbs.add(method)
    if (hasHead(access)) verbs.add('HEAD')
    found.set(url, verbs)
  }
  return found
}

function refuseOthers(app: FastifyInstance, url: string, verbs: ReadonlySet<string>): void {
  const taken = VERBS.filter((verb) => verbs.has(verb))
  app.route({
    method: VERBS.filter((verb) => !verbs.has(verb)),
    url,
    onRequest: async ({ method }) => {
      const message = `this path takes ${taken.join(', ')}, not ${method}`
      throw new HttpError(message, 405, { allow: taken.join(', ') })
    },
    handler: async () => {},
  })
}

function addFaults(app: FastifyInstance, log: Log): void {
  app.setNotFoundHandler((request, reply) => {
    const { method, url } = request
    const isVerb = VERBS.some((verb) => verb === method)
    const error = isVerb
      ? new OmenError('ERR_NOT_FOUND', `there is no ${method} ${url.split('?', 1)[0]}`)
      : new OmenError('ERR_UNSUPPORTED', `this server takes ${VERBS.join(', ')}, not ${method}`)
    return refuse(error, request, reply, log)
  })
  app.setErrorHandler((cause, request, reply) => refuse(cause, request, reply, log))
  // Answers need no schema to be written by.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
}

/** What watches over servers often asks by HEAD. */
function hasHead(access: Route['access']): boolean {
  return access === 'none'
}

function addRoute(app: FastifyInstance, route: Route, context: Context): void {
  const { method, url, access, answer, status } = route
  const check = checkOf(route)
  const types = typesOf(route)
  app.route({
    method,
    url,
    exposeHeadRoute: hasHead(access),
    onRequest: async (request) => {
      const exchange = exchangeOf(request.raw)
      exchange.method = `${method} ${url}`
      if (access === 'write') mustWrite({ access: exchange.pass?.access ?? 'read' })
      mustBePlain(request.raw)
      if (method !== 'GET') mustBeOf(request.raw, types)
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
