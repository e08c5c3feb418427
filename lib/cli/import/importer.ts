/**
 * One file into one collection: read, map, gather, store; resumable.
 *
 * While a batch is stored the next is read, so that two batches are held at most.
 *
 * How no row is stored twice, whenever the process is killed. The ledger (ledger.ts) says up to
 * which row everything is stored; it may lag by what was stored last. So a run that finds an entry
 *   1. holds what the file has up to that place against the digest of what it had, so that an
 *      edited file is noticed, or another that begins alike; then reads the row before that place
 *      again and compares it with the stored record, so that a cleared or restored collection is;
 *   2. compares the rows behind it with the records that have their ids, and passes over those that
 *      are the same, until one is not there;
 *   3. goes on from there. Ids that are row numbers keep the offset they had, unless other records
 *      took the next ids meanwhile: then the rest gets ids behind those.
 * With `upsert` the second step is not needed: storing a row again changes nothing.
 */

import type { LocalCollection } from '../../../types/collection.js'
import type { Id, Ids } from '../../../types/values.js'
import { OmenError } from '../../errors.js'
import { formatError, UsageError } from '../exit.js'
import type { Chunk, Source } from '../formats/format.js'
import { floatBytes } from '../formats/vecs.js'
import type { Interrupt } from '../interrupt.js'
import type { Progress } from '../progress.js'
import { counted } from '../table.js'
import { toJson } from '../wire.js'
import { Batches, cut } from './batches.js'
import { type Columns, type Rows, rowError } from './columns.js'
import type { Entry, Ledger } from './ledger.js'

export interface Work {
  source: Source
  columns: Columns
  collection: LocalCollection
  ledger: Ledger
  /** What the file begins with. */
  head: Buffer
  entry: Entry
  /** The entry comes from an earlier run. */
  isResumed: boolean
  /** Rows [first, end) of the file are wanted. */
  first: number
  end: number
  isUpsert: boolean
  batchRows: number | undefined
  progress: Progress
  interrupt: Interrupt
}

export interface Outcome {
  /** Rows of this run. */
  stored: number
  /** Rows that earlier runs had stored. */
  alreadyStored: number
  /** Stopped by the user, before the end. */
  isInterrupted: boolean
}

/** The file, or one that begins alike, was another when rows of it were stored. */
export class EditedFile extends Error {
  /** @param rows  Rows before this one were stored, as they were then. */
  constructor(readonly rows: number) {
    super('the file was edited')
  }
}

export class Importer {
  readonly #work: Work
  readonly #batches: Batches
  #storing: Promise<void> = Promise.resolve()
  #isEntrySaved = false
  /** What an earlier run stored is what the file says. */
  #isVerified = false
  #isPassingStored: boolean
  #dimensions: number | undefined
  #stored = 0
  #passed = 0

  constructor(work: Work) {
    this.#work = work
    this.#batches = new Batches(work.batchRows, work.isUpsert)
    this.#isPassingStored = work.isResumed && !work.isUpsert
  }

  async run(): Promise<Outcome> {
    const { source, entry, first, end, progress } = this.#work
    const earlier = Math.min(entry.rows, end) - first
    progress.begin(earlier)
    let isInterrupted = false
    try {
      isInterrupted = await this.#readAll()
      if (!isInterrupted) await this.#flush()
      await this.#storing
    } catch (error) {
      // The batch that is being stored ends first: its rows count, whatever became of the next.
      await this.#storing.catch(() => {})
      const isAborted = error instanceof OmenError && error.code === 'ERR_ABORTED'
      if (!isAborted) throw this.#isVerified ? withProgress(error, entry.rows - first) : error
      isInterrupted = true
    }
    progress.clear()
    if (!isInterrupted && entry.rows > first) {
      entry.isDone =
        source.rows === undefined ? end === Number.POSITIVE_INFINITY : entry.rows >= source.rows
      this.#work.ledger.save(entry)
    }
    return { stored: this.#stored, alreadyStored: earlier + this.#passed, isInterrupted }
  }

  /** Returns whether it was interrupted. */
  async #readAll(): Promise<boolean> {
    const { source, columns, entry, first, end, interrupt } = this.#work
    const isGoingOn = entry.rows > first
    this.#isVerified = !isGoingOn
    const chunks = source.chunks(isGoingOn ? entry.rows - 1 : first)[Symbol.asyncIterator]()
    for (;;) {
      // A pipe may have nothing to read for ever: an interruption does not wait for it.
      const step = await Promise.race([chunks.next(), interrupt.asked])
      if (interrupt.isAsked || step === undefined) return true
      if (step.done === true) break
      let rows = this.#map(columns, step.value)
      if (!this.#isVerified && rows.count > 0) {
        await this.#verify(rows)
        this.#isVerified = true
        rows = cut(rows, 1, rows.count)
      }
      rows = cut(rows, 0, Math.max(0, Math.min(rows.count, end - rows.row)))
      if (this.#isPassingStored) rows = await this.#passStored(rows)
      for (const batch of this.#batches.add(rows)) await this.#store(batch)
      if (rows.row + rows.count >= end) break
    }
    if (!this.#isVerified) {
      const message = `it has fewer rows than the ${entry.rows} that an earlier import stored of it`
      throw formatError(source.name, `${message}; use --restart to import it as another`)
    }
    return false
  }

  #map(columns: Columns, chunk: Chunk): Rows {
    const rows = columns.map(chunk)
    if (this.#work.isUpsert && rows.ids === undefined) {
      throw new UsageError(`--upsert needs ids, and ${this.#work.source.name} has none`)
    }
    this.#dimensions ??= rows.dimensions
    if (rows.dimensions === this.#dimensions) return rows
    const message = `${rows.dimensions} dimensions, where the rows before have ${this.#dimensions}`
    throw rowError('ERR_DIMENSIONS', this.#work.source.name, rows.row, rows.lines?.[0], message)
  }

  async #flush(): Promise<void> {
    for (const batch of this.#batches.flush()) await this.#store(batch)
  }

  /** Begins to store a batch when the one before it is stored. */
  async #store(batch: Rows): Promise<void> {
    await this.#storing
    const { entry, ledger } = this.#work
    if (!this.#isEntrySaved) {
      if (batch.ids === undefined && entry.base === null) await this.#chooseBase(batch.row)
      ledger.save(entry)
      this.#isEntrySaved = true
    }
    this.#storing = this.#write(batch)
    this.#storing.catch(() => {}) // Whoever awaits it next, tells.
  }

  async #write(batch: Rows): Promise<void> {
    const { collection, isUpsert, interrupt, progress, entry, first, source, ledger } = this.#work
    const { vectors, metadata, dimensions } = batch
    const ids = this.#idsOf(batch)
    const done = entry.rows - first
    const options = {
      signal: interrupt.signal,
      onProgress: (p: { done: number }) =>
        progress.update(done + p.done, this.#part(done + p.done)),
    }
    const rows = { ids, vectors, dimensions, ...(metadata === undefined ? {} : { metadata }) }
    try {
      await (isUpsert ? collection.upsert(rows, options) : collection.add(rows, options))
    } catch (error) {
      throw inFile(error, source.name, batch)
    }
    await this.#advance(batch, batch.count)
    ledger.save(entry)
    this.#stored += batch.count
    progress.update(entry.rows - first, this.#part(entry.rows - first))
  }

  /** The first `count` of these rows are stored. */
  async #advance({ row, ids, seal }: Rows, count: number): Promise<void> {
    const { entry, ledger, head } = this.#work
    ledger.seal(entry, head, await seal(count))
    entry.rows = row + count
    if (ids === undefined) entry.lastId = (entry.base ?? 0) + entry.rows - 1
  }

  #part(done: number): number | undefined {
    const { source, first, end } = this.#work
    const total = Math.min(end, source.rows ?? Number.POSITIVE_INFINITY) - first
    return Number.isFinite(total) ? done / Math.max(1, total) : source.part()
  }

  #idsOf({ ids, row, count }: Rows): Ids {
    if (ids !== undefined) return ids
    const base = this.#work.entry.base ?? 0
    return Float64Array.from({ length: count }, (_, i) => base + row + i)
  }

  /** Row `row` gets the next generated id, or its own number if that is larger. */
  async #chooseBase(row: number): Promise<void> {
    const { nextId } = await this.#work.collection.stats()
    if (typeof nextId !== 'number') {
      const message = `the next id, ${nextId}, is past 2^53 - 1: choose a column with --id`
      throw new OmenError('ERR_ID', `${this.#work.source.name}: ${message}`)
    }
    const { entry } = this.#work
    entry.base = Math.max(entry.base ?? 0, nextId - row)
  }

  /** The file is what it was, and the last row that an earlier run stored is there. */
  async #verify(rows: Rows): Promise<void> {
    const { collection, entry, source, isUpsert } = this.#work
    const { sha256 } = await rows.seal(1)
    if (sha256 !== entry.sealSha256) throw new EditedFile(entry.rows)
    const last = cut(rows, 0, 1)
    // Not by `base`, which may have moved on since.
    const ids = rows.ids ?? [entry.lastId as number]
    const same = isUpsert
      ? await collection.has(ids[0] as Id)
      : (await this.#countSame(last, ids.slice(0, 1))) === 1
    if (same) return
    throw new OmenError(
      'ERR_EXISTS',
      `${source.name}: an earlier import stored ${entry.rows} rows of it (or of a file that ` +
        `begins alike), and record ${String(ids[0])} is not what row ${entry.rows - 1} says. ` +
        'Restore the collection, or use --restart to import all rows again',
    )
  }

  /** The rows that are not yet stored; after the first such row it looks no more. */
  async #passStored(rows: Rows): Promise<Rows> {
    if (rows.count === 0) return rows
    const { entry } = this.#work
    if (rows.ids === undefined && entry.base === null) {
      this.#isPassingStored = false
      return rows
    }
    const same = await this.#countSame(rows, this.#idsOf(rows))
    this.#passed += same
    if (same > 0) await this.#advance(rows, same)
    if (same === rows.count) return cut(rows, same, same)
    this.#isPassingStored = false
    if (rows.ids === undefined) await this.#chooseBase(rows.row + same)
    return cut(rows, same, rows.count)
  }

  /** How many rows, from the first on, are stored as they are here. */
  async #countSame(rows: Rows, ids: Ids): Promise<number> {
    const found = await this.#work.collection.get(ids, { include: ['metadata', 'vector'] })
    const at = found.findIndex((record, i) => {
      if (record === undefined) return true
      const { vectors, metadata, dimensions } = cut(rows, i, i + 1)
      if (record.vector.length !== dimensions) return true
      const isSame = Buffer.compare(floatBytes(record.vector), floatBytes(vectors)) === 0
      return !isSame || toJson(record.metadata) !== toJson(metadata?.[0] ?? {})
    })
    return at === -1 ? rows.count : at
  }
}

/** What ended the import, and that it need not begin anew. */
function withProgress(error: unknown, rows: number): unknown {
  if (!(error instanceof OmenError) || rows === 0) return error
  const stored = `${counted(rows, 'row')} before ${rows === 1 ? 'is' : 'are'} stored`
  const message = `${error.message}; ${stored}: once this is mended, the same command goes on`
  return new OmenError(error.code, message, { details: error.details, cause: error })
}

/** The fault of a batch as a fault of the file: the row as the file counts it. */
function inFile(error: unknown, file: string, batch: Rows): unknown {
  if (!(error instanceof OmenError) || error.code === 'ERR_ABORTED') return error
  const { row } = error.details
  const message = error.message.replace(/^row \d+: /, '')
  if (row === undefined) return new OmenError(error.code, `${file}: ${message}`, { cause: error })
  return rowError(error.code, file, batch.row + row, batch.lines?.[row], message)
}
