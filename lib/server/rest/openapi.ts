/** OpenAPI 3.1 of the routes, whose schemas are JSON Schema already. */

import type { TSchema } from '@sinclair/typebox'
import type { Route } from './route.js'
import { Answers } from './schemas.js'
import { BYTES_BODY, JSON_BODY } from './serving.js'

interface ObjectSchema {
  properties?: Record<string, TSchema & { description?: string }>
  required?: readonly string[]
}

const PARAMETERS = {
  name: { type: 'string', description: '1 to 64 of A-Z a-z 0-9 _ -' },
  id: { type: 'string', description: 'i:1 for the integer 1, s:abc for the text abc' },
} as const

const WRITE_HEADER = {
  name: 'omendb-request-id',
  in: 'header',
  required: false,
  description: 'Under the same id a write is done once, for 10 minutes: 1 to 64 of A-Z a-z 0-9 _ -',
  schema: { type: 'string' },
}

function parametersOf(route: Route): object[] {
  const { url, query, binaryQuery, access } = route
  const inPath = (['name', 'id'] as const)
    .filter((name) => url.includes(`/:${name}`))
    .map((name) => {
      const { description, ...schema } = PARAMETERS[name]
      return { name, in: 'path', required: true, description, schema }
    })
  const given = (query ?? binaryQuery) as ObjectSchema | undefined
  const inQuery = Object.entries(given?.properties ?? {}).map(([name, { ...schema }]) => ({
    name,
    in: 'query',
    required: false,
    description: [binaryQuery === undefined ? '' : 'With a binary body.', schema.description ?? '']
      .join(' ')
      .trim(),
    schema,
  }))
  return [...inPath, ...inQuery, ...(access === 'write' ? [WRITE_HEADER] : [])]
}

function bodyOf({ body, binaryQuery }: Route): object | undefined {
  if (body === undefined) return undefined
  const content: Record<string, object> = { [JSON_BODY]: { schema: body } }
  if (binaryQuery !== undefined) {
    content[BYTES_BODY] = {
      schema: { type: 'string', format: 'binary', description: 'float32, little-endian, by rows' },
    }
  }
  return { required: ((body as ObjectSchema).required ?? []).length > 0, content }
}

function answerOf({ answer, status }: Route): Record<string, object> {
  if (answer === undefined) return { 204: { description: 'Done.' } }
  const types = { text: 'text/plain', tar: 'application/x-tar' } as const
  const content =
    typeof answer === 'string'
      ? { [types[answer as keyof typeof types]]: { schema: { type: 'string' } } }
      : { 'application/json': { schema: answer } }
  return { [status ?? 200]: { description: 'Done.', content } }
}

/** `/v1/collections/{name}` from `/v1/collections/:name`. */
export function openApiPath(url: string): string {
  return url.replace(/:(\w+)/g, '{$1}')
}

export function openApi(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {}
  const problem = {
    description: 'What went wrong: docs/errors.md lists the codes and their status.',
    content: { 'application/problem+json': { schema: Answers.problem } },
  }
  const otherType = { ...problem, description: 'The body is of another type, or compressed.' }
  for (const route of routes) {
    const { method, url, summary, access } = route
    const requestBody = bodyOf(route)
    const refusals = requestBody === undefined ? {} : { 415: otherType }
    const at = openApiPath(url)
    paths[at] = {
      ...paths[at],
      [method.toLowerCase()]: {
        summary,
        description: access === 'none' ? 'Needs no key.' : `Needs a key that may ${access}.`,
        ...(access === 'none' ? { security: [] } : {}),
        parameters: parametersOf(route),
        ...(requestBody === undefined ? {} : { requestBody }),
        responses: { ...answerOf(route), ...refusals, default: problem },
      },
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'OmenDB', version: 'v1', license: { name: 'Apache-2.0' } },
    security: [{ key: [] }],
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    paths,
  }
}
