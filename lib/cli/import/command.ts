/** `omendb import`: files into a collection, one after the other. */

import { access, constants } from 'node:fs/promises'
import type { LocalCollection } from '../../../types/collection.js'
import type { CollectionOptions, Schema } from '../../../types/options.js'
import type { DB } from '../../db.js'
import { OmenError } from '../../errors.js'
import type { Call } from '../arguments.js'
import { EXIT, systemError, UsageError } from '../exit.js'
import { FORMATS, type FormatName, type Source } from '../formats/format.js'
import { chooseFormat, openSource } from '../formats/index.js'
import { Interrupt } from '../interrupt.js'
import { openDatabase } from '../open.js'
import { print } from '../output.js'
import { Progress } from '../progress.js'
import { counted } from '../table.js'
import { type Choice, Columns } from './columns.js'
import { EditedFile, Importer, type Outcome } from './importer.js'
import { type Entry, type ImportKey, Ledger } from './ledger.js'

const ROWS_MAX = Number.MAX_SAFE_INTEGER

/** What one file came to. */
interface FileResult {
  file: string
  format: string
  stored: number
  alreadyStored: number
  isInterrupted: boolean
  /** It was edited since rows of it were imported, and was imported anew. */
  wasEdited: boolean
  seconds: number
}

interface Settings {
  to: string
  name: string
  choice: Choice
  skip: number
  end: number
  batchRows: number | undefined
  isUpsert: boolean
  isRestart: boolean
  isSilent: boolean
}

export async function importFiles(call: Call): Promise<number> {
  const settings = readSettings(call)
  const options = collectionOptions(call)
  const files = call.positionals
  if (files.filter((f) => f === '-').length > 1) throw new UsageError('- can be read once')
  const given = call.oneOf('format', FORMATS)
  const formats = files.map((file) => chooseFormat(file, given))
  // The last one's name may be wrong, and the first ones take an hour.
  for (const file of files) if (file !== '-') await refuseMissing(file)
  const interrupt = new Interrupt(() => {
    process.stderr.write('\nomendb: finishing the batch; press Ctrl-C again to stop now\n')
  })
  const results: FileResult[] = []
  const work = { call, settings, options, delimiter: call.text('delimiter'), interrupt }
  const target: Target = { db: undefined, isMade: false }
  let isDone = false
  try {
    for (const [i, file] of files.entries()) {
      const format = formats[i] as FormatName
      const result = await importFile({ ...work, file, format, isRestart: false }, target)
      results.push(result)
      if (!settings.isSilent) await print(describe(result))
      if (result.isInterrupted) break
    }
    isDone = results.at(-1)?.isInterrupted === false
    if (call.json) {
      await print(`${JSON.stringify(await asJson(settings, results, target.db as DB))}\n`)
    }
  } finally {
    // What ended the import is told, whatever becomes of this.
    if (!isDone) await dropIfEmpty(target, settings.name).catch(() => {})
    await target.db?.close()
    interrupt.dispose()
  }
  const isInterrupted = results.at(-1)?.isInterrupted === true
  if (isInterrupted && !call.json) process.stderr.write(howToGoOn(results.at(-1) as FileResult))
  return isInterrupted ? EXIT.interrupted : EXIT.ok
}

async function refuseMissing(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK)
  } catch (error) {
    throw systemError(error, file)
  }
}

/** The database, once a file could be read. */
interface Target {
  db: DB | undefined
  /** The collection was made by this import. */
  isMade: boolean
}

interface FileWork {
  call: Call
  settings: Settings
  options: CollectionOptions
  delimiter: string | undefined
  interrupt: Interrupt
  file: string
  format: FormatName
  /** Whatever the settings say: the file was edited. */
  isRestart: boolean
}

async function importFile(work: FileWork, target: Target): Promise<FileResult> {
  const { call, file, format, settings, options, delimiter, interrupt } = work
  // Opened before the database is: a file that cannot be read makes none.
  const { source, head, isFile } = await openSource(file, format, delimiter)
  try {
    const columns = new Columns(source, settings.choice)
    target.db ??= await openDatabase(settings.to, call, { readOnly: false })
    const { db } = target
    target.isMade ||= !(await db.listCollections()).includes(settings.name)
    const collection = await db.collection(settings.name, options)
    const key = keyOf(settings, source, delimiter)
    const isRestart = settings.isRestart || work.isRestart
    const opened = { source, head, columns, key, collection, isRestart }
    try {
      const { outcome, seconds } = await importOne(opened, settings, interrupt)
      return { file, format: source.format, ...outcome, wasEdited: work.isRestart, seconds }
    } catch (error) {
      if (!(error instanceof EditedFile)) throw error
      const canBegin = settings.isUpsert && isFile
      if (!canBegin) throw editedError(error, source.name, columns.hasIds, settings.isUpsert)
      if (!call.json) process.stderr.write(beginsAnew(error, source.name))
    }
  } finally {
    await source.close()
  }
  return importFile({ ...work, isRestart: true }, target)
}

/** An import that stored nothing leaves no options behind that the next one contradicts. */
async function dropIfEmpty({ db, isMade }: Target, name: string): Promise<void> {
  if (db === undefined || !isMade || !(await db.listCollections()).includes(name)) return
  const collection = await db.collection(name)
  const { count, nextId } = await collection.stats()
  if (count === 0 && nextId === 0) await db.dropCollection(name)
}

function beginsAnew({ rows }: EditedFile, file: string): string {
  return (
    `omendb: ${file} was edited since ${counted(rows, 'row')} of it ${wereImported(rows)}: ` +
    'all of its rows are imported again\n'
  )
}

const wereImported = (rows: number): string => (rows === 1 ? 'was imported' : 'were imported')

function editedError(
  { rows }: EditedFile,
  file: string,
  hasIds: boolean,
  isUpsert: boolean,
): OmenError {
  const how = isUpsert
    ? 'give it once more with --restart, and all rows are imported again'
    : hasIds
      ? 'with --upsert all rows are imported again, and replace those'
      : 'with --restart all rows are imported once more, under new ids'
  const what =
    `${counted(rows, 'row')} of it (or of one that begins alike) ${wereImported(rows)}, and it ` +
    'was edited there since: they are stored as they were'
  return new OmenError('ERR_EXISTS', `${file}: ${what}; ${how}`)
}

function readSettings(call: Call): Settings {
  const skip = call.integer('skip', 0, ROWS_MAX) ?? 0
  const limit = call.integer('limit', 1, ROWS_MAX)
  const choice = {
    id: call.text('id'),
    vector: call.text('vector'),
    metadata: call.text('metadata'),
  }
  const isUpsert = call.flag('upsert')
  if (isUpsert && choice.id === 'none') throw new UsageError('--upsert needs ids, not --id none')
  return {
    to: call.required('to'),
    name: call.text('collection') ?? 'default',
    choice,
    skip,
    end: limit === undefined ? Number.POSITIVE_INFINITY : skip + limit,
    batchRows: call.integer('batch', 1, 10_000_000),
    isUpsert,
    isRestart: call.flag('restart'),
    isSilent: call.json || call.flag('quiet'),
  }
}

function collectionOptions(call: Call): CollectionOptions {
  return {
    metric: call.oneOf('metric', ['cosine', 'l2', 'dot']),
    quantization: call.oneOf('quantization', ['sq8', 'none', 'binary']),
    dimensions: call.integer('dimensions', 1, 16_384),
    schema: call.parsed('schema') as Schema | undefined,
  }
}

function keyOf(settings: Settings, source: Source, delimiter: string | undefined): ImportKey {
  const { choice, skip } = settings
  const mapping = JSON.stringify({ format: source.format, ...choice, delimiter, skip })
  return { collection: settings.name, mapping }
}

interface Opened {
  source: Source
  head: Buffer
  columns: Columns
  key: ImportKey
  collection: LocalCollection
  isRestart: boolean
}

async function importOne(
  { source, head, columns, key, collection, isRestart }: Opened,
  settings: Settings,
  interrupt: Interrupt,
): Promise<{ outcome: Outcome; seconds: number }> {
  const { to, skip, end, isUpsert, batchRows, isSilent } = settings
  const ledger = new Ledger(to)
  // In an empty collection nothing can be stored twice: whatever an entry says is of the past.
  const isEmpty = (await collection.count()) === 0
  const found = isRestart || isEmpty ? undefined : ledger.find(key, head)
  const entry: Entry = found ?? ledger.begin(key, source.name, head, skip)
  const progress = new Progress(source.name, 'rows', isSilent)
  const started = performance.now()
  const outcome = await new Importer({
    source,
    columns,
    collection,
    ledger,
    head,
    entry,
    isResumed: found !== undefined,
    first: skip,
    end,
    isUpsert,
    batchRows,
    progress,
    interrupt,
  })
    .run()
    .finally(() => progress.clear())
  return { outcome, seconds: (performance.now() - started) / 1000 }
}

async function asJson({ to, name }: Settings, results: FileResult[], db: DB): Promise<unknown> {
  const collection = await db.collection(name)
  return {
    to,
    collection: name,
    count: await collection.count(),
    isInterrupted: results.at(-1)?.isInterrupted === true,
    files: results,
  }
}

function describe({ file, stored, alreadyStored, seconds, isInterrupted }: FileResult): string {
  const name = file === '-' ? 'standard input' : file
  let text = `${name}: ${counted(stored, 'row')} stored`
  if (stored > 0) {
    const rate = Math.round(stored / Math.max(seconds, 1e-3)).toLocaleString('en')
    text += ` in ${seconds.toFixed(1)} s (${rate} rows/s)`
  }
  if (alreadyStored > 0) {
    text += `, ${alreadyStored} ${alreadyStored === 1 ? 'was' : 'were'} there from an earlier run`
  }
  if (stored === 0 && alreadyStored > 0 && !isInterrupted) {
    text += `; --restart imports ${alreadyStored === 1 ? 'it' : 'them'} once more`
  }
  return `${text}\n`
}

function howToGoOn({ file, stored, alreadyStored }: FileResult): string {
  const count = stored + alreadyStored
  const rows = `${counted(count, 'row')} of it ${count === 1 ? 'is' : 'are'} stored`
  const how =
    file === '-'
      ? 'give it the same input and the same arguments again'
      : 'run the same command again'
  return `omendb: interrupted; ${rows}. To go on, ${how}.\n`
}
