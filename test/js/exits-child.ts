// What exits.test.ts runs: one operation is held at its pause point, then the environment ends.
//
//   node exits-child.js OPERATION ENDING PLACE [DIRECTORY]
// PLACE: `main`; `worker`, whose main thread uses the same database; `alone`, a worker that is the
// only one to load the addon. DIRECTORY: of a database on disk with 64 records; else it is in
// memory. Prints "in flight" when the operation is known to be, and "survived" when the main thread
// went on working after its worker's end.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { NativeAddon, NativeCollection, NativeDatabase } from '../../dist/types/native.js'
import { loadAddon } from './native-support.js'

interface Case {
  operation: string
  ending: string
  place: string
  directory: string
}

const DIMENSIONS = 8
const ROWS = 64
const ADDON = process.env.OMENDB_ADDON as string
const vector = new Float32Array(DIMENSIONS).fill(0.5)
const search = [vector, 5, 0, 0, Infinity, undefined] as const
const kept: unknown[] = [] // From the garbage collector, which would give it back in time.

interface Opened {
  addon: NativeAddon
  database: NativeDatabase
  collection: NativeCollection
  directory: string
}

function open(addon: NativeAddon, directory: string): Opened {
  const database =
    directory === ''
      ? new addon.Database({ name: 'exits' })
      : addon.openDatabaseSync(directory, undefined)
  const collection = database.collection('c', { metric: 'l2' }, 0)
  return { addon, database, collection, directory }
}

function write(collection: NativeCollection, kind: 0 | 1, first: number) {
  const batch = collection.beginWrite(kind, ROWS, DIMENSIONS)
  const floats = Float32Array.from({ length: ROWS * DIMENSIONS }, (_, i) => Math.sin(i + first))
  batch.stageVectors(0, ROWS, floats, 0)
  const ids = Float64Array.from({ length: ROWS }, (_, i) => first + i)
  batch.stageIds(0, ids, 0, ROWS)
  batch.stageMetadata(
    0,
    Array.from({ length: ROWS }, (_, i) => `{"i":${i}}`),
    0,
    ROWS,
  )
  return batch
}

type Start = (c: NativeCollection, all: Opened) => Promise<unknown> | undefined

/** Each operation with the point where it is held; `staged` waits for its commit, in no thread. */
const OPERATIONS: Record<string, [point: string | undefined, Start]> = {
  search: ['search', (c) => c.search(...search, 3)],
  // One that is expected to be short shares its task with others.
  searchShort: ['search', (c) => c.searchQueued(...search, 1, undefined, 0.01)],
  searchBatch: [
    'search-batch',
    (c) => c.searchBatch(vector, 1, DIMENSIONS, 5, 0, 0, 1e9, undefined),
  ],
  explain: ['search', (c) => c.explain(...search)],
  get: ['get', (c) => c.get([1, 2, 'x'], 3)],
  count: ['count', (c) => c.count('{"i":{"$gt":3}}')],
  scroll: ['scroll', (c) => c.scroll(undefined, 10, undefined, 1)],
  add: ['commit', (c) => write(c, 0, 1000).commit()],
  link: ['graph-insert', (c) => write(c, 0, 1000).commit()],
  upsert: ['commit', (c) => write(c, 1, 0).commit()],
  update: ['commit', (c) => c.update(3, vector, '{"u":1}', ['i'])],
  delete: ['commit', (c) => c.deleteIds([1, 2, 3])],
  deleteFilter: ['commit', (c) => c.deleteFilter('{"i":{"$lt":9}}')],
  clear: ['commit', (c) => c.clear()],
  optimize: ['commit', (c) => c.optimize()],
  staged: [undefined, (c) => void kept.push(write(c, 0, 1000))],
  upkeep: ['consolidate', (c) => deleteMany(c)],
  check: ['check', (c) => c.check()],
  // On disk alone.
  open: ['replay', (_, all) => reopen(all)],
  appended: ['wal-appended', (c) => write(c, 0, 1000).commit()],
  synced: ['wal-sync', (c) => write(c, 0, 1000).commit()],
  flush: ['wal-sync', (c, all) => afterAWrite(c, () => all.database.flush())],
  close: ['wal-sync', (c, all) => afterAWrite(c, () => all.database.close())],
  make: ['wal-sync', (_, all) => make(all.database)],
  backup: ['checkpoint', (_, all) => all.database.backup(`${all.directory}-copy`)],
  install: ['checkpoint-install', (_, all) => all.database.backup(`${all.directory}-copy`)],
}

function make(database: NativeDatabase) {
  database.collection('new', {}, 0)
  return database.settle()
}

function afterAWrite(collection: NativeCollection, next: () => Promise<void>) {
  void write(collection, 1, 0).commit()
  return next()
}

// Another directory: the first one is shared by who has it open, and not read again.
async function reopen({ addon, directory }: Opened) {
  const database = await addon.openDatabase(`${directory}-other`, undefined)
  await database.close()
}

// More than the 64 deletions that upkeep waits for. It runs when the call is already answered.
function deleteMany(collection: NativeCollection) {
  for (const first of [1000, 2000]) write(collection, 0, first).commitSync()
  return collection.deleteFilter('{"$id":{"$gte":1000}}')
}

/** Starts the operation and returns when a thread is known to be held in it. */
async function hold(all: Opened, operation: string) {
  const { addon, collection } = all
  const [point, start] = OPERATIONS[operation] as (typeof OPERATIONS)[string]
  if (operation === 'open') await reopen(all) // Made before the point is armed.
  if (point !== undefined) addon.testArm?.(point)
  start(collection, all)?.catch(() => undefined)
  if (point === undefined) return
  for (let waited = 0; !addon.testPaused?.(point); waited += 1) {
    assert.ok(waited < 4000, `${operation} did not come to ${point}`)
    await sleep(1)
  }
}

function end(ending: string) {
  if (ending === 'terminate') setInterval(() => undefined, 1000) // It does not end by itself.
  if (ending === 'exit') process.exit(7)
  if (ending === 'SIGTERM') process.kill(process.pid, 'SIGTERM')
  if (ending === 'error')
    setImmediate(() => {
      throw new Error('uncaught on purpose')
    })
}

/** The environment that ends in the middle of the operation. */
async function victim({ operation, ending, directory }: Case) {
  const all = open(loadAddon(ADDON), directory)
  if (all.collection.countSync(undefined) === 0) write(all.collection, 0, 0).commitSync()
  await hold(all, operation)
  if (parentPort) parentPort.postMessage('in flight')
  else console.log('in flight')
  end(ending)
}

/** The main thread of a worker that ends. */
async function host(given: Case) {
  const { directory, place } = given
  const shared = place === 'worker' ? open(loadAddon(ADDON), directory) : undefined
  if (shared?.collection.countSync(undefined) === 0) write(shared.collection, 0, 0).commitSync()
  const worker = new Worker(__filename, { workerData: given })
  const exited = new Promise<number>((resolve) => worker.once('exit', resolve))
  const failed = new Promise<Error>((resolve) => worker.once('error', resolve))
  const message = await new Promise((resolve) => worker.once('message', resolve))
  console.log(message)
  if (given.ending === 'terminate') await worker.terminate()
  if (given.ending === 'exit') assert.equal(await exited, 7)
  if (given.ending === 'error') assert.match((await failed).message, /uncaught on purpose/)
  await exited
  // Held threads run library code now; it must still be there, and end in the void when let go.
  await sleep(50)
  const addon = loadAddon(ADDON)
  const [point] = OPERATIONS[given.operation] as (typeof OPERATIONS)[string]
  if (point !== undefined) {
    assert.ok(addon.testPaused?.(point), `${given.operation} is still in flight`)
    addon.testRelease?.(point)
  }
  const { database, collection } = shared ?? open(addon, directory)
  if (collection.countSync(undefined) === 0) write(collection, 1, 5000).commitSync()
  assert.ok((await collection.search(...search, 1)).count > 0)
  assert.equal((await collection.check()).problem, '')
  await database.close()
  for (let i = 0; addon.processMemoryBytes() > 0 && i < 2000; i += 1) await sleep(1)
  assert.equal(addon.processMemoryBytes(), 0, 'what the dead environment held is given back')
  console.log('survived')
}

const [operation = '', ending = '', place = '', directory = ''] = process.argv.slice(2)
if (!isMainThread) void victim(workerData as Case)
else if (place === 'main') void victim({ operation, ending, place, directory })
else void host({ operation, ending, place, directory })
