// Bugs of writes under a request id that was used before: each answered that rows were stored which
// nobody had stored.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import protocol from '../../dist/lib/wire/protocol.js'
import { createServer } from '../../dist/server.mjs'

const { create, OmenDB, toBinary, UploadRequestSchema } = protocol

function asking(url) {
  return async (id, method, at, body) => {
    const headers = { 'content-type': 'application/json', 'omendb-request-id': id }
    const init = { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) }
    const response = await fetch(`${url}/v1/collections/${at}`, init)
    const text = await response.text()
    return text === '' ? {} : JSON.parse(text)
  }
}

function envelope(message) {
  const bytes = toBinary(UploadRequestSchema, create(UploadRequestSchema, { message }))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** What an upload of rows of 2 dimensions is answered, as text. */
async function upload(url, id, begin) {
  const vectors = new Uint8Array(new Float32Array(2 * begin.rows).fill(1).buffer)
  const parts = [{ case: 'begin', value: { dimensions: 2, ...begin } }]
  parts.push({ case: 'batch', value: { vectors } })
  const headers = {
    'content-type': 'application/connect+proto',
    'connect-protocol-version': '1',
    'omendb-request-id': id,
  }
  const body = Buffer.concat(parts.map(envelope))
  const response = await fetch(`${url}/${OmenDB.typeName}/Upload`, {
    method: 'POST',
    headers,
    body,
  })
  return Buffer.from(await response.arrayBuffer()).toString('latin1')
}

for (const where of ['memory', 'disk']) {
  test(`in ${where}, an id of another write is refused, and never answered for it`, async (t) => {
    const options = { port: 0, grpcPort: false, logLevel: 'silent' }
    if (where === 'disk') {
      options.data = mkdtempSync(path.join(tmpdir(), 'omendb-issue-'))
      t.after(() => rmSync(options.data, { recursive: true, force: true }))
    }
    let server = await createServer(options)
    t.after(() => server.close())
    await server.ready
    const ask = (...given) => asking(server.url)(...given)
    const count = async (name) => (await ask('none', 'POST', `${name}/count`, {})).count
    await ask('make-c', 'PUT', 'c', { dimensions: 2 })
    await ask('make-d', 'PUT', 'd', { dimensions: 2 })

    const one = { ids: ['a'], vectors: [[1, 0]] }
    const write = (id, method, rows) => ask(id, method, 'c/records', rows)
    assert.deepEqual(await write('w', 'POST', one), { ids: ['a'] })
    assert.deepEqual(await write('g', 'POST', { vectors: [[0, 1]] }), { ids: [0] })
    assert.equal((await ask('x', 'DELETE', 'c/records', { ids: ['none'] })).deleted, 0)
    assert.doesNotMatch(await upload(server.url, 'u', { collection: 'c', rows: 3 }), /error/)
    const begin = () => upload(server.url, 'u', { collection: 'c', rows: 3 })

    const check = async () => {
      // The same again is answered as it was.
      assert.deepEqual(await write('w', 'POST', one), { ids: ['a'] })
      assert.deepEqual(await write('g', 'POST', { vectors: [[0, 1]] }), { ids: [0] })
      assert.doesNotMatch(await begin(), /error/)
      // Another is not.
      for (const answer of [
        await write('w', 'PUT', { ids: ['q'], vectors: [[1, 1]] }),
        await write('w', 'PUT', one),
        await write('w', 'POST', { ids: ['q'], vectors: [[1, 1]] }),
        await write('g', 'POST', {
          vectors: [
            [0, 1],
            [1, 1],
          ],
        }),
        await ask('x', 'DELETE', 'c/records', { ids: ['a'] }),
      ]) {
        assert.equal(answer.code, 'ERR_ARGUMENT')
        assert.match(answer.detail, /request id \w was used/)
      }
      for (const other of [{ collection: 'd' }, { kind: 1 }, { rows: 4 }]) {
        const answer = await upload(server.url, 'u', { collection: 'c', rows: 3, ...other })
        assert.match(answer, /invalid_argument/)
      }
      assert.equal(await count('c'), 5)
      assert.equal(await count('d'), 0)
    }
    await check()
    if (where === 'memory') return
    await server.close()
    server = await createServer(options)
    await server.ready
    await check()
  })
}
