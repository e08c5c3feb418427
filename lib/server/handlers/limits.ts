/**
 * Limits on what a message asks for, and on its answer: each judged before the work is done, that
 * of metadata, whose size nobody knows before, once it was read.
 *
 * Why answers: JSON is made on the thread that serves everybody, at some 2 million numbers a
 * second; past 512 MiB it cannot be made at all.
 */

import type { NativeCollection } from '../../../types/native.js'
import { OmenError } from '../../errors.js'

/** What an answer is made of: numbers of JSON, or float32 as they are. */
export type Form = 'json' | 'binary'

const ANSWER_BYTES: Record<Form, number> = { json: 64 * 2 ** 20, binary: 256 * 2 ** 20 }
/** Of `-1.2345678901234567e-10,`: a float32 as JSON writes it, at most. */
export const JSON_NUMBER_BYTES = 24
const NUMBER_BYTES: Record<Form, number> = { json: JSON_NUMBER_BYTES, binary: 4 }
/** Of a hit beside its vector, metadata and the text of its id. */
const JSON_RECORD_BYTES = 64
const VECTORS = 2

/** Throws ERR_LIMIT, which says what to do. */
export function checkLimit(value: number, limit: number, what: string): void {
  if (value <= limit) return
  const message = `${what}: ${value}, and this server takes at most ${limit}; split the request`
  throw new OmenError('ERR_LIMIT', message)
}

/** Throws ERR_LIMIT. Why clients split it not: it is done whole or not at all. */
export function checkDeleted(ids: number, limit: number): void {
  if (ids <= limit) return
  const message = `ids: ${ids}, and this server deletes at most ${limit} at once, all or none`
  throw new OmenError('ERR_LIMIT', `${message}; call delete for parts of them, or with a filter`)
}

/**
 * Throws ERR_LIMIT where the vectors of an answer would be too many.
 *
 * @param include  Bits of NativeInclude.
 * @param rows     At most: records that are not there are not counted.
 */
export function checkVectors(
  collection: Pick<NativeCollection, 'dimensions' | 'countSync'>,
  include: number,
  rows: number,
  form: Form,
): void {
  if ((include & VECTORS) === 0) return
  const { dimensions } = collection
  const most = Math.floor(ANSWER_BYTES[form] / NUMBER_BYTES[form] / Math.max(dimensions, 1))
  if (rows <= most || collection.countSync(undefined) <= most) return
  const instead =
    form === 'json'
      ? 'leave the vectors out, or use Client or gRPC, which send bytes'
      : 'page by page'
  const message =
    `${rows} records with vectors of ${dimensions} dimensions are too large an answer: ` +
    `ask for at most ${most} at once, ${instead}`
  throw new OmenError('ERR_LIMIT', message)
}

/** Of JSON to be made: throws ERR_LIMIT. @param moreBytes  Beside its records' frames. */
export function checkJson(rows: number, moreBytes: number): void {
  const bytes = rows * JSON_RECORD_BYTES + moreBytes
  if (bytes <= ANSWER_BYTES.json) return
  const most = ANSWER_BYTES.json
  const message = `the answer would be about ${bytes} bytes of JSON, of ${most} at most`
  throw new OmenError(
    'ERR_LIMIT',
    `${message}; ask for less at once, or leave metadata and vectors out`,
  )
}
