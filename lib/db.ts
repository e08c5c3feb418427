/**
 * DB: an embedded database, in this process.
 *
 * It lives in memory (`new DB()`), or in a directory (`DB.open(path)`). The addon loads at the
 * first DB, so that importing omendb costs nothing and cannot fail.
 */

/// <reference lib="esnext.disposable" preserve="true" />

import type { LocalCollection } from '../types/collection.js'
import type { Database } from '../types/database.js'
import type {
  NativeAddon,
  NativeCollection,
  NativeCollectionOptions,
  NativeDatabase,
} from '../types/native.js'
import type {
  CallOptions,
  CollectionOptions,
  MemoryOptions,
  OpenCollectionOptions,
  OpenOptions,
} from '../types/options.js'
import type { CheckReport, DatabaseStats } from '../types/stats.js'
import type { Metadata, UrlLike } from '../types/values.js'
import { Call, checkBegins } from './call.js'
import { collectionStats } from './collection/reads.js'
import { Session } from './collection/session.js'
import { plainWrite } from './collection/writes.js'
import { NamedCollection, RecordMethods } from './collection.js'
import { native } from './native.js'
import { collectionName, readCall, readCollection, readMemory, readOpen } from './options.js'
import { databasePath } from './paths.js'

const DEFAULT = 'default'

/** What a DB is made of that comes from `open`. */
class Opened {
  constructor(
    readonly addon: NativeAddon,
    readonly database: NativeDatabase,
    readonly defaults: NativeCollectionOptions,
    readonly isOnDisk: boolean,
  ) {}
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
  readonly #isOnDisk: boolean
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
    let opened: unknown = options
    if (!(opened instanceof Opened)) {
      const { collection, ...database } = readMemory(options)
      const addon = native()
      opened = new Opened(addon, new addon.Database(database), collection, false)
    }
    const { addon, database, defaults, isOnDisk } = opened as Opened
    super(new Session(addon, database))
    this.#defaults = defaults
    this.#isOnDisk = isOnDisk
    // Options must agree with those of a shared database: better said now than at the first use.
    if (Object.keys(defaults).length === 0) return
    try {
      this._open()
    } catch (error) {
      this._session.closeSync()
      throw error
    }
  }

  /**
   * Opens the database in the directory `path`, or makes it. Handles of one directory, in any
   * thread of the process, share one database until the last of them closes.
   *
   * Graph, codes and metadata are read into memory as they were stored, vectors too unless
   * `residency` leaves them in mapped files: for a large database this takes
   * time. What was written is stored before a write resolves, as `durability` says.
   *
   * @param path  A directory, or nothing yet (its parent must exist), or a `file:` URL. Relative to
   *   the working directory of this moment.
   * @throws {OmenError} ERR_LOCKED: another process writes to it; ERR_NOT_FOUND; ERR_FORMAT: it is
   *   no database, or of a newer version; ERR_CORRUPT; ERR_OPTIONS: it is open, or was made, with
   *   other options; ERR_MEMORY; ERR_READ_ONLY; ERR_NO_SPACE; ERR_IO; ERR_BUSY: too many open
   *   files, or, with `readOnly`, its writer changed it each time that it was read.
   */
  static async open<M extends object = Metadata>(
    path: string | UrlLike,
    options?: OpenOptions,
  ): Promise<DB<M>> {
    const { database, collection, settings } = readOpen(options, false)
    const where = databasePath(path)
    const addon = native()
    const call = Call.start(addon, settings)
    const opening = addon.openDatabase(where, database, call?.operation)
    call?.submitted(0)
    const opened = await (call === undefined ? opening : call.settle(opening))
    const db = new DB<M>(new Opened(addon, opened, collection, true) as MemoryOptions)
    try {
      await db.#settle()
      return db
    } catch (error) {
      await db.close().catch(() => {}) // The first failure is the one to tell.
      throw error
    }
  }

  /** As `open`, throwing. Takes no `onProgress`: nothing is called back meanwhile. */
  static openSync<M extends object = Metadata>(
    path: string | UrlLike,
    options?: Omit<OpenOptions, 'onProgress'>,
  ): DB<M> {
    const { database, collection } = readOpen(options, true)
    const where = databasePath(path)
    const addon = native()
    const opened = addon.openDatabaseSync(where, database)
    const db = new DB<M>(new Opened(addon, opened, collection, true) as MemoryOptions)
    db.#settleSync()
    return db
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
    options?: OpenCollectionOptions & CallOptions,
  ): Promise<LocalCollection<C>> {
    const opened = this.#collection<C>(name, options, false)
    await this.#settle()
    return opened
  }

  collectionSync<C extends object = Metadata>(
    name: string,
    options?: OpenCollectionOptions,
  ): LocalCollection<C> {
    const opened = this.#collection<C>(name, options, true)
    this.#settleSync()
    return opened
  }

  #collection<C extends object>(
    name: string,
    options: unknown,
    isSync: boolean,
  ): LocalCollection<C> {
    this._session.check()
    const { native: given, createIfMissing, settings } = readCollection(options, true, isSync)
    checkBegins(settings)
    const mode = createIfMissing ? 0 : 2
    const opened = this._session.database.collection(collectionName(name), given, mode)
    return new NamedCollection<C>(this._session, opened)
  }

  async createCollection<C extends object = Metadata>(
    name: string,
    options?: CollectionOptions & CallOptions,
  ): Promise<LocalCollection<C>> {
    const created = this.#create<C>(name, options, false)
    await this.#settle()
    return created
  }

  createCollectionSync<C extends object = Metadata>(
    name: string,
    options?: CollectionOptions,
  ): LocalCollection<C> {
    const created = this.#create<C>(name, options, true)
    this.#settleSync()
    return created
  }

  #create<C extends object>(name: string, options: unknown, isSync: boolean): LocalCollection<C> {
    this._session.check()
    const { native: given, settings } = readCollection(options, false, isSync)
    checkBegins(settings)
    const created = this._session.database.collection(collectionName(name), given, 1)
    return new NamedCollection<C>(this._session, created)
  }

  async listCollections(options?: CallOptions): Promise<string[]> {
    this._session.check()
    checkBegins(readCall(options))
    return this.listCollectionsSync()
  }

  listCollectionsSync(): string[] {
    this._session.check()
    return this._session.database.listCollections().sort()
  }

  async dropCollection(name: string, options?: CallOptions): Promise<boolean> {
    this._session.check()
    const checked = collectionName(name)
    const settings = readCall(options)
    checkBegins(settings)
    const call = Call.start(this._session.addon, settings)
    // In its turn: writes called before this one commit first.
    return this._session.queue(checked).push(
      plainWrite(() => this.#dropped(checked)),
      call,
    )
  }

  dropCollectionSync(name: string): boolean {
    this._session.check()
    const existed = this.#drop(collectionName(name))
    this.#settleSync()
    return existed
  }

  async #dropped(name: string): Promise<boolean> {
    const existed = this.#drop(name)
    await this.#settle()
    return existed
  }

  #drop(name: string): boolean {
    if (name === DEFAULT) this.#default = undefined
    return this._session.database.dropCollection(name)
  }

  async stats(options?: CallOptions): Promise<DatabaseStats> {
    return this.#stats(await this.#during(options, () => this._session.database.stats()))
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

  #during<T>(options: CallOptions | undefined, work: () => Promise<T>): Promise<T> {
    this._session.check()
    return Call.during(this._session.addon, readCall(options), work)
  }

  /** Collections that were made or dropped are as durable as promised. */
  async #settle(): Promise<void> {
    if (this.#isOnDisk) await this._session.database.settle()
  }

  #settleSync(): void {
    if (this.#isOnDisk) this._session.database.settleSync()
  }

  async flush(options?: CallOptions): Promise<void> {
    await this.#during(options, async () => {
      if (this.#isOnDisk) await this._session.database.flush()
    })
  }

  flushSync(): void {
    this._session.check()
    if (this.#isOnDisk) this._session.database.flushSync()
  }

  async check(options?: CallOptions): Promise<CheckReport[]> {
    return this.#during(options, () => this._session.database.check())
  }

  checkSync(): CheckReport[] {
    this._session.check()
    return this._session.database.checkSync()
  }

  /**
   * Copies a database on disk while it is used: all that was written before the call, and perhaps
   * some of what is written meanwhile, in its order. The copy is a database of its own, to be
   * opened with `DB.open(path)`.
   *
   * @param path  A directory that is empty or does not exist yet (its parent must), or a `file:`
   *   URL.
   * @throws {OmenError} ERR_EXISTS: something is there; ERR_UNSUPPORTED: this database is in
   *   memory; ERR_READ_ONLY; ERR_NO_SPACE; ERR_IO; ERR_BUSY: too many open files. Nothing is
   *   left of a copy that failed.
   */
  async backup(path: string | UrlLike): Promise<void> {
    this._session.check()
    await this._session.database.backup(databasePath(path))
  }

  /** As `backup`, throwing. */
  backupSync(path: string | UrlLike): void {
    this._session.check()
    this._session.database.backupSync(databasePath(path))
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
