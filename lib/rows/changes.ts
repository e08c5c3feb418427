/** What the writes are told: kinds, changes, deletions; and what their errors say of rows. */

import type { NativeId, NativeIds } from '../../types/native.js'
import { OmenError } from '../errors.js'
import { filterToJson, isEmptyFilter } from '../filter.js'
import { idList, isIds, normalId } from '../ids.js'
import { metadataToJson } from '../metadata.js'
import { argumentError } from '../options.js'
import { describe, isPlain } from '../text.js'
import { toVector } from '../vectors.js'
import {
  isOneRecord,
  type RowSource,
  type RowTarget,
  recordsSource,
  vectorsSource,
} from './incoming.js'

export type WriteKind = 'add' | 'upsert' | 'addBatch'

/** The rows of add, upsert and addBatch. */
export function sourceOf(kind: WriteKind, input: unknown, collection: RowTarget): RowSource {
  return kind === 'addBatch' ? vectorsSource(input, collection) : recordsSource(input, collection)
}

/** Whether a write takes one record, and returns one id. */
export function isOne(kind: WriteKind, input: unknown): boolean {
  return kind !== 'addBatch' && isOneRecord(input)
}

/** To the caller of add(record) and update there are no rows. */
export function withoutRow(error: unknown): unknown {
  if (!(error instanceof OmenError) || error.details.row !== 0) return error
  const { row: _, ...details } = error.details
  return new OmenError(error.code, error.message.replace(/^row 0: /, ''), { details })
}

/** The change of update, as native code takes it. */
export interface NativeChange {
  id: NativeId
  vector: Float32Array | undefined
  metadata: string | undefined
  unset: readonly string[] | undefined
}

/** @param isLater  The call may wait for its turn: the vector is copied. */
export function readChange(id: unknown, change: unknown, isLater: boolean): NativeChange {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) {
    throw argumentError(`a change is { vector?, metadata?, unset? }, not ${describe(change)}`)
  }
  const { vector, metadata, unset, ...others } = change as Record<string, unknown>
  const [other] = Object.keys(others)
  if (other !== undefined) {
    throw argumentError(`unknown key ${JSON.stringify(other)} in a change`)
  }
  if (vector === undefined && metadata === undefined && unset === undefined) {
    throw argumentError('a change without vector, metadata or unset changes nothing')
  }
  if (unset !== undefined && !(Array.isArray(unset) && unset.every((k) => typeof k === 'string'))) {
    throw argumentError(`unset is a list of top-level keys, not ${describe(unset)}`)
  }
  const path = (unset as string[] | undefined)?.find((key) => key.includes('.'))
  if (path !== undefined) {
    throw argumentError(`unset takes top-level keys, and ${describe(path)} is a path`)
  }
  const floats = vector === undefined ? undefined : toVector(vector)
  return {
    id: normalId(id),
    vector: isLater ? floats?.slice() : floats,
    metadata: metadata === undefined ? undefined : metadataToJson(metadata),
    unset: unset === undefined ? undefined : [...unset],
  }
}

/** What delete is asked to delete. */
export type Deletion = { kind: 'ids'; ids: NativeIds } | { kind: 'filter'; filter: string }

export function readDeletion(which: unknown): Deletion {
  if (isIds(which)) return { kind: 'ids', ids: idList(which) }
  if (typeof which !== 'object' || which === null) {
    return { kind: 'ids', ids: [normalId(which)] }
  }
  const other = isPlain(which) ? Object.keys(which).find((key) => key !== 'filter') : undefined
  if (!isPlain(which) || other !== undefined) {
    const what = other === undefined ? describe(which) : `an object with ${JSON.stringify(other)}`
    throw argumentError(`delete takes an id, ids or { filter }, not ${what}`)
  }
  const { filter } = which
  if (isEmptyFilter(filter)) {
    throw new OmenError('ERR_FILTER', 'an empty filter would delete every record: use clear()')
  }
  return { kind: 'filter', filter: filterToJson(filter) as string }
}
