// Writes docs/rest.md and a page for each endpoint in docs/rest/, from the OpenAPI document that a
// server gives, with examples that are sent to it: .ci/rest-examples.mjs.
//
//   node .ci/rest-pages.mjs [--check]
// --check fails if the pages are not what the server says.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { exampleAnswers } from './rest-examples.mjs'

const docs = fileURLToPath(new URL('../docs', import.meta.url))

/** A schema in a few words. */
function typeOf(schema) {
  if (schema.anyOf) {
    const constants = schema.anyOf.filter((s) => s.const !== undefined)
    if (constants.length === schema.anyOf.length)
      return constants.map((s) => `\`${s.const}\``).join(', ')
    return [...new Set(schema.anyOf.map(typeOf))].join(' or ')
  }
  if (schema.type === 'array') return `list of ${typeOf(schema.items)}`
  if (schema.type === 'object' && schema.properties)
    return `{ ${Object.keys(schema.properties).join(', ')} }`
  return schema.type ?? 'any'
}

function fieldsOf(schema) {
  const required = new Set(schema.required ?? [])
  return Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const note = field.description ? ` ${field.description}` : ''
    const needed = required.has(name) ? ' Required.' : ''
    return `| \`${name}\` | ${typeOf(field)} |${needed}${note} |`
  })
}

/** `post-collections-name-search`. */
function fileOf(method, url) {
  const parts = url.replace(/^\/v1/, '').match(/\w+/g) ?? []
  return [method, ...parts].join('-')
}

function parametersOf(parameters) {
  const places = [
    ['path', 'Path'],
    ['query', 'Query'],
    ['header', 'Header'],
  ]
  return places.flatMap(([place, head]) => {
    const rows = parameters
      .filter((p) => p.in === place)
      .map((p) => `| \`${p.name}\` | ${typeOf(p.schema)} | ${p.description ?? ''} |`)
    return rows.length === 0 ? [] : [`| ${head} | | |`, '|---|---|---|', ...rows, '']
  })
}

function bodyOf(requestBody) {
  const content = requestBody?.content ?? {}
  const json = content['application/json']
  const fields = json ? fieldsOf(json.schema) : []
  const lines = []
  if (fields.length > 0) lines.push('| Body | | |', '|---|---|---|', ...fields, '')
  if (content['application/octet-stream']) {
    lines.push(
      'Or `application/octet-stream`: float32, little-endian, row after row, with the query above',
      'in place of the other fields.',
      '',
    )
  }
  return lines
}

function answerOf(responses) {
  const [status, answer] = Object.entries(responses).find(([s]) => s !== 'default')
  const [type, body] = Object.entries(answer.content ?? {})[0] ?? []
  if (type === undefined) return [`Answers ${status}, without a body.`, '']
  if (type !== 'application/json') return [`Answers ${status}: ${type}.`, '']
  const fields = fieldsOf(body.schema)
  if (fields.length === 0) return [`Answers ${status}: ${typeOf(body.schema)}.`, '']
  return [`Answers ${status}:`, '', '| Answer | | |', '|---|---|---|', ...fields, '']
}

function exampleOf({ command, answer }) {
  const lines = ['```sh', command, '```', '']
  if (answer !== undefined) lines.push('```json', answer, '```', '')
  return lines
}

function page(url, method, operation, example) {
  const { summary, description, parameters, requestBody, responses } = operation
  return [
    `# ${method.toUpperCase()} ${url}`,
    '',
    `${summary}. ${description}`,
    '',
    ...parametersOf(parameters),
    ...bodyOf(requestBody),
    ...answerOf(responses),
    ...exampleOf(example),
    '[All endpoints](../rest.md), [errors](../errors.md)',
  ]
}

const { api, examples } = await exampleAnswers()
const pages = new Map()
const rows = []
for (const [url, methods] of Object.entries(api.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const name = `rest/${fileOf(method, url)}.md`
    const example = examples.get(`${method.toUpperCase()} ${url}`)
    if (example === undefined) throw new Error(`${method} ${url} has no example`)
    pages.set(name, page(url, method, operation, example))
    rows.push(`| [${method.toUpperCase()} ${url}](${name}) | ${operation.summary} |`)
  }
}
pages.set('rest.md', [
  '# REST',
  '',
  'Written by `npm run build:rest-pages` from `/openapi.json`, where a server says the same to',
  'programs, with the answers that a server gave. [server.md](server.md) tells of keys, limits and',
  'errors. Errors are `application/problem+json` with the codes of [errors.md](errors.md). A write',
  'with the header `omendb-request-id` is done once, however often it is sent within 10 minutes;',
  '`omendb-timeout-ms` bounds the time of any request. Where the server has keys, send',
  '`authorization: Bearer KEY`. Another method of a path is 405, and `Allow` names those that it',
  'has; a body of another content type is 415, and `Accept` names those that it takes.',
  '',
  '| Endpoint | |',
  '|---|---|',
  ...rows,
])

const folder = path.join(docs, 'rest')
const texts = new Map([...pages].map(([name, lines]) => [name, `${lines.join('\n').trimEnd()}\n`]))
if (process.argv.includes('--check')) {
  const stored = readdirSync(folder).map((name) => `rest/${name}`)
  const wrong = stored.filter((name) => !texts.has(name))
  for (const [name, text] of texts) {
    const isThere = name === 'rest.md' || stored.includes(name)
    if (!isThere || readFileSync(path.join(docs, name), 'utf8') !== text) wrong.push(name)
  }
  if (wrong.length > 0) {
    console.error(
      `docs/${wrong.join(', docs/')}: not what the server says: run npm run build:rest-pages`,
    )
    process.exit(1)
  }
} else {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const [name, text] of texts) writeFileSync(path.join(docs, name), text)
}
