// What the tests of the server share: servers that end with their test, and the interface of a
// database over every transport.
//
// The adapters are thin: Client with another transport beneath it. gRPC is spoken by @grpc/grpc-js,
// a standard client; REST by fetch, as anybody would who has read docs/rest.md.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { Client, type ClientOptions, DB, type ErrorCode, OmenError } from 'omendb'
import { createServer, type Server, type ServerOptions } from 'omendb/server'
import { errorOfMessage } from '../../dist/lib/wire/messages.js'
import { ErrorDetailSchema, fromBinary, OmenDB, toBinary } from '../../dist/lib/wire/protocol.js'
import { RestTransport } from './server-rest.js'

export const KEYS = {
  readWrite: ['rw-0123456789abcdef', 'rw-another-0123456789'],
  readOnly: ['ro-0123456789abcdef', 'ro-another-0123456789'],
}

/** server-tls.test.ts runs suites again with these: over TLS, and with its CA trusted. */
const { OMENDB_TEST_CERT: cert, OMENDB_TEST_KEY: key } = process.env
const TLS = cert === undefined || key === undefined ? {} : { tls: { cert, key } }

/** A directory that goes with the test. */
export function directory(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-server-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** A server on free ports that closes with the test. */
export async function serve(t: TestContext, options: ServerOptions = {}): Promise<Server> {
  const given = { port: 0, grpcPort: 0, logLevel: 'silent', ...TLS, ...options } as const
  const server = await createServer(given)
  t.after(() => server.close())
  return server
}

type Options = Omit<ClientOptions, 'headers'>

/** Ways to a database, each with the interface of DB. */
export const WAYS = ['DB', 'Connect', 'REST', 'gRPC'] as const
export type Way = (typeof WAYS)[number]

/** A fresh database. Those over the network are on a server of their own. */
export async function open(t: TestContext, way: Way, options: Options = {}): Promise<DB | Client> {
  if (way === 'DB') {
    const db = new DB(options)
    t.after(() => db.close())
    return db
  }
  const server = await serve(t)
  const client = clientOf(server, way, options)
  t.after(() => client.close())
  return client
}

export function clientOf(server: Server, way: Way, options: Options = {}): Client {
  const client = new Client(server.url, options)
  if (way === 'Connect') return client
  const within = (client as unknown as { _session: { transport: unknown } })._session
  within.transport =
    way === 'REST'
      ? new RestTransport(server.url, options.apiKey)
      : new GrpcTransport(server.grpcUrl as string, options.apiKey)
  return client
}

/** What the client says beside a message; see lib/client/transport.ts. */
export interface Sent {
  deadline: { signal: AbortSignal; remainingMs: number; over(): OmenError | undefined }
  requestId?: string
  instance?: string
}
type Method = keyof (typeof OmenDB)['method']

/** The status of a code that carries no detail of ours. */
const STATUS: Partial<Record<grpc.status, ErrorCode>> = {
  [grpc.status.CANCELLED]: 'ERR_ABORTED',
  [grpc.status.DEADLINE_EXCEEDED]: 'ERR_TIMEOUT',
  [grpc.status.RESOURCE_EXHAUSTED]: 'ERR_LIMIT',
  [grpc.status.INVALID_ARGUMENT]: 'ERR_ARGUMENT',
}

/** The detail of a status, out of google.rpc.Status: { details: Any[] = 3 }, Any { value = 2 }. */
export function detailOf(metadata: grpc.Metadata): Uint8Array | undefined {
  const [bytes] = metadata.get('grpc-status-details-bin')
  if (!Buffer.isBuffer(bytes)) return undefined
  const any = field(bytes, 3)
  return any === undefined ? undefined : field(any, 2)
}

/** The first length-delimited field of this number. */
function field(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const length = varint()
    if (tag % 8 === 0) continue // A varint: it was read as the length.
    if (tag >> 3 === wanted) return bytes.subarray(at, at + length)
    at += length
  }
  return undefined
}

/** Client's transport over @grpc/grpc-js. */
export class GrpcTransport {
  readonly #client: grpc.Client
  readonly #apiKey: string | undefined
  instance: string | undefined

  constructor(url: string, apiKey?: string) {
    const [scheme, address] = url.split('://') as [string, string]
    const credentials =
      scheme === 'https' ? grpc.credentials.createSsl() : grpc.credentials.createInsecure()
    const most = { 'grpc.max_receive_message_length': 2 ** 28 }
    this.#client = new grpc.Client(address, credentials, most)
    this.#apiKey = apiKey
  }

  #metadata({ requestId, instance }: Sent): grpc.Metadata {
    const metadata = new grpc.Metadata()
    if (this.#apiKey !== undefined) metadata.set('authorization', `Bearer ${this.#apiKey}`)
    if (requestId !== undefined) metadata.set('omendb-request-id', requestId)
    if (instance !== undefined) metadata.set('omendb-instance', instance)
    return metadata
  }

  #parts(method: Method) {
    const { name, input, output } = OmenDB.method[method]
    return {
      path: `/${OmenDB.typeName}/${name}`,
      write: (m: never) => Buffer.from(toBinary(input, m)),
      read: (bytes: Buffer) => fromBinary(output, bytes) as unknown,
    }
  }

  #options({ deadline }: Sent): grpc.CallOptions {
    const ms = deadline.remainingMs
    return Number.isFinite(ms) ? { deadline: Date.now() + ms } : {}
  }

  #error(error: grpc.ServiceError, { deadline }: Sent): OmenError {
    const over = deadline.over()
    if (over !== undefined) return over
    const detail = detailOf(error.metadata)
    if (detail !== undefined)
      return errorOfMessage(fromBinary(ErrorDetailSchema, detail), error.details)
    return new OmenError(STATUS[error.code] ?? 'ERR_UNAVAILABLE', error.details)
  }

  #settled<T>(
    sent: Sent,
    start: (done: (error: grpc.ServiceError | null, value?: T) => void) => grpc.ClientUnaryCall,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const call = start((error, value) => {
        if (error) reject(this.#error(error, sent))
        else resolve(value as T)
      })
      call.on('metadata', (head: grpc.Metadata) => {
        this.instance = (head.get('omendb-instance')[0] as string | undefined) ?? this.instance
      })
      sent.deadline.signal.addEventListener('abort', () => call.cancel())
    })
  }

  call(method: Method, message: never, sent: Sent): Promise<unknown> {
    const { path, write, read } = this.#parts(method)
    const [metadata, options] = [this.#metadata(sent), this.#options(sent)]
    return this.#settled(sent, (done) =>
      this.#client.makeUnaryRequest(path, write, read, message, metadata, options, done),
    )
  }

  upload(method: Method, messages: () => never | undefined, sent: Sent): Promise<unknown> {
    const { path, write, read } = this.#parts(method)
    const [metadata, options] = [this.#metadata(sent), this.#options(sent)]
    let wrong: unknown
    const work = this.#settled(sent, (done) => {
      const call = this.#client.makeClientStreamRequest(path, write, read, metadata, options, done)
      const pump = async (): Promise<void> => {
        for (let m = messages(); m !== undefined; m = messages())
          if (!call.write(m)) await once(call, 'drain', { signal: sent.deadline.signal })
        call.end()
      }
      pump().catch((error: unknown) => {
        wrong = error
        call.cancel()
      })
      return call
    })
    // What is wrong with the rows is the caller's to know, not that the call was cancelled.
    return work.catch((error: unknown) => {
      throw wrong instanceof OmenError ? wrong : error
    })
  }

  async *stream(method: Method, message: never, sent: Sent): AsyncGenerator<unknown> {
    const { path, write, read } = this.#parts(method)
    const metadata = this.#metadata(sent)
    const call = this.#client.makeServerStreamRequest(path, write, read, message, metadata)
    try {
      yield* call
    } catch (error) {
      throw this.#error(error as grpc.ServiceError, sent)
    }
  }
}
