// A write that is repeated while its first attempt is still at work is answered by what was stored.
// It was told ERR_ABORTED, which was the end of the first attempt, whose connection had died: the
// row was stored by nobody, and the client could not tell.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import protocol from '../../dist/lib/wire/protocol.js'
import { createServer } from '../../dist/server.mjs'

const { native } = createRequire(import.meta.url)('../../dist/lib/native.js')
const { create, OmenDB, toBinary, UploadRequestSchema } = protocol

const ROWS = 5
const DIMENSIONS = 2

async function served(t, isOnDisk = false) {
  const options = { port: 0, grpcPort: false, logLevel: 'silent' }
  if (isOnDisk) {
    options.data = mkdtempSync(path.join(tmpdir(), 'omendb-repeated-'))
    t.after(() => rmSync(options.data, { recursive: true, force: true }))
  }
  const server = await createServer(options)
  t.after(() => server.close())
  const ask = async (method, at, body, headers = {}) => {
    const response = await fetch(`${server.url}/v1/collections${at}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    return response.json()
  }
  await ask('POST', '', { name: 'c', dimensions: DIMENSIONS, metric: 'l2' })
  const count = async () => (await ask('POST', '/c/count', {})).count
  /** How many writes are at work, or wait. */
  const pending = async (wanted) => {
    for (const deadline = Date.now() + 10_000; ; await sleep(10)) {
      const text = await (await fetch(`${server.url}/metrics`)).text()
      const found = Number(/^omendb_pending_writes\{.*\} (\d+)$/m.exec(text)?.[1] ?? 0)
      if (found === wanted) return
      assert.ok(Date.now() < deadline, `${found} writes are pending, not ${wanted}`)
    }
  }
  return { server, ask, count, pending }
}

function envelope(message) {
  const bytes = toBinary(UploadRequestSchema, create(UploadRequestSchema, { message }))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

const begin = envelope({
  case: 'begin',
  value: { collection: 'c', rows: ROWS, dimensions: DIMENSIONS },
})
const batch = (rows) => {
  const vectors = new Uint8Array(new Float32Array(rows * DIMENSIONS).fill(1).buffer)
  return envelope({ case: 'batch', value: { vectors } })
}

/** An upload whose parts are sent one by one, by a connection that may die. */
function upload({ url }, id, more = []) {
  const { port } = new URL(url)
  const socket = net.connect(Number(port), '127.0.0.1')
  socket.on('error', () => {})
  let answer = ''
  socket.on('data', (data) => {
    answer += data.toString('latin1')
  })
  const head = [
    `POST /${OmenDB.typeName}/Upload HTTP/1.1`,
    'host: localhost',
    'content-type: application/connect+proto',
    'connect-protocol-version: 1',
    'transfer-encoding: chunked',
    'connection: close',
    `omendb-request-id: ${id}`,
    ...more,
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  const send = (bytes) => {
    socket.write(`${bytes.length.toString(16)}\r\n`)
    socket.write(bytes)
    socket.write('\r\n')
  }
  const end = () => socket.write('0\r\n\r\n')
  const answered = async () => {
    if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
    return answer
  }
  return { socket, send, end, answered }
}

/** An upload that comes whole, at once. */
function wholeUpload(server, id) {
  const sent = upload(server, id)
  sent.send(begin)
  sent.send(batch(ROWS))
  sent.end()
  return sent
}

for (const where of ['memory', 'disk']) {
  test(`in ${where}, repetitions of an upload whose connection died store it once`, async (t) => {
    const { server, count, pending } = await served(t, where === 'disk')
    const first = upload(server, 'u')
    first.send(begin)
    first.send(batch(2))
    await pending(1)
    const others = [1, 2, 3].map(() => upload(server, 'u'))
    for (const { send, end } of others) {
      send(begin)
      send(batch(ROWS))
      end()
    }
    await pending(4)
    first.socket.destroy()
    for (const { answered } of others) {
      const answer = await answered()
      assert.ok(answer.startsWith('HTTP/1.1 200') && !answer.includes('error'), answer)
    }
    assert.equal(await count(), ROWS)
    await pending(0)
  })
}

// In the middle of a message, which shows as another fault.
test('an attempt that dies within a message is repeated too', async (t) => {
  const { server, count, pending } = await served(t)
  const first = upload(server, 'u')
  first.send(begin)
  first.send(batch(ROWS).subarray(0, 20))
  await pending(1)
  const second = wholeUpload(server, 'u')
  await pending(2)
  first.socket.destroy()
  assert.ok(!(await second.answered()).includes('error'))
  assert.equal(await count(), ROWS)
})

// Its own time and its own connection, and the first goes on.
test('a repetition that waits ends by itself, and the first attempt goes on', async (t) => {
  const { server, count, pending } = await served(t)
  const first = upload(server, 'u')
  first.send(begin)
  await pending(1)
  const late = upload(server, 'u', ['connect-timeout-ms: 200'])
  late.send(begin)
  assert.match(await late.answered(), /deadline_exceeded/)
  await pending(1)
  const gone = upload(server, 'u')
  gone.send(begin)
  await pending(2)
  gone.socket.destroy()
  await pending(1)
  first.send(batch(ROWS))
  first.end()
  assert.ok(!(await first.answered()).includes('error'))
  assert.equal(await count(), ROWS)
})

// What is wrong with a write is wrong with its repetition.
test('another fault of the first attempt is the answer of all', async (t) => {
  const { server, count, pending } = await served(t)
  const first = upload(server, 'u')
  first.send(begin)
  await pending(1)
  const second = wholeUpload(server, 'u')
  await pending(2)
  first.send(batch(ROWS + 1))
  for (const { answered } of [first, second]) {
    assert.match(await answered(), /more rows came than the 5 that were announced/)
  }
  assert.equal(await count(), 0)
})

/** Makes commits wait for `go`, before they are made or after. */
function slowCommits(t, isAfter) {
  const made = new (native().Database)({}).collection('c', { dimensions: 2 }, 0)
  const prototype = Object.getPrototypeOf(made.beginWrite(0, 1, 2))
  const { commit } = prototype
  let go
  const gate = new Promise((resolve) => {
    go = resolve
  })
  const slow = { calls: 0, go }
  prototype.commit = async function (...given) {
    slow.calls++
    if (!isAfter) await gate
    const result = await commit.apply(this, given)
    if (isAfter) await gate
    return result
  }
  t.after(() => {
    prototype.commit = commit
    go()
  })
  return slow
}

/** A write by a connection that dies, and one that repeats it. */
async function repeated(t, isAfter) {
  const { server, ask, count, pending } = await served(t)
  const slow = slowCommits(t, isAfter)
  const { port } = new URL(server.url)
  const socket = net.connect(Number(port), '127.0.0.1')
  const body = JSON.stringify({ vectors: [[1, 2]] })
  const head = [
    'POST /v1/collections/c/records HTTP/1.1',
    'host: localhost',
    'content-type: application/json',
    `content-length: ${body.length}`,
    'omendb-request-id: w',
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  await pending(1)
  while (slow.calls === 0) await sleep(5)
  const second = ask('POST', '/c/records', JSON.parse(body), { 'omendb-request-id': 'w' })
  await pending(2)
  socket.destroy()
  await sleep(100)
  slow.go()
  return { answer: await second, calls: slow.calls, stored: await count() }
}

test('a write that is aborted before its commit is done by its repetition', async (t) => {
  const { answer, calls, stored } = await repeated(t, false)
  assert.deepEqual([answer, calls, stored], [{ ids: [0] }, 2, 1])
})

test('a write that was committed is answered as it was', async (t) => {
  const { answer, calls, stored } = await repeated(t, true)
  assert.deepEqual([answer, calls, stored], [{ ids: [0] }, 1, 1])
})
