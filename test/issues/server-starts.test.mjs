// What a server tells of its start: options that cannot work are refused in one line, before
// anything is bound or made; the log says what the opening of a damaged database did, and neither
// `listening` nor `closed` of a server that never was one.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client, DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

const { RunningServer } = createRequire(import.meta.url)('../../dist/lib/server/core.js')
const root = fileURLToPath(new URL('../..', import.meta.url))
const home = mkdtempSync(path.join(tmpdir(), 'omendb-starts-'))
after(() => rmSync(home, { recursive: true, force: true }))
const free = { port: 0, grpcPort: false }

/** A start of the command that is refused: one line, and nothing in the log. */
async function refused(args, pattern) {
  const file = path.join(root, 'dist/lib/server/main.js')
  const all = [file, '--port', '0', '--grpc-port', 'none', ...args]
  const { code, out, err } = await new Promise((resolve) => {
    execFile(process.execPath, all, { cwd: home, timeout: 30_000 }, (error, out, err) =>
      resolve({ code: error?.code, out, err }),
    )
  })
  assert.equal(code, 2, err)
  assert.match(err, pattern)
  assert.equal(err.trimEnd().split('\n').length, 1, err)
  assert.doesNotMatch(out, /"msg":"(listening|closed)"/)
  return out
}

const lineOf = (text) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('--allowed-host takes names and addresses alone', async () => {
  await refused(
    ['--allowed-host', 'a b'],
    /ERR_ARGUMENT: allowedHosts \(--allowed-host\): .*"a b"$/m,
  )
  const wrong = ['http://a', 'a:8080', 'a/b', '*', '*.a.com', '-a', 'a..b', '1.2.3', 'ä.de', '[x]']
  for (const name of wrong) {
    const message = /allowedHosts \(--allowed-host\): a name is like/
    const start = createServer({ ...free, allowedHosts: [name] })
    await assert.rejects(start, { code: 'ERR_ARGUMENT', message }, name)
  }
  const allowedHosts = ['db.example.com', 'My_Host', '10.0.0.1', '[fe80::1]', '::2', 'a', 'b.']
  const server = await createServer({ ...free, allowedHosts })
  const { port } = new URL(server.url)
  for (const host of [
    'db.example.com:80',
    'my_host',
    '10.0.0.1',
    '[fe80::1]:1',
    '[::2]',
    'a',
    'b.',
  ]) {
    const socket = net.connect(Number(port), '127.0.0.1')
    socket.write(`GET /healthz HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)
    let answer = ''
    for await (const data of socket) answer += data
    assert.match(answer, /^HTTP\/1.1 200 /, host)
  }
  await server.close()
})

// It was found when the first backup was asked for.
test('a --backup-directory in which nothing can be made is refused at the start', async () => {
  const file = path.join(home, 'file')
  writeFileSync(file, '')
  const data = path.join(home, 'unmade')
  const wrong = [path.join(home, 'none'), file]
  if (process.platform === 'linux') wrong.push('/proc')
  for (const directory of wrong) {
    const pattern = /ERR_ARGUMENT: backupDirectory \(--backup-directory\): nothing can be made in /
    await refused(['--data', data, '--backup-directory', directory], pattern)
  }
  assert.ok(!readdirSync(home).includes('unmade'))
  const copies = path.join(home, 'copies')
  mkdirSync(copies)
  const server = await createServer({ ...free, data, backupDirectory: copies })
  assert.deepEqual(readdirSync(copies), [])
  await server.close()
})

test('what a public address lacks is told in English', async () => {
  const host = ['--host', '0.0.0.0']
  await refused(host, /the server has neither an API key nor TLS: give it, bind/)
  await refused([...host, '--api-key', 'k'.repeat(16)], /the server has no TLS: /)
  const tls = ['--tls-cert', 'c.pem', '--tls-key', 'k.pem']
  await refused([...host, ...tls], /the server has no API key: /)
})

test('a server that never started says neither listening nor closed', async (t) => {
  const data = path.join(home, 'held')
  const db = await DB.open(data)
  t.after(() => db.close())
  const out = await refused(['--data', data], /ERR_LOCKED/)
  assert.deepEqual(
    lineOf(out).map(({ msg }) => msg),
    ['opening the database'],
  )
  const lines = []
  const log = { write: (line) => lines.push(line) }
  const other = net.createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const taken = { port: 0, grpcPort: other.address().port, log }
  await assert.rejects(createServer(taken), { code: 'ERR_ARGUMENT' })
  assert.deepEqual(lines, [])
  const server = await createServer({ ...free, log })
  await server.close()
  assert.deepEqual(
    lineOf(lines.join('')).map(({ msg }) => msg),
    ['opening the database', 'the database is open', 'listening', 'closed'],
  )
})

/** Damages a database so that a graph is built anew when it is opened. */
async function damageGraph(data) {
  for (const name of readdirSync(data).filter((file) => file.endsWith('.seg'))) {
    const file = path.join(data, name)
    const whole = readFileSync(file)
    const bytes = Buffer.from(whole)
    bytes[bytes.length >> 1] ^= 0x10
    writeFileSync(file, bytes)
    try {
      const db = await DB.open(data, { readOnly: true })
      const { recovery } = await db.stats()
      await db.close()
      if (recovery.rebuiltGraphs > 0) return
    } catch {
      // Rows: nothing that could be built anew.
    }
    writeFileSync(file, whole)
  }
  assert.fail('no graph could be damaged')
}

test('a graph that is built anew is told, and the server is not ready meanwhile', async () => {
  const data = path.join(home, 'damaged')
  const db = await DB.open(data)
  const rows = 40_000
  const vectors = Float32Array.from({ length: rows * 32 }, (_, i) => Math.sin(i * 1.7))
  // Whose graph stays whole: where not all were built anew, the log named none.
  const notes = await db.collection('notes', { dimensions: 32, metric: 'l2' })
  await notes.addBatch({ vectors: vectors.subarray(0, 1000 * 32) })
  const films = await db.collection('films', { dimensions: 32, metric: 'l2' })
  await films.addBatch({ vectors })
  await db.close()
  await damageGraph(data)
  const copy = `${data}-copy`
  cpSync(data, copy, { recursive: true })
  const lines = []
  const log = { write: (line) => lines.push(JSON.parse(line)) }
  const server = await RunningServer.start({ ...free, data, log })
  try {
    const told = (msg) => lines.find((line) => line.msg === msg)
    const isReady = async () => (await fetch(`${server.url}/readyz`)).status === 200
    let notReady = 0
    while (!(await isReady())) {
      assert.equal(told('listening'), undefined)
      assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
      notReady++
      await sleep(10)
    }
    await server.ready
    assert.ok(notReady > 0)
    const linking = told('opening the database: linking records into the graph')
    assert.ok(linking.total >= rows)
    const { level, graphs, collections, ms } = told(
      'graphs were built anew: the stored ones were missing or damaged',
    )
    assert.deepEqual([level, graphs, collections], [40, 1, ['films']])
    const open = told('the database is open')
    assert.deepEqual([open.snapshotRecords, open.rebuiltGraphs, open.ms], [rows + 1000, 1, ms])
    const client = new Client(server.url)
    const { recovery } = await client.stats()
    await client.close()
    assert.deepEqual([recovery.rebuiltGraphs, recovery.rebuiltCollections], [1, ['films']])
    const check = [path.join(root, 'dist/lib/cli/main.js'), 'check', copy]
    const { stdout } = spawnSync(process.execPath, check, { encoding: 'utf8' })
    assert.match(stdout, /^Built 1 graph anew \(films\): none was stored, or whole\.$/m)
    assert.ok(ms > 0)
  } finally {
    await server.close()
  }
})
