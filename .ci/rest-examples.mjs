// An example of each endpoint of REST, sent to a server in this order, with what it answered.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createServer } from 'omendb/server'

const FILMS = '/v1/collections/films'
const ADDRESS = 'http://localhost:8080'

/** The endpoint, the path, the body. `says: false`: the answer differs from time to time. */
const EXAMPLES = [
  ['GET /healthz', '/healthz'],
  ['GET /readyz', '/readyz'],
  [
    'POST /v1/collections',
    '/v1/collections',
    { name: 'films', dimensions: 3, metric: 'l2', schema: { year: 'number' } },
  ],
  ['PUT /v1/collections/{name}', FILMS, { dimensions: 3 }],
  ['GET /v1/collections', '/v1/collections'],
  [
    'POST /v1/collections/{name}/records',
    `${FILMS}/records`,
    {
      ids: ['alien', 'brazil', 'heat'],
      vectors: [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ],
      metadata: [{ year: 1979 }, { year: 1985 }, { year: 1995 }],
    },
  ],
  [
    'PUT /v1/collections/{name}/records',
    `${FILMS}/records`,
    {
      ids: ['alien', 7],
      vectors: [[1, 0, 0.5], 'AACAPwAAgD8AAIA/'],
      metadata: [{ year: 1979 }, {}],
    },
  ],
  ['GET /v1/collections/{name}/records/{id}', `${FILMS}/records/s:alien?include=both`],
  [
    'PATCH /v1/collections/{name}/records/{id}',
    `${FILMS}/records/s:heat`,
    { metadata: { seen: true }, unset: ['year'] },
  ],
  [
    'POST /v1/collections/{name}/records/get',
    `${FILMS}/records/get`,
    { ids: ['heat', 7, 'absent'] },
  ],
  [
    'POST /v1/collections/{name}/records/scroll',
    `${FILMS}/records/scroll`,
    { limit: 2, include: 'none' },
  ],
  ['POST /v1/collections/{name}/count', `${FILMS}/count`, { filter: { year: { $lt: 1990 } } }],
  [
    'POST /v1/collections/{name}/search',
    `${FILMS}/search`,
    { vector: [1, 0, 0], k: 2, filter: { year: { $gte: 1970 } } },
  ],
  [
    'POST /v1/collections/{name}/search/batch',
    `${FILMS}/search/batch`,
    {
      vectors: [
        [1, 0, 0],
        [0, 0, 1],
      ],
      k: 1,
    },
  ],
  ['POST /v1/collections/{name}/explain', `${FILMS}/explain`, { vector: [1, 0, 0], k: 2 }, false],
  ['GET /v1/collections/{name}', FILMS, undefined, false],
  ['GET /v1/stats', '/v1/stats', undefined, false],
  ['GET /v1/check', '/v1/check', undefined, false],
  ['GET /metrics', '/metrics', undefined, false],
  ['GET /openapi.json', '/openapi.json', undefined, false],
  ['POST /v1/flush', '/v1/flush'],
  ['POST /v1/backup', '/v1/backup', undefined, false],
  ['DELETE /v1/collections/{name}/records/{id}', `${FILMS}/records/i:7`],
  [
    'DELETE /v1/collections/{name}/records',
    `${FILMS}/records`,
    { filter: { year: { $exists: false } } },
  ],
  ['POST /v1/collections/{name}/optimize', `${FILMS}/optimize`],
  ['POST /v1/collections/{name}/clear', `${FILMS}/clear`],
  ['DELETE /v1/collections/{name}', FILMS],
]

function commandOf(method, at, body) {
  const verb = method === (body === undefined ? 'GET' : 'POST') ? '' : `-X ${method} `
  const words = [`curl -s ${verb}'${ADDRESS}${at}'`]
  if (body !== undefined)
    words.push(`-H 'content-type: application/json' -d '${JSON.stringify(body)}'`)
  if (method === 'POST' && at === '/v1/backup') words.push('-o backup.tar')
  return words.join(' \\\n  ')
}

/**
 * @returns {Promise<{ api: object, examples: Map<string, { command: string, answer?: string }> }>}
 *   The OpenAPI document, and examples by `METHOD path` as it writes them.
 */
export async function exampleAnswers() {
  const home = mkdtempSync(path.join(tmpdir(), 'omendb-rest-'))
  const options = { port: 0, grpcPort: false, logLevel: 'silent', data: path.join(home, 'db') }
  const server = await createServer(options)
  try {
    const api = await (await fetch(`${server.url}/openapi.json`)).json()
    const examples = new Map()
    for (const [endpoint, at, body, says = true] of EXAMPLES) {
      const [method] = endpoint.split(' ')
      const init = body === undefined ? {} : { body: JSON.stringify(body) }
      const headers = body === undefined ? {} : { 'content-type': 'application/json' }
      const response = await fetch(server.url + at, { method, headers, ...init })
      const text = await response.text()
      if (!response.ok) throw new Error(`${endpoint}: ${text}`)
      const answer = says && text !== '' ? { answer: text } : {}
      examples.set(endpoint, { command: commandOf(method, at, body), ...answer })
    }
    return { api, examples }
  } finally {
    await server.close()
    rmSync(home, { recursive: true, force: true })
  }
}
