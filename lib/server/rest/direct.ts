/**
 * Searches over REST, without Fastify between the socket and the handler.
 *
 * Why: that way takes half as long as a search again, a tenth of the whole request
 * (docs/decisions/0029). What is not plain (a path that is escaped, a body that is compressed or of
 * unknown length, other types of content) goes Fastify's way still, and so does every other route.
 * Invariant: callers cannot tell which way they went: server-direct.test.ts.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse } from 'node:querystring'
import { bodyOf } from '../body.js'
import { type AnyRequest, type AnyResponse, exchangeOf, isGone } from '../exchange.js'
import type { Context } from '../handlers/context.js'
import type { Log } from '../log.js'
import { abandonUnsent, sendAtEndOfTurn } from '../turn.js'
import { parseJson } from './parse.js'
import { problemBytes, problemHeaders, statusOf } from './problem.js'
import type { Route, Written } from './route.js'
import { callerOf, checkOf, isPlain, toldOf } from './serving.js'

const PATH = /^\/v1\/collections\/([\w.~-]{1,512})\/search(?:\?(.*))?$/
const TYPES = new Set<string | undefined>(['application/json', 'application/octet-stream'])

/** Serves a request if it is such a search; else false, and the request is untouched. */
export function createDirect(route: Route, context: Context, log: Log) {
  const { limits } = context
  const method = `${route.method} ${route.url}`
  const check = checkOf(route)

  async function serve(
    request: IncomingMessage,
    response: ServerResponse,
    name: string,
    queryText: string,
  ): Promise<void> {
    try {
      exchangeOf(request).method = method
      const body = await bodyOf(request, limits.bodyBytes)
      const isJson = request.headers['content-type'] === 'application/json'
      const query = parse(queryText)
      const given = check(isJson ? parseJson(body, limits.jsonDepth) : body, query)
      const caller = callerOf(request, response, context)
      const params = { name, id: '' }
      const found = (await route.run({ context, caller, params, query, ...given })) as Written
      const headers = { 'content-type': found.contentType }
      sendAtEndOfTurn({
        send: () => answer(response, 200, headers, found.body as string),
        failed: (error) => abandonUnsent(response, error, method, log),
      })
    } catch (error) {
      const told = toldOf(error, request, log)
      answer(response, statusOf(told), problemHeaders(told), problemBytes(told))
    }
  }

  return (request: AnyRequest, response: AnyResponse): boolean => {
    const { headers, method: verb, url = '' } = request
    if (verb !== 'POST' || !TYPES.has(headers['content-type'])) return false
    if (headers['content-length'] === undefined || !isPlain(request)) return false
    const found = PATH.exec(url)
    if (found === null) return false
    const [, name = '', query = ''] = found
    serve(request as IncomingMessage, response as ServerResponse, name, query).catch(
      (error: unknown) => abandonUnsent(response, error, method, log),
    )
    return true
  }
}

/** Nothing where the caller has gone: the listener sees that. */
function answer(
  response: ServerResponse,
  status: number,
  headers: Record<string, string>,
  body: string | Buffer,
): void {
  if (isGone(response)) return
  response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
  response.end(body)
}
