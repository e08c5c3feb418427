/**
 * Transport: messages to the server and back by the Connect protocol over `fetch`.
 *
 * Why not a library's: the protocol is a POST of a message, or of messages in envelopes (a byte of
 * flags, four of length), and this one must run in browsers, keep memory bounded while it uploads,
 * and know which failures may be repeated.
 * @see https://connectrpc.com/docs/protocol
 */

import { nowMs } from '../clock.js'
import { ERROR_CODES, type ErrorCode, OmenError } from '../errors.js'
import { errorOfMessage } from '../wire/messages.js'
import {
  ErrorDetailSchema,
  fromBinary,
  type GenMethods,
  type MessageShape,
  OmenDB,
  toBinary,
} from '../wire/protocol.js'
import type { Deadline } from './deadline.js'
import type { ClientSettings } from './settings.js'
import { stranger, unreachable } from './unreachable.js'

export type MethodName = keyof GenMethods

type Input<M extends MethodName> = MessageShape<GenMethods[M]['input']>
type Output<M extends MethodName> = MessageShape<GenMethods[M]['output']>

/** What a request says beside its message. */
export interface Sent {
  readonly deadline: Deadline
  /** Of a write: under this it may be repeated. */
  readonly requestId?: string
  /** Of a write that is repeated: the run of the server to which it was sent first. */
  readonly instance?: string
}

const END_STREAM = 2
const COMPRESSED = 1
const HEAD_BYTES = 5
/** Of making an upload, before the event loop gets its turn. */
const TURN_MS = 8
// Node sends a stream as a body over HTTP/1.1; browsers do not.
const versions = (globalThis as { process?: { versions?: { node?: string } } }).process?.versions
const canStreamUp = versions?.node !== undefined

export class Transport {
  readonly #settings: ClientSettings
  /** The run of the server that answered last. */
  instance: string | undefined

  constructor(settings: ClientSettings) {
    this.#settings = settings
  }

  /** One message for one. */
  async call<M extends MethodName>(method: M, message: Input<M>, sent: Sent): Promise<Output<M>> {
    const { input, output } = OmenDB.method[method]
    const body = toBinary(input, message)
    const response = await this.#post(method, 'application/proto', body, sent)
    return this.#decode(output, await this.#bytes(response, sent)) as Output<M>
  }

  /**
   * Many messages, asked for one by one as the network takes them, for one. Where a body cannot be
   * a stream, all of them are gathered first.
   */
  async upload<M extends MethodName>(
    method: M,
    messages: () => Input<M> | undefined,
    sent: Sent,
  ): Promise<Output<M>> {
    const { input, output } = OmenDB.method[method]
    const next = (): Uint8Array | undefined => {
      const message = messages()
      return message === undefined ? undefined : envelope(toBinary(input, message))
    }
    if (!canStreamUp) return this.#uploaded(method, output, await gathered(next, sent), sent)
    let failure: unknown
    // fetch asks on and on while the socket takes all, without a turn of the event loop between.
    const turns = new Turns(sent)
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            await turns.next()
            const piece = next()
            if (piece === undefined) controller.close()
            else controller.enqueue(piece)
          } catch (error) {
            failure = error
            controller.error(error)
          }
        },
      },
      { highWaterMark: 1 },
    )
    try {
      return await this.#uploaded(method, output, body, sent)
    } catch (error) {
      // What went wrong while the rows were read is the caller's to know, not that fetch failed.
      throw failure ?? error
    }
  }

  async #uploaded<M extends MethodName>(
    method: M,
    output: (typeof OmenDB.method)[M]['output'],
    body: ReadableStream<Uint8Array> | Blob,
    sent: Sent,
  ): Promise<Output<M>> {
    const response = await this.#post(method, 'application/connect+proto', body, sent)
    const bytes = await this.#bytes(response, sent)
    let found: Output<M> | undefined
    const { isEnded } = this.#messages(bytes, (data) => {
      found = this.#decode(output, data) as Output<M>
    })
    if (found === undefined || !isEnded) throw this.#foreign('its answer is cut off')
    return found
  }

  /** One message for many. Its time is that of each wait; none passes while nobody reads. */
  async *stream<M extends MethodName>(
    method: M,
    message: Input<M>,
    sent: Sent,
  ): AsyncGenerator<Output<M>, undefined> {
    const { input, output } = OmenDB.method[method]
    const body = envelope(toBinary(input, message))
    const response = await this.#post(method, 'application/connect+proto', body, sent)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    let pending = new Uint8Array(0)
    try {
      for (;;) {
        sent.deadline.restart()
        const { done, value } = await reader.read().catch((error) => {
          throw this.#failure(error, sent)
        })
        sent.deadline.pause()
        if (done) break
        pending = joined(pending, value)
        const whole: Output<M>[] = []
        const { used, isEnded } = this.#messages(pending, (data) => {
          whole.push(this.#decode(output, data) as Output<M>)
        })
        pending = pending.slice(used)
        yield* whole
        if (isEnded) return
      }
      throw this.#foreign('its answer is cut off')
    } finally {
      await reader.cancel().catch(() => {}) // It has ended, or nobody wants the rest.
    }
  }

  /** Takes whole envelopes. Throws what the end of the stream tells. */
  #messages(
    bytes: Uint8Array,
    take: (data: Uint8Array) => void,
  ): { used: number; isEnded: boolean } {
    let at = 0
    let isEnded = false
    while (bytes.length - at >= HEAD_BYTES) {
      const flags = bytes[at] as number
      const length = new DataView(bytes.buffer, bytes.byteOffset + at + 1, 4).getUint32(0)
      if (bytes.length - at - HEAD_BYTES < length) break
      const data = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)
      at += HEAD_BYTES + length
      if ((flags & COMPRESSED) !== 0) throw this.#foreign('it compresses, unasked')
      if ((flags & END_STREAM) === 0) {
        take(data)
        continue
      }
      isEnded = true
      const end = parsed(data) as { error?: ConnectFault | null } | null | undefined
      if (typeof end !== 'object' || end === null) throw this.#foreign('its answer ends in no JSON')
      if (end.error === undefined) continue
      throw errorOf(typeof end.error === 'object' && end.error !== null ? end.error : {})
    }
    return { used: at, isEnded }
  }

  async #post(
    method: MethodName,
    contentType: string,
    body: Uint8Array | ReadableStream<Uint8Array> | Blob,
    sent: Sent,
  ): Promise<Response> {
    const { base, headers } = this.#settings
    const { deadline, requestId, instance } = sent
    const all: Record<string, string> = {
      ...headers,
      'content-type': contentType,
      'connect-protocol-version': '1',
    }
    const ms = deadline.remainingMs
    if (ms < 1e10) all['connect-timeout-ms'] = String(Math.max(1, Math.ceil(ms)))
    if (requestId !== undefined) all['omendb-request-id'] = requestId
    if (instance !== undefined) all['omendb-instance'] = instance
    const init: RequestInit & { duplex?: 'half' } = {
      method: 'POST',
      headers: all,
      body: body as unknown as string,
      signal: deadline.signal,
      redirect: 'error',
    }
    if (body instanceof ReadableStream) init.duplex = 'half'
    let response: Response
    try {
      const url = `${base}/${OmenDB.typeName}/${OmenDB.method[method].name}`
      response = await fetch(url, init)
    } catch (error) {
      throw this.#failure(error, sent)
    }
    // A refusal tells it too: repeated writes go by it.
    this.instance = response.headers.get('omendb-instance') ?? this.instance
    if (!response.ok) throw await this.#refusal(response, sent)
    // An empty body is a valid message, so that only the type tells whose answer it is.
    const type = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (type !== contentType) {
      await response.body?.cancel().catch(() => {})
      const what = `its answer is of content type ${type || 'none'}, not ${contentType}`
      throw stranger(this.#settings.base, what)
    }
    return response
  }

  async #bytes(response: Response, sent: Sent): Promise<Uint8Array> {
    try {
      return new Uint8Array(await response.arrayBuffer())
    } catch (error) {
      throw this.#failure(error, sent)
    }
  }

  /** The network failed, or the call is over. */
  #failure(cause: unknown, { deadline }: Sent): OmenError {
    const over = deadline.over()
    if (over !== undefined) return over
    return unreachable(this.#settings.base, this.instance !== undefined, cause)
  }

  #foreign(what: string): OmenError {
    const message = `${this.#settings.base} does not answer as an OmenDB server does: ${what}`
    return new OmenError('ERR_UNAVAILABLE', message)
  }

  #decode(schema: (typeof OmenDB.method)[MethodName]['output'], bytes: Uint8Array): unknown {
    try {
      return fromBinary(schema, bytes)
    } catch (cause) {
      throw this.#foreign((cause as Error).message)
    }
  }

  async #refusal(response: Response, sent: Sent): Promise<OmenError> {
    const bytes = await this.#bytes(response, sent)
    const fault = parsed(bytes) as ConnectFault | undefined
    if (typeof fault?.code === 'string' && CONNECT_CODE.test(fault.code)) return errorOf(fault)
    const { status } = response
    const code = STATUS_CODES[status]
    // No proxy's trouble, which may pass: nothing of ours is at that address.
    if (code === undefined && status < 500) {
      return stranger(this.#settings.base, `its answer is HTTP status ${status}`)
    }
    const { message } = this.#foreign(`HTTP status ${status}`)
    return new OmenError(code ?? 'ERR_UNAVAILABLE', message)
  }
}

/** What something on the way answers, a proxy for example. */
const STATUS_CODES: Record<number, ErrorCode> = {
  401: 'ERR_AUTH',
  403: 'ERR_FORBIDDEN',
  413: 'ERR_LIMIT',
  429: 'ERR_BUSY',
  504: 'ERR_TIMEOUT',
}

/** Of another form is what documents of other errors have: those of REST for example. */
const CONNECT_CODE = /^[a-z_]+$/

/** An error as the Connect protocol has it. */
interface ConnectFault {
  code?: string
  message?: string
  details?: unknown
}

function errorOf({ code, message, details }: ConnectFault): OmenError {
  const text = typeof message === 'string' ? message : ''
  const known = CONNECT_CODES[code ?? ''] ?? 'ERR_UNAVAILABLE'
  return detailed(details, text) ?? new OmenError(known, text || ERROR_CODES[known].advice)
}

/** undefined where the details are not ours, or not whole: the code of the fault tells then. */
function detailed(details: unknown, message: string): OmenError | undefined {
  if (!Array.isArray(details)) return undefined
  const detail = details.find((each) => each?.type === ErrorDetailSchema.typeName)
  if (typeof detail?.value !== 'string') return undefined
  try {
    return errorOfMessage(fromBinary(ErrorDetailSchema, fromBase64(detail.value)), message)
  } catch {
    return undefined
  }
}

// Of faults that are not the database's own.
const CONNECT_CODES: Record<string, ErrorCode> = {
  canceled: 'ERR_ABORTED',
  invalid_argument: 'ERR_ARGUMENT',
  deadline_exceeded: 'ERR_TIMEOUT',
  not_found: 'ERR_NOT_FOUND',
  resource_exhausted: 'ERR_LIMIT',
  unimplemented: 'ERR_UNSUPPORTED',
  internal: 'ERR_NATIVE',
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
}

/** undefined where it is no JSON. */
function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}

function envelope(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEAD_BYTES + message.length)
  new DataView(out.buffer).setUint32(1, message.length)
  out.set(message, HEAD_BYTES)
  return out
}

/**
 * All that `next` gives, as a body of known length. Why a Blob: browsers keep large ones on disk.
 * The event loop gets its turns meanwhile, and the call may end in any of them.
 */
async function gathered(next: () => Uint8Array | undefined, sent: Sent): Promise<Blob> {
  const pieces: Uint8Array[] = []
  const turns = new Turns(sent)
  for (let piece = next(); piece !== undefined; piece = next()) {
    pieces.push(piece)
    await turns.next()
  }
  return new Blob(pieces as Uint8Array<ArrayBuffer>[])
}

/** Lets others have the event loop, each time that TURN_MS have gone. */
class Turns {
  readonly #deadline: Deadline
  #end = nowMs() + TURN_MS

  constructor({ deadline }: Sent) {
    this.#deadline = deadline
  }

  /** Throws if the call is over. */
  async next(): Promise<void> {
    if (nowMs() < this.#end) return
    await this.#deadline.sleep(0)
    this.#end = nowMs() + TURN_MS
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}
