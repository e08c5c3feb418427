/** What every database can do, embedded or remote. */

import type { Collection, Records } from './collection.js'
import type { CallOptions, CollectionOptions, OpenCollectionOptions } from './options.js'
import type { CheckReport, DatabaseStats } from './stats.js'
import type { Metadata } from './values.js'

/** The methods of a collection stand here too, and act on the collection named `default`. */
export interface Database<M extends object = Metadata> extends Records<M> {
  /**
   * Opens the collection of this name, or creates it.
   *
   * @param name  1 to 64 of `A-Z a-z 0-9 _ -`.
   * @param options  Fixed when it is created. Later, left-out ones take the stored values.
   * @throws {OmenError} ERR_OPTIONS if a given option differs from the stored one; ERR_NOT_FOUND
   *   with `createIfMissing: false`; ERR_ARGUMENT, ERR_UNSUPPORTED, ERR_CLOSED.
   */
  collection<C extends object = Metadata>(
    name: string,
    options?: OpenCollectionOptions & CallOptions,
  ): Promise<Collection<C>>
  /** As `collection`, but ERR_EXISTS if there is one of that name. */
  createCollection<C extends object = Metadata>(
    name: string,
    options?: CollectionOptions & CallOptions,
  ): Promise<Collection<C>>
  /** The names of all collections, sorted. */
  listCollections(options?: CallOptions): Promise<string[]>
  /** Deletes a collection with all that is in it. Resolves to whether it existed. */
  dropCollection(name: string, options?: CallOptions): Promise<boolean>
  /** Options, counts and bytes of all collections. */
  stats(options?: CallOptions): Promise<DatabaseStats>
  /**
   * Resolves when every write that has resolved is on the device, whatever the durability. In
   * memory there is nothing to do.
   *
   * @throws {OmenError} ERR_IO_POISONED: a sync failed; open the database again.
   */
  flush(options?: CallOptions): Promise<void>
  /**
   * Verifies the invariants of every collection, and of a database on disk reads again all that its
   * snapshot has there. Takes time in proportion to the data; if the call ends before, it goes on.
   */
  check(options?: CallOptions): Promise<CheckReport[]>
  /**
   * Refuses new calls with ERR_CLOSED, lets running ones finish, puts what is written on the
   * device, frees the memory. Idempotent. Rejects, though closed, if something that was
   * acknowledged could not be put on the device.
   */
  close(): Promise<void>
}
