/**
 * Engine: the database that the server serves, and its open collections by name.
 *
 * Handlers work on native collections: what came from the wire goes there as it is, and JSON texts
 * are not parsed on the way. Collections that were dropped are looked up anew, so that a name means
 * the collection of that name now.
 */

import path from 'node:path'
import type {
  NativeAddon,
  NativeCheckReport,
  NativeCollection,
  NativeCollectionOptions,
  NativeDatabase,
  NativeDiskOptions,
  NativeOpenMode,
} from '../../types/native.js'
import type { Progress } from '../../types/values.js'
import { Call } from '../call.js'
import { OmenError } from '../errors.js'
import { native } from '../native.js'
import { collectionName } from '../options.js'
import { databasePath } from '../paths.js'
import type { Settings } from './settings.js'

export class Engine {
  readonly addon: NativeAddon
  readonly isOnDisk: boolean
  readonly #collections = new Map<string, NativeCollection>()
  #database: NativeDatabase | undefined
  #checking: Promise<NativeCheckReport[]> | undefined
  readonly #ends = new Set<() => Promise<void>>()
  #closing: Promise<void> | undefined
  #directory: string | undefined

  constructor(readonly settings: Settings) {
    this.addon = native()
    this.isOnDisk = settings.data !== undefined
  }

  /**
   * Opens the database: recovery takes time. `tell` hears how far it is, when it is long; `opened`
   * gets a database on disk before anybody else.
   *
   * @returns undefined where this was closed meanwhile.
   */
  async open(
    tell: (progress: Progress) => void,
    opened: (database: NativeDatabase) => void,
  ): Promise<NativeDatabase | undefined> {
    const { data, durability, residency, readOnly, maxMemoryBytes } = this.settings
    if (data === undefined) {
      this.#database = new this.addon.Database({ maxMemoryBytes })
      return this.#database
    }
    const options: NativeDiskOptions = { durability, residency, readOnly, maxMemoryBytes }
    const settings = { signal: undefined, timeoutMs: undefined, onProgress: tell }
    const call = Call.start(this.addon, settings) as Call
    const where = databasePath(data)
    this.#directory = `${where}${path.sep}`
    const opening = this.addon.openDatabase(where, options, call.operation)
    call.submitted(0)
    const database = await call.settle(opening)
    if (this.#closing !== undefined) {
      await database.close()
      return undefined
    }
    opened(database)
    this.#database = database
    return database
  }

  /** For callers, who are told no paths: files of the database have their names alone. */
  withoutPaths(text: string): string {
    return this.#directory === undefined ? text : text.replaceAll(this.#directory, '')
  }

  get isOpen(): boolean {
    return this.#database !== undefined && this.#closing === undefined
  }

  /** Throws ERR_UNAVAILABLE before the database is open, and when it closes. */
  get database(): NativeDatabase {
    if (this.#database === undefined) {
      throw new OmenError('ERR_UNAVAILABLE', 'the server is opening its database; retry')
    }
    if (this.#closing !== undefined) {
      throw new OmenError('ERR_UNAVAILABLE', 'the server is shutting down; retry later')
    }
    return this.#database
  }

  /** The collection of this name. Throws ERR_NOT_FOUND. */
  collection(name: string): NativeCollection {
    const { database } = this
    const known = this.#collections.get(name)
    if (known !== undefined && !known.isDropped) return known
    this.#collections.delete(name)
    return this.openCollection(database, name, {}, 2)
  }

  openCollection(
    database: NativeDatabase,
    name: string,
    options: NativeCollectionOptions,
    mode: NativeOpenMode,
    tag?: Uint8Array,
  ): NativeCollection {
    const opened = database.collection(collectionName(name), options, mode, tag)
    this.#collections.set(name, opened)
    return opened
  }

  dropCollection(name: string, tag?: Uint8Array): boolean {
    const existed = this.database.dropCollection(collectionName(name), tag)
    this.#collections.delete(name)
    return existed
  }

  /** Collections that were made or dropped are as durable as promised. */
  async settle(): Promise<void> {
    if (this.isOnDisk) await this.database.settle()
  }

  /**
   * Verifies all collections. Who asks while one runs gets its answer: callers who wait no longer
   * do not end it, and shall not have many at work.
   */
  check(): Promise<NativeCheckReport[]> {
    this.#checking ??= this.database.check().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  /** Work to be done once: by who calls the result, or else when this closes. */
  onEnd(work: () => Promise<void>): () => Promise<void> {
    let done: Promise<void> | undefined
    const end = (): Promise<void> => {
      done ??= work().finally(() => this.#ends.delete(end))
      return done
    }
    this.#ends.add(end)
    return end
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      await this.#database?.close()
    } finally {
      await Promise.all(Array.from(this.#ends, (end) => end()))
    }
  }
}
