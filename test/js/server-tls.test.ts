// TLS: the same interface over it on every transport, and what is told when it fails. Certificates
// are made here; Node reads NODE_EXTRA_CA_CERTS when it starts, so trust is given to processes.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { Client } from 'omendb'
import type { Server } from 'omendb/server'
import { authority, type Certificate } from './certificates.js'
import { KEYS, serve } from './server-support.js'
import { rejected } from './support.js'

const root = path.resolve(__dirname, '../..')
const ours = authority('omendb test CA')
const good = ours.issue('127.0.0.1')

interface Files {
  cert: string
  key: string
  ca: string
}

/** The certificate and its CA as files that go with the test. */
function files(t: TestContext, { cert, key }: Certificate): Files {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-tls-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  const write = (name: string, text: string) => {
    writeFileSync(path.join(made, name), text)
    return path.join(made, name)
  }
  return {
    cert: write('cert.pem', cert),
    key: write('key.pem', key),
    ca: write('ca.pem', ours.cert),
  }
}

async function served(t: TestContext, certificate = good, apiKeys = {}): Promise<[Server, Files]> {
  const made = files(t, certificate)
  const server = await serve(t, { tls: { cert: made.cert, key: made.key }, apiKeys })
  return [server, made]
}

function run(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const { NODE_TEST_CONTEXT: _, ...rest } = process.env
    const options = { cwd: root, env: { ...rest, ...env }, timeout: 100_000 }
    execFile(process.execPath, args, options, (error, out, problems) =>
      error ? reject(new Error(`${out}${problems}`)) : resolve(out),
    )
  })
}

// What holds over plaintext holds over TLS: REST, Connect, and gRPC over HTTP/2.
test('the interface is the same over TLS', { timeout: 120_000 }, async (t) => {
  const { cert, key, ca } = files(t, good)
  const suite = path.join(__dirname, 'interface.test.js')
  const pattern = '--test-name-pattern=^(Connect|REST|gRPC):'
  const args = ['--test', '--test-reporter=tap', pattern, suite]
  const trust = { NODE_EXTRA_CA_CERTS: ca, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: ca }
  const env = { ...trust, OMENDB_TEST_CERT: cert, OMENDB_TEST_KEY: key }
  const out = await run(args, env)
  assert.ok(Number(/^# pass (\d+)/m.exec(out)?.[1]) >= 36, out)
  assert.match(out, /^# fail 0/m)
})

interface Told {
  code: string
  message: string
  ms: number
}

/** What a client of its own process, which trusts our CA, is told: undefined if all is well. */
async function told(url: string, ca: string, apiKey?: string): Promise<Told | undefined> {
  const text = `
    import { Client } from 'omendb'
    const client = new Client(${JSON.stringify(url)}, ${JSON.stringify({ apiKey })})
    const begun = performance.now()
    const error = await client.listCollections().then(() => undefined, (e) => e)
    const ms = performance.now() - begun
    const { code, message } = error ?? {}
    console.log(JSON.stringify({ code, message, ms }))
  `
  const out = await run(['--input-type=module', '-e', text], { NODE_EXTRA_CA_CERTS: ca })
  const found = JSON.parse(out) as Told
  return found.code === undefined ? undefined : found
}

// A fault of a certificate does not pass: it is told at once, with what to do.
test('certificates that cannot be trusted are refused by the client', async (t) => {
  const [server, { ca }] = await served(t, good, KEYS)
  const key = KEYS.readOnly[0] as string
  assert.equal(await told(server.url, ca, key), undefined)
  assert.equal((await told(server.url, ca))?.code, 'ERR_AUTH')
  const begun = performance.now()
  const stranger = new Client(server.url)
  await rejected(
    () => stranger.listCollections(),
    'ERR_UNAVAILABLE',
    {},
    /certificate.*NODE_EXTRA_CA_CERTS/,
  )
  assert.ok(performance.now() - begun < 1000, 'it was tried again and again')
  await stranger.close()
  const [elsewhere] = await served(t, ours.issue('db.example.com'))
  const other = await told(elsewhere.url, ca)
  assert.equal(other?.code, 'ERR_UNAVAILABLE')
  assert.match(other.message, /127\.0\.0\.1.*another host/)
  const [old] = await served(t, ours.issue('127.0.0.1', { until: Date.now() - 1000 }))
  const expired = await told(old.url, ca)
  assert.match(expired?.message ?? '', /expired; renew/)
  for (const { ms } of [other, expired as Told]) assert.ok(ms < 1000, `${ms} ms`)
  // A standard client of gRPC judges likewise.
  const to = (server.grpcUrl as string).slice('https://'.length)
  const withCa = grpc.credentials.createSsl(Buffer.from(ours.cert))
  assert.equal(await grpcStatus(to, withCa), grpc.status.UNAUTHENTICATED)
  assert.equal(await grpcStatus(to, grpc.credentials.createSsl()), grpc.status.UNAVAILABLE)
})

function grpcStatus(address: string, credentials: grpc.ChannelCredentials): Promise<number> {
  const client = new grpc.Client(address, credentials)
  const same = (bytes: Buffer) => bytes
  return new Promise((resolve) => {
    const path = '/omendb.v1.OmenDB/ListCollections'
    const options = { deadline: Date.now() + 3000 }
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), options, (error) => {
      client.close()
      resolve(error?.code ?? 0)
    })
  })
}

/** The version that is agreed on, or undefined. */
function agreed(port: number, version: tls.SecureVersion): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ca: ours.cert,
      ALPNProtocols: ['h2', 'http/1.1'],
      minVersion: version,
      maxVersion: version,
      // Else OpenSSL itself would speak no old version.
      ciphers: 'DEFAULT:@SECLEVEL=0',
    })
    socket.on('secureConnect', () => {
      resolve(socket.getProtocol() ?? undefined)
      socket.destroy()
    })
    socket.on('error', () => resolve(undefined))
  })
}

test('TLS 1.0 and 1.1 are refused on both ports, 1.2 and 1.3 are not', async (t) => {
  // A host that allows old versions everywhere changes nothing here.
  const before = tls.DEFAULT_MIN_VERSION
  tls.DEFAULT_MIN_VERSION = 'TLSv1'
  t.after(() => {
    tls.DEFAULT_MIN_VERSION = before
  })
  const [server] = await served(t)
  const ports = [server.url, server.grpcUrl as string].map((url) => Number(new URL(url).port))
  for (const port of ports) {
    for (const version of ['TLSv1', 'TLSv1.1'] as const)
      assert.equal(await agreed(port, version), undefined, version)
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
      assert.equal(await agreed(port, version), version)
  }
  // That this client speaks them, where a server does: else the above would say nothing.
  const lax = tls.createServer({ ...good, minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' })
  await new Promise<void>((resolve) => lax.listen(0, '127.0.0.1', resolve))
  t.after(() => lax.close())
  const { port } = lax.address() as { port: number }
  assert.equal(await agreed(port, 'TLSv1.1'), 'TLSv1.1')
})

// Nobody waits for an answer in the wrong language, and the server goes on.
test('plaintext to ports of TLS, and TLS to ports of plaintext', async (t) => {
  const [server, { ca }] = await served(t)
  const plain = server.url.replace('https', 'http')
  const client = new Client(plain, { retries: 0 })
  await rejected(() => client.listCollections(), 'ERR_UNAVAILABLE', {}, /begins with https:/)
  await client.close()
  const raw = await new Promise<string>((resolve) => {
    http.get(plain, () => resolve('answered')).on('error', ({ message }) => resolve(message))
  })
  assert.match(raw, /socket hang up|ECONNRESET/)
  const address = (server.grpcUrl as string).slice('https://'.length)
  const insecure = grpc.credentials.createInsecure()
  assert.equal(await grpcStatus(address, insecure), grpc.status.UNAVAILABLE)
  assert.equal(await told(server.url, ca), undefined)
  const open = await serve(t)
  const secure = new Client(open.url.replace('http', 'https'))
  const begun = performance.now()
  await rejected(() => secure.listCollections(), 'ERR_UNAVAILABLE', {}, /begins with http:/)
  assert.ok(performance.now() - begun < 1000)
  await secure.close()
})
