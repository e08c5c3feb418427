/**
 * `omendb export`: the records of a collection into a file.
 *
 * What a format cannot hold is refused before the first byte: a matrix has no ids but its row
 * numbers, and no metadata. `--drop` says that something may be lost.
 */

import type { LocalCollection } from '../../types/collection.js'
import type { Id } from '../../types/values.js'
import { OmenError } from '../errors.js'
import type { Call } from './arguments.js'
import { EXIT, UsageError } from './exit.js'
import { FORMATS, type FormatName, type OutRow, type SinkPlan } from './formats/format.js'
import { chooseFormat, makeSink } from './formats/index.js'
import { Interrupt } from './interrupt.js'
import { openDatabase } from './open.js'
import { print, toFile, toStdout } from './output.js'
import { Progress } from './progress.js'
import { counted } from './table.js'

const PAGE_BYTES = 4 * 2 ** 20
const PAGE_ROWS_MAX = 1024
const DROPPABLE = ['ids', 'metadata']

/** What a look over all ids and metadata tells. */
interface Survey extends SinkPlan {
  /** Ids are 0 to rows - 1. */
  isNumbered: boolean
  hasMetadata: boolean
}

export async function exportCollection(call: Call): Promise<number> {
  const out = call.required('out')
  const format = chooseFormat(out, call.oneOf('format', FORMATS))
  const drop = (call.text('drop') ?? '').split(',').filter((s) => s !== '')
  const unknown = drop.find((d) => !DROPPABLE.includes(d))
  if (unknown !== undefined) throw new UsageError(`--drop takes ids, metadata; not '${unknown}'`)
  if (out === '-' && call.json) throw new UsageError('--json and --out - both write to stdout')
  const interrupt = new Interrupt(() => process.exit(EXIT.interrupted))
  const db = await openDatabase(call.path, call, { readOnly: true })
  try {
    const name = call.text('collection') ?? 'default'
    const collection = await db.collection(name, { createIfMissing: false })
    const survey = await look(collection)
    refuseLoss(format, survey, drop)
    const silent = call.json || call.flag('quiet')
    const progress = new Progress(name, 'records', silent)
    const started = performance.now()
    const bytes = await write(collection, survey, { out, format, drop, progress }, call)
    const seconds = (performance.now() - started) / 1000
    const { rows } = survey
    if (call.json) {
      const answer = { path: call.path, collection: name, out, format, records: rows, bytes }
      await print(`${JSON.stringify({ ...answer, seconds })}\n`)
    } else if (!silent && out !== '-') {
      const text = `${counted(rows, 'record')}, ${counted(bytes, 'byte')}, ${seconds.toFixed(1)} s`
      await print(`${out}: ${text}\n`)
    }
    return EXIT.ok
  } finally {
    await db.close()
    interrupt.dispose()
  }
}

async function look(collection: LocalCollection): Promise<Survey> {
  const { dimensions } = await collection.stats()
  let rows = 0
  let strings = 0
  let isNumbered = true
  let hasMetadata = false
  const seen = new Set<Id>()
  for await (const { id, metadata } of collection.records({ batchSize: PAGE_ROWS_MAX })) {
    rows += 1
    if (typeof id === 'string') strings += 1
    if (isNumbered && typeof id !== 'number') isNumbered = false
    if (isNumbered) seen.add(id)
    hasMetadata ||= Object.keys(metadata).length > 0
  }
  for (let i = 0; isNumbered && i < rows; i++) isNumbered = seen.has(i)
  const ids = strings === 0 ? 'integer' : strings === rows ? 'string' : 'mixed'
  return { rows, dimensions, ids, isNumbered, hasMetadata }
}

const isMatrix = (format: FormatName): boolean => ['fvecs', 'bvecs', 'npy'].includes(format)

function refuseLoss(format: FormatName, survey: Survey, drop: string[]): void {
  if (survey.rows === 0 && ['npy', 'arrow'].includes(format) && survey.dimensions === 0) {
    throw new OmenError(
      'ERR_UNSUPPORTED',
      `the collection is empty, and ${format} needs dimensions`,
    )
  }
  if (!isMatrix(format)) return
  const lost: string[] = []
  if (!survey.isNumbered && !drop.includes('ids')) lost.push('ids other than 0, 1, 2 ...')
  if (survey.hasMetadata && !drop.includes('metadata')) lost.push('metadata')
  if (lost.length === 0) return
  const flag = `--drop ${DROPPABLE.filter((d) => lost.some((l) => l.startsWith(d))).join(',')}`
  throw new OmenError(
    'ERR_UNSUPPORTED',
    `${format} holds no ${lost.join(' and no ')}; use jsonl, csv, parquet or arrow, or ${flag}`,
  )
}

interface Target {
  out: string
  format: FormatName
  drop: string[]
  progress: Progress
}

/** Returns the bytes that were written. */
async function write(
  collection: LocalCollection,
  survey: Survey,
  { out, format, drop, progress }: Target,
  call: Call,
): Promise<number> {
  const output = out === '-' ? toStdout() : await toFile(out)
  let bytes = 0
  const counting = {
    ...output,
    async write(part: Uint8Array | string) {
      bytes += typeof part === 'string' ? Buffer.byteLength(part) : part.length
      await output.write(part)
    },
  }
  try {
    const sink = await makeSink(counting, out, format, survey, call.text('delimiter'))
    const isDropping = drop.includes('metadata')
    let done = 0
    // A matrix has its rows by id, so that row n is record n again.
    const pages =
      isMatrix(format) && survey.isNumbered ? byId(collection, survey) : pagesOf(collection, survey)
    for await (const rows of pages) {
      await sink.write(isDropping ? rows.map((row) => ({ ...row, metadata: {} })) : rows)
      done += rows.length
      progress.update(done, done / survey.rows)
    }
    await sink.finish()
    await output.finish()
  } catch (error) {
    await output.abandon()
    throw error
  } finally {
    progress.clear()
  }
  return bytes
}

function pageRows({ dimensions }: Survey): number {
  return Math.max(1, Math.min(PAGE_ROWS_MAX, Math.floor(PAGE_BYTES / (dimensions * 4 + 1))))
}

async function* pagesOf(collection: LocalCollection, survey: Survey): AsyncGenerator<OutRow[]> {
  const limit = pageRows(survey)
  let cursor: string | undefined
  do {
    const page = await collection.scroll({ limit, cursor, include: ['metadata', 'vector'] })
    yield page.records
    cursor = page.next
  } while (cursor !== undefined)
}

async function* byId(collection: LocalCollection, survey: Survey): AsyncGenerator<OutRow[]> {
  const limit = pageRows(survey)
  for (let first = 0; first < survey.rows; first += limit) {
    const count = Math.min(limit, survey.rows - first)
    const ids = Float64Array.from({ length: count }, (_, i) => first + i)
    const rows = await collection.get(ids, { include: ['metadata', 'vector'] })
    yield rows as OutRow[]
  }
}
