/** Writes of a client: rows in one message where they are few, else in a stream. */

import type { Id } from '../../types/values.js'
import type { CallSettings } from '../options.js'
import { Telling } from '../progress.js'
import { isOne, sourceOf, type WriteKind, withoutRow } from '../rows/changes.js'
import type { RowSource } from '../rows/incoming.js'
import { integerOf } from '../wire/messages.js'
import {
  create,
  type UploadRequest,
  UploadRequestSchema,
  WriteKind as WireKind,
  WriteRequestSchema,
  type WriteResponse,
} from '../wire/protocol.js'
import { checkDimensions, RowReader } from './rows.js'
import type { Ground } from './session.js'
import { isDimensions, type Target } from './target.js'
import type { Sent } from './transport.js'

/** Rows of `input`, stored. The input is read while the promise is pending. */
export async function writeRows(
  target: Target,
  kind: WriteKind,
  input: unknown,
  settings: CallSettings,
): Promise<Id | Id[]> {
  const { session } = target
  const one = isOne(kind, input)
  // One for all attempts: a repeated one does not begin at nothing again.
  const telling = new Telling(settings.onProgress)
  let rows = 0
  const ground: Ground = {
    async prepare() {
      await target.prepare()
      const source = await firstSource(target, kind, input)
      rows = source.rows
      if (rows > 0) checkDimensions(source.dimensions, 'the vectors have')
    },
    hasChanged: target.sized.hasChanged,
  }
  const work = async (sent: Sent): Promise<Id[]> => {
    if (rows === 0) return []
    // Each attempt reads the input from its start.
    const source = sourceOf(kind, input, target)
    const response = await send(target, kind, source, sent, telling)
    target.dimensions ||= source.dimensions
    return source.result(integerOf(response.firstGeneratedId ?? 0n))
  }
  try {
    const ids = await session.write(target.name, settings, work, ground)
    if (rows > 0) telling.tell(rows, rows)
    return one ? (ids[0] as Id) : ids
  } catch (error) {
    throw one ? withoutRow(error) : error
  }
}

/** Judges the shape. What needs the collection's dimensions may need to ask for them. */
async function firstSource(target: Target, kind: WriteKind, input: unknown): Promise<RowSource> {
  try {
    return sourceOf(kind, input, target)
  } catch (error) {
    if (target.dimensions > 0 || !isDimensions(error)) throw error
    await target.refresh()
    return sourceOf(kind, input, target)
  }
}

async function send(
  { session, name }: Target,
  kind: WriteKind,
  source: RowSource,
  sent: Sent,
  telling: Telling,
): Promise<WriteResponse> {
  const reader = new RowReader(source)
  const { rows, dimensions } = source
  const begin = {
    collection: name,
    kind: kind === 'upsert' ? WireKind.UPSERT : WireKind.UNSPECIFIED,
    rows,
    dimensions,
  }
  const first = reader.next()
  if (reader.isDone) {
    const request = create(WriteRequestSchema, { ...begin, batch: first })
    return session.transport.call('write', request, sent)
  }
  const head: UploadRequest[] = [
    create(UploadRequestSchema, { message: { case: 'begin', value: begin } }),
    create(UploadRequestSchema, { message: { case: 'batch', value: first } }),
  ]
  const next = (): UploadRequest | undefined => {
    const ready = head.shift()
    if (ready !== undefined) return ready
    if (reader.isDone) return undefined
    const value = reader.next()
    telling.tell(Math.floor(reader.row / 2), rows)
    return create(UploadRequestSchema, { message: { case: 'batch', value } })
  }
  return session.transport.upload('upload', next, sent)
}
