// Messages name what their reader can do: flags at a shell, requests over REST, and ids as one
// writes them there. They spoke of `readOnly: true`, `clear()` and `-2n`.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Client, DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const home = mkdtempSync(path.join(tmpdir(), 'omendb-words-'))
after(() => rmSync(home, { recursive: true, force: true }))

/** What a command of the package writes to stderr. */
function told(program, ...args) {
  const file = path.join(root, 'dist/lib', program, 'main.js')
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], { cwd: home, timeout: 30_000 }, (_, _out, err) =>
      resolve(err),
    )
  })
}

async function served(t, options = {}) {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent', ...options })
  t.after(() => server.close())
  await server.ready
  const ask = async (method, at, body) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${server.url}/v1${at}`, {
      method,
      headers,
      body: JSON.stringify(body),
    })
    return response.json()
  }
  return { server, ask }
}

const METHODS = /\bn\b|readOnly|createIfMissing|maxMemoryBytes|clear\(\)|optimize\(\)|upsert(?! )/

test('at a shell, advice is of flags', async () => {
  const where = path.join(home, 'a.omendb')
  const file = path.join(home, 'rows.jsonl')
  const importing = (text, ...more) => {
    writeFileSync(file, `${text}\n`)
    return told('cli', 'import', file, '--to', where, ...more)
  }
  const db = await DB.open(where, { dimensions: 2 })
  await db.add({ id: 1, vector: [1, 2] })
  const locked = await importing('{"id":2,"vector":[1,2]}')
  assert.match(locked, /ERR_LOCKED: .* for writing; close it there$/m)
  const start = ['--port', '0', '--grpc-port', 'none', '--data']
  assert.match(await told('server', ...start, where), /close it there, or start with --read-only$/m)
  await db.close()
  assert.match(await importing('{"id":1,"vector":[1,2]}'), /ERR_EXISTS.*; --upsert replaces it$/m)
  const none = path.join(home, 'none.omendb')
  for (const command of ['check', 'stats', 'export']) {
    const text = await told(
      'cli',
      command,
      none,
      ...(command === 'export' ? ['--out', 'x.csv'] : []),
    )
    assert.match(text, /no database is at .*none\.omendb; check the path$/m)
  }
  const missing = await told('server', ...start, none, '--read-only')
  assert.match(missing, /check the path, or start without --read-only$/m)
  for (const id of ['{"$int":"18446744073709551616"}', '-2', '1.5', '1e300']) {
    const text = await importing(`{"id":${id},"vector":[1,2]}`)
    assert.match(text, /ERR_ID/)
    assert.ok(!/\dn\b|bigint/.test(text), text)
  }
  const twice = '{"id":{"$int":"18446744073709551615"},"vector":[1,2]}'
  assert.match(await importing(`${twice}\n${twice}`), /id 18446744073709551615 is also in row 0/)
})

test('over REST, advice is of requests', async (t) => {
  const { ask } = await served(t)
  await ask('POST', '/collections', { name: 'c', dimensions: 2 })
  const rows = {
    ids: [1, { $int: '18446744073709551615' }],
    vectors: [
      [1, 2],
      [3, 4],
    ],
  }
  await ask('POST', '/collections/c/records', rows)
  const details = {}
  for (const [name, method, at, body] of [
    ['exists', 'POST', '/collections/c/records', rows],
    ['big', 'POST', '/collections/c/records', { ids: [rows.ids[1]], vectors: [[1, 2]] }],
    ['missing', 'PATCH', '/collections/c/records/i:7', { metadata: {} }],
    ['all', 'DELETE', '/collections/c/records', { filter: {} }],
    ['negative', 'POST', '/collections/c/records', { ids: [-2], vectors: [[1, 2]] }],
    [
      'other',
      'POST',
      '/collections/c/records',
      {
        ids: [1, 2],
        vectors: [
          [1, 2],
          [1, 'x'],
        ],
      },
    ],
  ]) {
    const { detail, title } = await ask(method, at, body)
    assert.ok(!METHODS.test(detail), detail)
    assert.ok(!METHODS.test(title), title)
    details[name] = detail
  }
  assert.match(details.exists, /id 1 exists; use PUT to replace it/)
  assert.match(details.big, /id 18446744073709551615 exists/)
  assert.match(details.missing, /or use PUT \.\.\.\/records/)
  assert.match(details.all, /use POST \.\.\.\/clear/)
  assert.match(details.negative, /^row 0: an id is a text, an integer from 0, or \{"\$int"/)
  assert.match(details.other, /^row 1: "x" is not a number/)
})

// `title` tells what to do for each code, in the words of requests and of the server's flags.
test('over REST, no advice is of a program', () => {
  const { ERROR_CODES } = createRequire(import.meta.url)('../../dist/lib/errors.js')
  const { REST_ADVICE } = createRequire(import.meta.url)('../../dist/lib/words.js')
  for (const [code, { advice }] of Object.entries(ERROR_CODES)) {
    const title = REST_ADVICE[code] ?? advice
    assert.doesNotMatch(title, /\b[a-z]+[A-Z]\w*|upsert|\(\)|Client|signal|[Rr]eopen|rebuild/, code)
  }
})

// Who generated a client from the contract has neither methods nor options of the library.
test('over gRPC and the JSON of Connect, advice is of the contract', async (t) => {
  const { server, ask } = await served(t)
  await ask('POST', '/collections', { name: 'c', dimensions: 2 })
  const send = async (method, body) => {
    const response = await fetch(`${server.url}/omendb.v1.OmenDB/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return (await response.json()).message
  }
  const vectors = Buffer.from(new Float32Array([1, 2]).buffer).toString('base64')
  const ids = { mixed: [{ integer: '18446744073709551615' }] }
  const write = { collection: 'c', rows: 1, batch: { vectors, ids } }
  assert.equal(await send('Write', write), undefined)
  const upsert = 'write it with the kind WRITE_KIND_UPSERT'
  const exists = `row 0: id 18446744073709551615 exists; ${upsert} to replace it`
  assert.equal(await send('Write', write), exists)
  assert.match(await send('Delete', { collection: 'c', filter: '{}' }), /every record: use Clear$/)
  const change = { collection: 'c', id: { integer: '7' }, metadata: '{}' }
  assert.equal(await send('Update', change), `no record has the id 7; add it first, or ${upsert}`)
})

// What was started with flags is told so to everybody; programs keep the words of programs.
test('a server tells that it only reads, and a client what a program may do', async (t) => {
  const data = path.join(home, 'b.omendb')
  const db = await DB.open(data, { dimensions: 2 })
  await db.add({ id: 1, vector: [1, 2] })
  await db.close()
  const { server, ask } = await served(t, { data, readOnly: true })
  const client = new Client(server.url)
  t.after(() => client.close())
  const c = await client.collection('default', { createIfMissing: false })
  const message = /start the server without --read-only to write/
  await assert.rejects(c.add({ id: 2, vector: [1, 2] }), { code: 'ERR_READ_ONLY', message })
  assert.match((await ask('POST', '/collections/default/clear', {})).detail, message)
  const other = new Client((await served(t)).server.url)
  t.after(() => other.close())
  await other.add({ id: 1, vector: [1, 2] })
  const taken = other.add({ id: 1, vector: [1, 2] })
  await assert.rejects(taken, { message: /use upsert to replace it/ })
})

// Advice that was reworded in the engine would come through unnoticed.
test('what is put into other words is still said', () => {
  const { REST, RPC, SERVED, SHELL, START } = createRequire(import.meta.url)(
    '../../dist/lib/words.js',
  )
  const sources = ['csrc', 'lib'].flatMap((place) =>
    readdirSync(path.join(root, place), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(cc|ts)$/.test(file) && file !== 'words.ts')
      .map((file) => readFileSync(path.join(root, place, file), 'utf8')),
  )
  for (const [said] of [...REST, ...RPC, ...SERVED, ...SHELL, ...START]) {
    if (said instanceof RegExp) continue
    const words = said.replace(/^[,;] /, '')
    assert.ok(
      sources.some((text) => text.includes(words)),
      `nothing says: ${words}`,
    )
  }
})
