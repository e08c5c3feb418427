/** Writes: rows in one message or many, update, delete, clear, optimize. */

import type { NativeIds } from '../../../types/native.js'
import { nowMs } from '../../clock.js'
import { OmenError } from '../../errors.js'
import { argumentError } from '../../options.js'
import { withoutRow } from '../../rows/changes.js'
import { floatsOf } from '../../wire/bytes.js'
import { idOfMessage, idsOfMessage } from '../../wire/messages.js'
import {
  type ClearRequest,
  type ClearResponse,
  ClearResponseSchema,
  create,
  type DeleteRequest,
  DeleteRequestSchema,
  type DeleteResponse,
  DeleteResponseSchema,
  type OptimizeRequest,
  type OptimizeResponse,
  OptimizeResponseSchema,
  toBinary,
  type UpdateRequest,
  UpdateRequestSchema,
  type UpdateResponse,
  UpdateResponseSchema,
  type UploadBegin,
  UploadBeginSchema,
  type UploadRequest,
  type WriteRequest,
  WriteRequestSchema,
  type WriteResponse,
  WriteResponseSchema,
} from '../../wire/protocol.js'
import { within } from '../bounded.js'
import { type Caller, startCall } from '../caller.js'
import { type Receipt, whatOf } from '../requests.js'
import type { Context } from './context.js'
import { checkDeleted } from './limits.js'
import { Staging } from './staging.js'

/** @param firstGeneratedId  undefined where ids were given. */
function written(rows: number, firstGeneratedId: number | bigint | undefined): WriteResponse {
  const init = { rows }
  return create(
    WriteResponseSchema,
    firstGeneratedId === undefined ? init : { ...init, firstGeneratedId: BigInt(firstGeneratedId) },
  )
}

const writtenBefore = ({ count, firstGeneratedId }: Receipt) => written(count, firstGeneratedId)

export function write(
  context: Context,
  caller: Caller,
  request: WriteRequest,
): Promise<WriteResponse> {
  const { engine, pending, requests } = context
  const run = async (by: Caller, tag: Uint8Array | undefined) => {
    const collection = engine.collection(request.collection)
    const { batch } = request
    const staging = new Staging(context, by, collection, request, tag)
    try {
      await staging.take(batch)
      const { firstGeneratedId } = await staging.commit()
      const hadIds = idsOfMessage(batch?.ids) !== undefined
      return written(request.rows, hadIds ? undefined : firstGeneratedId)
    } catch (error) {
      staging.abort()
      throw error
    }
  }
  const what = () => {
    const { collection, kind, rows } = request
    const ids = request.batch?.ids
    const parts = { kind, rows, ...(ids === undefined ? {} : { batch: { ids } }) }
    const bytes = toBinary(WriteRequestSchema, create(WriteRequestSchema, parts))
    return whatOf('Write', collection, bytes)
  }
  const once = () => requests.once(caller, { what, run, told: writtenBefore })
  return pending.during(request.collection, once)
}

/**
 * The messages of an upload, each within `requestTimeoutMs`; those without rows have no time of
 * their own. Throws ERR_TIMEOUT.
 */
class Arrivals {
  readonly #source: AsyncIterator<UploadRequest>
  readonly #signal: AbortSignal
  readonly #messageMs: number
  #until: number

  constructor({ limits }: Context, { signal }: Caller, messages: AsyncIterable<UploadRequest>) {
    this.#source = messages[Symbol.asyncIterator]()
    this.#signal = signal
    this.#messageMs = limits.requestTimeoutMs
    this.#until = nowMs() + this.#messageMs
  }

  /** undefined at the end. */
  async next(): Promise<UploadRequest['message'] | undefined> {
    const call = { signal: this.#signal, timeoutMs: this.#until - nowMs() }
    const late = `no rows of the upload came within ${this.#messageMs} ms`
    const next = await within(call, () => this.#source.next(), late)
    return next.done ? undefined : next.value.message
  }

  /** Rows came: the next ones have as long again. */
  renew(): void {
    this.#until = nowMs() + this.#messageMs
  }

  /** Not waited for: what never comes would never let it end. */
  end(): void {
    this.#source.return?.()?.catch(() => {})
  }
}

/** A write that is sent again is answered before its rows are read. */
export async function upload(
  context: Context,
  caller: Caller,
  messages: AsyncIterable<UploadRequest>,
): Promise<WriteResponse> {
  const source = new Arrivals(context, caller, messages)
  try {
    const message = await source.next()
    if (message?.case !== 'begin') throw argumentError('an upload begins with `begin`')
    const begin = message.value
    const run = (by: Caller, tag: Uint8Array | undefined) =>
      readUpload(context, by, begin, source, tag)
    const what = () => whatOf('Upload', begin.collection, toBinary(UploadBeginSchema, begin))
    const once = () => context.requests.once(caller, { what, run, told: writtenBefore })
    return await context.pending.during(begin.collection, once)
  } finally {
    source.end()
  }
}

async function readUpload(
  context: Context,
  caller: Caller,
  begin: UploadBegin,
  source: Arrivals,
  tag: Uint8Array | undefined,
): Promise<WriteResponse> {
  const collection = context.engine.collection(begin.collection)
  const staging = new Staging(context, caller, collection, begin, tag)
  let hadIds = false
  try {
    source.renew()
    for (let message = await source.next(); message; message = await source.next()) {
      if (message.case === 'begin') throw argumentError('an upload begins once')
      if (message.case !== 'batch')
        throw argumentError('a message of an upload is `begin` or `batch`')
      hadIds ||= idsOfMessage(message.value.ids) !== undefined
      await staging.take(message.value)
      if (message.value.vectors.length > 0) source.renew()
    }
    const { firstGeneratedId } = await staging.commit()
    return written(staging.rows, hadIds ? undefined : firstGeneratedId)
  } catch (error) {
    staging.abort()
    throw error
  }
}

export function update(
  { engine, pending, requests }: Context,
  caller: Caller,
  request: UpdateRequest,
): Promise<UpdateResponse> {
  const { vector, metadata, unset } = request
  const run = async (by: Caller, tag: Uint8Array | undefined) => {
    const collection = engine.collection(request.collection)
    if (vector.length === 0 && metadata === undefined && unset.length === 0) {
      throw argumentError('a change without vector, metadata or unset changes nothing')
    }
    const path = unset.find((key) => key.includes('.'))
    if (path !== undefined) throw argumentError('unset takes top-level keys, and no paths')
    const floats = vector.length === 0 ? undefined : floatsOf(vector, 'vector')
    const id = idOfMessage(request.id)
    const call = startCall(engine.addon, by, tag)
    const keys = unset.length === 0 ? undefined : unset
    const work = collection.update(id, floats, metadata, keys, call.operation)
    await call.settle(work).catch((error: unknown) => {
      throw withoutRow(error)
    })
    return create(UpdateResponseSchema)
  }
  const told = () => create(UpdateResponseSchema)
  const what = () => whatOf('Update', request.collection, toBinary(UpdateRequestSchema, request))
  return pending.during(request.collection, () => requests.once(caller, { what, run, told }))
}

export function remove(
  context: Context,
  caller: Caller,
  request: DeleteRequest,
): Promise<DeleteResponse> {
  const { engine, pending, requests } = context
  const run = async (by: Caller, tag: Uint8Array | undefined) => {
    const collection = engine.collection(request.collection)
    const { which } = request
    const call = startCall(engine.addon, by, tag)
    if (which.case === undefined) throw argumentError('delete takes `ids` or `filter`')
    if (which.case === 'filter') {
      if (/^\s*(\{\s*\})?\s*$/.test(which.value)) {
        throw new OmenError('ERR_FILTER', 'an empty filter would delete every record: use clear()')
      }
      const work = collection.deleteFilter(which.value, call.operation)
      return create(DeleteResponseSchema, { deleted: BigInt(await call.settle(work)) })
    }
    const ids = idsOfMessage(which.value) ?? []
    checkDeleted(ids.length, context.limits.batchQueries)
    const work = collection.deleteIds(listOf(context, ids), call.operation)
    return create(DeleteResponseSchema, { deleted: BigInt(await call.settle(work)) })
  }
  const told = ({ count }: Receipt) => create(DeleteResponseSchema, { deleted: BigInt(count) })
  const what = () => whatOf('Delete', request.collection, toBinary(DeleteRequestSchema, request))
  return pending.during(request.collection, () => requests.once(caller, { what, run, told }))
}

function listOf({ engine }: Context, ids: NativeIds) {
  const list = new engine.addon.IdList()
  list.push(ids, 0, ids.length)
  return list
}

export function clear(
  { engine, pending, requests }: Context,
  caller: Caller,
  request: ClearRequest,
): Promise<ClearResponse> {
  const run = async (by: Caller, tag: Uint8Array | undefined) => {
    const collection = engine.collection(request.collection)
    const call = startCall(engine.addon, by, tag)
    await call.settle(collection.clear(call.operation))
    return create(ClearResponseSchema)
  }
  const told = () => create(ClearResponseSchema)
  const what = () => `Clear ${request.collection}`
  return pending.during(request.collection, () => requests.once(caller, { what, run, told }))
}

export function optimize(
  { engine, pending }: Context,
  caller: Caller,
  request: OptimizeRequest,
): Promise<OptimizeResponse> {
  return pending.during(request.collection, async () => {
    const collection = engine.collection(request.collection)
    const call = startCall(engine.addon, caller)
    await call.settle(collection.optimize(call.operation))
    return create(OptimizeResponseSchema)
  })
}
