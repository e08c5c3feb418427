// One request over each transport, and its answer as it came: no client of ours stands between.
import * as grpc from '@grpc/grpc-js'
import type { Server } from 'omendb/server'
import { errorOfMessage } from '../../dist/lib/wire/messages.js'
import {
  create,
  ErrorDetailSchema,
  fromBinary,
  OmenDB,
  toBinary,
} from '../../dist/lib/wire/protocol.js'
import { detailOf } from './server-support.js'

/** The same request for every transport. */
export interface Ask {
  readonly method: keyof (typeof OmenDB)['method']
  readonly init: object
  readonly rest: readonly [method: string, path: string, body?: object]
  readonly key?: string
  readonly timeoutMs?: number
  /** In place of the message. */
  readonly bytes?: Uint8Array
}

export interface Answer {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly details: object
  readonly retryAfter?: string | undefined
}

const bearer = ({ key }: Ask) => (key === undefined ? {} : { authorization: `Bearer ${key}` })

export async function restAnswer({ url }: Server, ask: Ask) {
  const [method, path, body] = ask.rest
  const headers: Record<string, string> = { ...bearer(ask) }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (ask.timeoutMs !== undefined) headers['omendb-timeout-ms'] = String(ask.timeoutMs)
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
  const response = await fetch(url + path, init)
  const problem = (await response.json()) as Record<string, unknown>
  const { code, detail, title, row, path: where, id, status } = problem
  if (status !== response.status) throw new Error(`status ${status} within ${response.status}`)
  return {
    status: response.status,
    contentType: response.headers.get('content-type'),
    retryAfter: response.headers.get('retry-after') ?? undefined,
    title,
    code: String(code),
    message: String(detail),
    details: {
      ...(row === undefined ? {} : { row }),
      ...(where === undefined ? {} : { path: where }),
      ...(id === undefined ? {} : { id }),
    },
  }
}

function messageOf({ method, init, bytes }: Ask): Buffer {
  const { input } = OmenDB.method[method]
  return Buffer.from(bytes ?? toBinary(input, create(input, init as never)))
}

function enveloped(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

interface ConnectFault {
  code?: string
  message?: string
  details?: { type: string; value: string }[]
}

/** Of a stream: the error of its last envelope. */
function endOf(bytes: Buffer): ConnectFault {
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32BE(at + 1)) {
    const data = bytes.subarray(at + 5, at + 5 + bytes.readUInt32BE(at + 1))
    if (bytes[at] === 2) return (JSON.parse(String(data)) as { error?: ConnectFault }).error ?? {}
  }
  return {}
}

export async function connectAnswer({ url }: Server, ask: Ask) {
  const { name, methodKind } = OmenDB.method[ask.method]
  const isStream = methodKind !== 'unary'
  const headers: Record<string, string> = {
    'content-type': isStream ? 'application/connect+proto' : 'application/proto',
    'connect-protocol-version': '1',
    ...bearer(ask),
  }
  if (ask.timeoutMs !== undefined) headers['connect-timeout-ms'] = String(ask.timeoutMs)
  const message = messageOf(ask)
  const body = isStream ? enveloped(message) : message
  const response = await fetch(`${url}/${OmenDB.typeName}/${name}`, {
    method: 'POST',
    headers,
    body,
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  const fault = isStream ? endOf(bytes) : (JSON.parse(String(bytes)) as ConnectFault)
  const detail = fault.details?.find(({ type }) => type === 'omendb.v1.ErrorDetail')
  const told = detailOfBytes(Buffer.from(detail?.value ?? '', 'base64'))
  return {
    ...told,
    isStream,
    status: response.status,
    word: fault.code,
    message: String(fault.message),
    retryAfter: response.headers.get('retry-after') ?? undefined,
  }
}

function detailOfBytes(bytes: Uint8Array): { code: string; details: object } {
  const { code, details } = errorOfMessage(fromBinary(ErrorDetailSchema, bytes), '')
  return { code: bytes.length === 0 ? 'none' : code, details }
}

export async function grpcAnswer({ grpcUrl }: Server, ask: Ask): Promise<Answer> {
  const address = String(grpcUrl).replace('http://', '')
  const client = new grpc.Client(address, grpc.credentials.createInsecure())
  const metadata = new grpc.Metadata()
  if (ask.key !== undefined) metadata.set('authorization', `Bearer ${ask.key}`)
  if (ask.timeoutMs !== undefined) metadata.set('grpc-timeout', `${ask.timeoutMs}m`)
  const { name, methodKind } = OmenDB.method[ask.method]
  const path = `/${OmenDB.typeName}/${name}`
  const same = (bytes: Buffer) => bytes
  const error = await new Promise<grpc.ServiceError | null>((resolve) => {
    if (methodKind === 'server_streaming') {
      const call = client.makeServerStreamRequest(path, same, same, messageOf(ask), metadata)
      call.on('error', (e) => resolve(e as grpc.ServiceError))
      call.on('end', () => resolve(null)).resume()
      return
    }
    client.makeUnaryRequest(path, same, same, messageOf(ask), metadata, (e) => resolve(e))
  })
  client.close()
  if (error === null) throw new Error('no error came')
  const told = detailOfBytes(detailOf(error.metadata) ?? Buffer.alloc(0))
  return { ...told, status: error.code, message: error.details }
}
