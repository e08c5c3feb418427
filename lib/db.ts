/**
 * DB: an embedded database, in this process.
 *
 * In this version databases live in memory. The addon loads at the first DB, so that importing
 * omendb costs nothing and cannot fail.
 */

/// <reference lib="esnext.disposable" preserve="true" />

import type { LocalCollection } from '../types/collection.js'
import type { Database } from '../types/database.js'
import type { NativeCollection, NativeCollectionOptions } from '../types/native.js'
import type {
  CollectionOptions,
  MemoryOptions,
  OpenCollectionOptions,
  OpenOptions,
} from '../types/options.js'
import type { CheckReport, DatabaseStats } from '../types/stats.js'
import type { Metadata } from '../types/values.js'
import { collectionStats } from './collection/reads.js'
import { Session } from './collection/session.js'
import { plainWrite } from './collection/writes.js'
import { NamedCollection, RecordMethods } from './collection.js'
import { OmenError } from './errors.js'
import { native } from './native.js'
import { collectionName, readCollection, readMemory } from './options.js'
import { describe } from './text.js'

const DEFAULT = 'default'

function unsupported(message: string): OmenError {
  return new OmenError('ERR_UNSUPPORTED', message)
}

/**
 * A database: named collections, and on itself the methods of the collection named `default`.
 *
 * Any number of databases and handles may be open at once, in the main thread and in workers. An
 * open database does not keep the process alive.
 *
 * @example
 * const db = new DB()
 * await db.addBatch(vectors) // Float32Array[]
 * const hits = await db.search(query, { k: 5 })
 */
export class DB<M extends object = Metadata> extends RecordMethods<M> implements Database<M> {
  /** `await using db = new DB()` closes it, where the runtime has `Symbol.asyncDispose`. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>
  readonly #defaults: NativeCollectionOptions
  #default: NativeCollection | undefined
  #closing: Promise<void> | undefined

  /**
   * Opens a database in memory.
   *
   * @param options.name  Handles of one name, in any thread, share one database until the last of
   *   them closes. Left out: it belongs to this handle.
   * @param options.maxMemoryBytes  Bytes that all collections may take. Default: no limit.
   * @param options.metric  As the other options of a collection: of the collection `default`.
   * @throws {OmenError} ERR_NATIVE if the addon cannot be loaded; ERR_OPTIONS if the living
   *   database of this name has other options; ERR_ARGUMENT, ERR_UNSUPPORTED.
   */
  constructor(options?: MemoryOptions) {
    const { collection, ...database } = readMemory(options)
    const addon = native()
    super(new Session(addon, new addon.Database(database)))
    this.#defaults = collection
    // Options must agree with those of a shared database: better said now than at the first use.
    if (Object.keys(collection).length === 0) return
    try {
      this._open()
    } catch (error) {
      this._session.closeSync()
      throw error
    }
  }

  /**
   * Opens a database on disk. This version has none yet: it rejects with ERR_UNSUPPORTED. Use
   * `new DB()`, which lives in memory.
   */
  static async open<M extends object = Metadata>(
    path: string,
    options?: OpenOptions,
  ): Promise<DB<M>> {
    return DB.openSync(path, options)
  }

  /** As `open`, throwing. */
  static openSync<M extends object = Metadata>(path: string, _options?: OpenOptions): DB<M> {
    throw unsupported(
      `cannot open ${describe(path)}: in this version databases live in memory; use new DB()`,
    )
  }

  /** @internal */
  protected override _open(): NativeCollection {
    this._session.check()
    // Another handle of this database may have dropped it: then it is made anew.
    if (this.#default?.isDropped) this.#default = undefined
    this.#default ??= this._session.database.collection(DEFAULT, this.#defaults, 0)
    return this.#default
  }

  /** @internal */
  protected override _name(): string {
    return DEFAULT
  }

  async collection<C extends object = Metadata>(
    name: string,
    options?: OpenCollectionOptions,
  ): Promise<LocalCollection<C>> {
    return this.collectionSync<C>(name, options)
  }

  collectionSync<C extends object = Metadata>(
    name: string,
    options?: OpenCollectionOptions,
  ): LocalCollection<C> {
    this._session.check()
    const { native: given, createIfMissing } = readCollection(options, true)
    const mode = createIfMissing ? 0 : 2
    const opened = this._session.database.collection(collectionName(name), given, mode)
    return new NamedCollection<C>(this._session, opened)
  }

  async createCollection<C extends object = Metadata>(
    name: string,
    options?: CollectionOptions,
  ): Promise<LocalCollection<C>> {
    return this.createCollectionSync<C>(name, options)
  }

  createCollectionSync<C extends object = Metadata>(
    name: string,
    options?: CollectionOptions,
  ): LocalCollection<C> {
    this._session.check()
    const { native: given } = readCollection(options, false)
    const created = this._session.database.collection(collectionName(name), given, 1)
    return new NamedCollection<C>(this._session, created)
  }

  async listCollections(): Promise<string[]> {
    return this.listCollectionsSync()
  }

  listCollectionsSync(): string[] {
    this._session.check()
    return this._session.database.listCollections().sort()
  }

  async dropCollection(name: string): Promise<boolean> {
    this._session.check()
    const checked = collectionName(name)
    // In its turn: writes called before this one commit first.
    return this._session.queue(checked).push(plainWrite(async () => this.#drop(checked)))
  }

  dropCollectionSync(name: string): boolean {
    this._session.check()
    return this.#drop(collectionName(name))
  }

  #drop(name: string): boolean {
    if (name === DEFAULT) this.#default = undefined
    return this._session.database.dropCollection(name)
  }

  async stats(): Promise<DatabaseStats> {
    this._session.check()
    const stats = await this._session.database.stats()
    return this.#stats(stats)
  }

  statsSync(): DatabaseStats {
    this._session.check()
    return this.#stats(this._session.database.statsSync())
  }

  #stats(stats: ReturnType<Session['database']['statsSync']>): DatabaseStats {
    return {
      ...stats,
      collections: stats.collections.map(collectionStats),
      nativeSliceNsMax: this._session.addon.sliceNsMax(),
    }
  }

  async flush(): Promise<void> {
    this.flushSync()
  }

  flushSync(): void {
    this._session.check()
  }

  async check(): Promise<CheckReport[]> {
    this._session.check()
    return this._session.database.check()
  }

  checkSync(): CheckReport[] {
    this._session.check()
    return this._session.database.checkSync()
  }

  /** Copies the database to a file. ERR_UNSUPPORTED in this version, which has no files yet. */
  async backup(path: string): Promise<void> {
    this.backupSync(path)
  }

  /** As `backup`, throwing. */
  backupSync(path: string): void {
    this._session.check()
    throw unsupported(
      `cannot back up to ${describe(path)}: in this version databases live in memory; ` +
        'read them with records()',
    )
  }

  async close(): Promise<void> {
    this.#closing ??= this._session.close()
    return this.#closing
  }

  /** As `close`, waiting for the work that runs. */
  closeSync(): void {
    this._session.closeSync()
    this.#closing ??= Promise.resolve()
  }
}

if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(DB.prototype, Symbol.asyncDispose, {
    value(this: DB): Promise<void> {
      return this.close()
    },
    writable: true,
    configurable: true,
  })
}
