/**
 * What was imported, so that an import that was interrupted goes on where its stored rows end.
 *
 * A small file for each import lies in the database's directory, under `imports/`: there it shares
 * the database's fate, whether that is moved, copied or removed. It is rewritten, whole and synced,
 * after each batch that was stored, so that it may lag behind the database and never run ahead.
 * Importer (importer.ts) finds out what lies between.
 *
 * Invariants:
 *   1. Rows before `rows` are stored, and on the device.
 *   2. An entry is found again by what the file begins with, never by its name or time: a file may
 *      be moved, and a pipe has neither. Whether it is still what it was up to row `rows`, its seal
 *      tells: a file that was edited there is another one.
 */

import { createHash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { formatError, systemError } from '../exit.js'
import type { Sealed } from '../formats/prefix.js'

const FOLDER = 'imports'
const VERSION = 1

/** What an import is of; all of it must agree for one to go on with another. */
export interface ImportKey {
  collection: string
  /** Format, choice of columns, first row: whatever decides how row n is stored. */
  mapping: string
}

export interface Entry extends ImportKey {
  version: number
  /** For people: the file's name. */
  source: string
  /** No more than what stored rows take, once there are any: what is behind them may be mended. */
  headBytes: number
  headSha256: string
  /** Rows of the file before this one are stored. */
  rows: number
  /** What the file held up to the end of row `rows - 1`; null: nothing is stored of it. */
  sealSha256: string | null
  /** Ids are row numbers plus this; null: they come from the file. */
  base: number | null
  /** Of ids that are row numbers: the id of row `rows - 1`. */
  lastId: number | null
  /** The end of the file was reached. */
  isDone: boolean
  /** When it was written, ISO. */
  time: string
}

export class Ledger {
  readonly #folder: string
  readonly #names = new WeakMap<Entry, string>()

  /** @param where  The database's directory. */
  constructor(where: string) {
    this.#folder = path.join(where, FOLDER)
  }

  /** The entry of an earlier import of what begins with `head`, the longest beginning first. */
  find(key: ImportKey, head: Uint8Array): Entry | undefined {
    let found: Entry | undefined
    for (const file of this.#files()) {
      const entry = this.#read(file)
      this.#names.set(entry, file)
      if (entry.collection !== key.collection || entry.mapping !== key.mapping) continue
      if (entry.headBytes > head.length || entry.headBytes <= (found?.headBytes ?? 0)) continue
      if (sha256(head.subarray(0, entry.headBytes)) === entry.headSha256) found = entry
    }
    return found
  }

  begin(key: ImportKey, source: string, head: Uint8Array, rows: number): Entry {
    const headSha256 = sha256(head)
    const entry: Entry = {
      version: VERSION,
      ...key,
      source,
      headBytes: head.length,
      headSha256,
      rows,
      sealSha256: null,
      base: null,
      lastId: null,
      isDone: false,
      time: '',
    }
    const name = sha256(`${entry.collection}\n${entry.mapping}\n${headSha256}`).slice(0, 16)
    this.#names.set(entry, `${name}.json`)
    return entry
  }

  /** Notes what the file holds up to the last row that is stored. */
  seal(entry: Entry, head: Uint8Array, sealed: Sealed): void {
    const known = head.subarray(0, sealed.bytes)
    entry.sealSha256 = sealed.sha256
    entry.headBytes = known.length
    entry.headSha256 = sha256(known)
  }

  /** The entry is on the device when this returns. */
  save(entry: Entry): void {
    const file = path.join(this.#folder, this.#names.get(entry) as string)
    const text = `${JSON.stringify({ ...entry, time: new Date().toISOString() }, null, 2)}\n`
    try {
      mkdirSync(this.#folder, { recursive: true })
      const handle = openSync(`${file}.tmp`, 'w')
      try {
        writeSync(handle, text)
        fsyncSync(handle)
      } finally {
        closeSync(handle)
      }
      renameSync(`${file}.tmp`, file)
      this.#syncFolder()
    } catch (error) {
      throw systemError(error, file)
    }
  }

  // Without it a power failure might forget the file's name. Windows syncs names itself.
  #syncFolder(): void {
    if (process.platform === 'win32') return
    const handle = openSync(this.#folder, 'r')
    try {
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
  }

  #files(): string[] {
    try {
      return readdirSync(this.#folder).filter((f) => f.endsWith('.json'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw systemError(error, this.#folder)
    }
  }

  #read(name: string): Entry {
    const file = path.join(this.#folder, name)
    const fault = () =>
      formatError(file, 'it is no record of an import; remove it, and use --restart if need be')
    let entry: Entry
    try {
      entry = JSON.parse(readFileSync(file, 'utf8')) as Entry
    } catch (error) {
      if (error instanceof SyntaxError) throw fault()
      throw systemError(error, file)
    }
    const isRow = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0
    if (entry === null || typeof entry !== 'object' || entry.version !== VERSION) throw fault()
    if (!isRow(entry.rows) || !isRow(entry.headBytes)) throw fault()
    if (![entry.base, entry.lastId].every((n) => n === null || isRow(n))) throw fault()
    if (entry.sealSha256 !== null && typeof entry.sealSha256 !== 'string') throw fault()
    return entry
  }
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
