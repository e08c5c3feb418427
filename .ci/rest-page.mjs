// Writes docs/rest.md from the OpenAPI document that a server gives.
//
//   node .ci/rest-page.mjs [--check]
// --check fails if the page is not what the server says.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createServer } from 'omendb/server'

const page = fileURLToPath(new URL('../docs/rest.md', import.meta.url))

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

function endpoint(path, method, { summary, description, parameters, requestBody, responses }) {
  const lines = [`## ${method.toUpperCase()} ${path}`, '', `${summary}. ${description}`, '']
  const query = parameters.filter((p) => p.in !== 'path' && p.name !== 'omendb-request-id')
  const rows = query.map((p) => `| \`${p.name}\` | ${typeOf(p.schema)} | ${p.description} |`)
  if (rows.length > 0) lines.push('| Query | | |', '|---|---|---|', ...rows, '')
  const content = requestBody?.content ?? {}
  const json = content['application/json']
  const fields = json ? fieldsOf(json.schema) : []
  if (fields.length > 0) lines.push('| Body | | |', '|---|---|---|', ...fields, '')
  if (content['application/octet-stream'])
    lines.push('Or `application/octet-stream`: float32, little-endian, row after row.', '')
  const [status, answer] = Object.entries(responses).find(([s]) => s !== 'default')
  const [type, body] = Object.entries(answer.content ?? {})[0] ?? []
  const what = type === undefined ? '' : type === 'application/json' ? typeOf(body.schema) : type
  lines.push(what === '' ? `Answers ${status}.` : `Answers ${status}: ${what}.`, '')
  return lines
}

const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
const api = await (await fetch(`${server.url}/openapi.json`)).json()
await server.close()
const lines = [
  '# REST',
  '',
  'Written by `npm run build:rest-page` from `/openapi.json`, where a server says the same to',
  'programs. [server.md](server.md) tells of keys, limits and errors. Errors are',
  '`application/problem+json` with the codes of [errors.md](errors.md). A write with the header',
  '`omendb-request-id` is done once, however often it is sent within 10 minutes;',
  '`omendb-timeout-ms` bounds the time of any request.',
  '',
]
for (const [path, methods] of Object.entries(api.paths))
  for (const [method, operation] of Object.entries(methods))
    lines.push(...endpoint(path, method, operation))
const text = `${lines.join('\n').trimEnd()}\n`
if (!process.argv.includes('--check')) writeFileSync(page, text)
else if (readFileSync(page, 'utf8') !== text) {
  console.error('docs/rest.md is not what the server says: run npm run build:rest-page')
  process.exit(1)
}
