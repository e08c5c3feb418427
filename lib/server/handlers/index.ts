/** Every method of the contract: what it does, and whether it may change something. */

import type { OmenDB } from '../../wire/protocol.js'
import type { Access } from '../caller.js'
import { backup } from './backup.js'
import * as database from './database.js'
import * as reads from './reads.js'
import * as writes from './writes.js'

export type Method = keyof (typeof OmenDB)['method']

export const HANDLERS = {
  listCollections: database.listCollections,
  openCollection: database.openCollection,
  dropCollection: database.dropCollection,
  getCollectionStats: database.collectionStats,
  getDatabaseStats: database.databaseStats,
  flush: database.flush,
  check: database.check,
  backup,
  write: writes.write,
  upload: writes.upload,
  update: writes.update,
  delete: writes.remove,
  clear: writes.clear,
  optimize: writes.optimize,
  get: reads.get,
  count: reads.count,
  search: reads.search,
  searchBatch: reads.searchBatch,
  explain: reads.explain,
  scroll: reads.scroll,
  scrollStream: reads.scrollStream,
} as const

/** What a method needs. `openCollection` itself judges whether it is asked to create. */
export const ACCESS: Readonly<Record<Method, Access>> = {
  listCollections: 'read',
  openCollection: 'read',
  dropCollection: 'write',
  getCollectionStats: 'read',
  getDatabaseStats: 'read',
  flush: 'write',
  check: 'read',
  backup: 'write',
  write: 'write',
  upload: 'write',
  update: 'write',
  delete: 'write',
  clear: 'write',
  optimize: 'write',
  get: 'read',
  count: 'read',
  search: 'read',
  searchBatch: 'read',
  explain: 'read',
  scroll: 'read',
  scrollStream: 'read',
}
