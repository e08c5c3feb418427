/** Client: a database on a server, with the interface of DB. */

/// <reference lib="esnext.disposable" preserve="true" />

import type { ByteStream, ClientOptions } from '../../types/client.js'
import type { Collection } from '../../types/collection.js'
import type { Database } from '../../types/database.js'
import type { CallOptions, CollectionOptions, OpenCollectionOptions } from '../../types/options.js'
import type { CheckReport, DatabaseStats } from '../../types/stats.js'
import type { Metadata } from '../../types/values.js'
import { collectionName, readCall, readCollection } from '../options.js'
import { plainOf } from '../wire/messages.js'
import * as wire from '../wire/protocol.js'
import { backupOf } from './backup.js'
import { RemoteCollection, RemoteRecords, statsOf } from './collection.js'
import { Session } from './session.js'
import { readClientSettings } from './settings.js'
import { OPEN_MODES, Target } from './target.js'

const DEFAULT = 'default'

/**
 * A database on a server: named collections, and on itself the methods of the one named `default`.
 * It holds no connection open that would keep the process alive.
 *
 * @example
 * const client = new Client('localhost:8080', { apiKey })
 * const movies = await client.collection('movies', { dimensions: 384 })
 * await movies.upsert({ ids, vectors, metadata })
 */
export class Client<M extends object = Metadata> extends RemoteRecords<M> implements Database<M> {
  /** `await using client = new Client(...)` closes it, where there is `Symbol.asyncDispose`. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>
  readonly #default: Target

  /**
   * @param address  `localhost:8080`, which means http://localhost:8080, or an http or https URL.
   *   Nothing is sent before the first call.
   * @param options.apiKey  Sent with every request. Default: none.
   * @param options.timeoutMs  Of calls that say nothing else, in milliseconds. Default 30 000.
   * @param options.metric  As the other options of a collection: of the collection `default`.
   * @throws {OmenError} ERR_ARGUMENT, ERR_AUTH.
   */
  constructor(address: string, options?: ClientOptions) {
    const settings = readClientSettings(address, options)
    super(new Session(settings))
    this.#default = new Target(this._session, DEFAULT, settings.collection, true)
  }

  /** @internal */
  protected override _target(): Target {
    return this.#default
  }

  async collection<C extends object = Metadata>(
    name: string,
    options?: OpenCollectionOptions & CallOptions,
  ): Promise<Collection<C>> {
    const { native, createIfMissing, settings } = readCollection(options, true, false)
    const target = new Target(this._session, collectionName(name), native)
    await target.open(createIfMissing ? OPEN_MODES.openOrCreate : OPEN_MODES.open, settings)
    return new RemoteCollection<C>(this._session, target)
  }

  async createCollection<C extends object = Metadata>(
    name: string,
    options?: CollectionOptions & CallOptions,
  ): Promise<Collection<C>> {
    const { native, settings } = readCollection(options, false, false)
    const target = new Target(this._session, collectionName(name), native)
    await target.open(OPEN_MODES.create, settings)
    return new RemoteCollection<C>(this._session, target)
  }

  async listCollections(options?: CallOptions): Promise<string[]> {
    const message = wire.create(wire.ListCollectionsRequestSchema)
    const { names } = await this._session.read(readCall(options), (sent) =>
      this._session.transport.call('listCollections', message, sent),
    )
    return names
  }

  async dropCollection(name: string, options?: CallOptions): Promise<boolean> {
    const message = wire.create(wire.DropCollectionRequestSchema, { name: collectionName(name) })
    const settings = readCall(options)
    // In its turn: writes called before this one commit first.
    const { existed } = await this._session.write(name, settings, (sent) =>
      this._session.transport.call('dropCollection', message, sent),
    )
    if (name === DEFAULT) this.#default.forget()
    return existed
  }

  async stats(options?: CallOptions): Promise<DatabaseStats> {
    const message = wire.create(wire.GetDatabaseStatsRequestSchema)
    const found = await this._session.read(readCall(options), (sent) =>
      this._session.transport.call('getDatabaseStats', message, sent),
    )
    const { collections: _, ...rest } = plainOf(found)
    return { ...rest, collections: found.collections.map(statsOf) } as DatabaseStats
  }

  async flush(options?: CallOptions): Promise<void> {
    const message = wire.create(wire.FlushRequestSchema)
    await this._session.read(readCall(options), (sent) =>
      this._session.transport.call('flush', message, sent),
    )
  }

  async check(options?: CallOptions): Promise<CheckReport[]> {
    const message = wire.create(wire.CheckRequestSchema)
    const { reports } = await this._session.read(readCall(options), (sent) =>
      this._session.transport.call('check', message, sent),
    )
    return reports.map((report) => plainOf(report))
  }

  /**
   * A consistent copy of the server's database, as the bytes of a tar archive of its files.
   * Unpacked into a directory, they are a database to be opened with `DB.open(path)`. The call
   * begins with the first read.
   *
   * @param options.signal  Ends it, at any time: ERR_ABORTED.
   * @param options.timeoutMs  Milliseconds that a read waits without anything coming: ERR_TIMEOUT.
   *   The whole, and whoever reads, may take any time. Default: that of the client.
   * @returns A ReadableStream; what goes wrong is the error of a read. ERR_UNSUPPORTED: the
   *   server's database is in memory; ERR_FORBIDDEN: the key may only read; ERR_CLOSED: the client
   *   was closed before the end.
   */
  backup(options?: CallOptions): ByteStream {
    return backupOf(this._session, options)
  }

  /**
   * Refuses new calls with ERR_CLOSED, and lets running ones finish, but for backups: these end
   * with ERR_CLOSED. The server stays.
   */
  close(): Promise<void> {
    return this._session.close()
  }
}

if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(Client.prototype, Symbol.asyncDispose, {
    value(this: Client): Promise<void> {
      return this.close()
    },
    writable: true,
    configurable: true,
  })
}
