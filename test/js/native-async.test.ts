// Async calls of the addon held in flight: closing, cancelling, progress, V8's count of the memory.
//
// Runs on the addon with pause points, so that "while it runs" is known and not hoped for.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import test from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { NativeCollection, NativeDatabase, NativeOperation } from '../../dist/types/native.js'
import { loadAddon, pausingAddonPath } from './native-support.js'

const DIMENSIONS = 16
const file = pausingAddonPath()
const addon = loadAddon(file)
addon.setErrorFactory((code, message) => Object.assign(new Error(message), { code }))
const query = new Float32Array(DIMENSIONS).fill(1)

function open(): { database: NativeDatabase; collection: NativeCollection } {
  const database = new addon.Database()
  return { database, collection: database.collection('c', { metric: 'l2' }, 0) }
}

function stage(collection: NativeCollection, rows: number) {
  const batch = collection.beginWrite(0, rows, DIMENSIONS)
  const floats = Float32Array.from({ length: rows * DIMENSIONS }, (_, i) => Math.sin(i))
  batch.stageVectors(0, rows, floats, 0)
  batch.stageMetadata(0, ['{"a":1}'], 0, 1)
  return batch
}

function search(collection: NativeCollection, operation?: NativeOperation) {
  return collection.search(query, 3, 0, 0, Infinity, undefined, 0, operation)
}

/** A committer may hold its collection a moment longer than its caller does. */
async function allFreed(help: () => void = () => undefined) {
  for (let i = 0; addon.processMemoryBytes() > 0; i += 1) {
    assert.ok(i < 1000, `${addon.processMemoryBytes()} bytes are held still`)
    help()
    await turn()
    await sleep(2)
  }
}

/** Runs `body` while what `start` starts is held at `point`. */
async function held<T>(point: string, start: () => Promise<T>, body: () => unknown): Promise<T> {
  addon.testArm?.(point)
  const promise = start()
  promise.catch(() => undefined)
  try {
    for (let i = 0; !addon.testPaused?.(point); i += 1) {
      assert.ok(i < 4000, `nothing came to ${point}`)
      await sleep(1)
    }
    await body()
  } finally {
    addon.testRelease?.(point)
  }
  return promise
}

// close() must refuse the next call, let the running one finish, and resolve after it.
test('close while a search is held', async () => {
  const { database, collection } = open()
  stage(collection, 10).commitSync()
  const order: string[] = []
  let closed: Promise<void> | undefined
  const rows = await held(
    'search',
    () => search(collection).finally(() => order.push('search')),
    async () => {
      closed = database.close().then(() => void order.push('close'))
      await assert.rejects(search(collection), { code: 'ERR_CLOSED' })
      assert.throws(() => collection.countSync(undefined), { code: 'ERR_CLOSED' })
      assert.throws(() => collection.name, { code: 'ERR_CLOSED' })
      assert.throws(() => database.listCollections(), { code: 'ERR_CLOSED' })
      await sleep(20)
      assert.deepEqual(order, [])
    },
  )
  assert.equal(rows.count, 3)
  await closed
  assert.deepEqual(order, ['search', 'close'])
  await database.close()
  database.closeSync()
  await allFreed()
})

// closeSync blocks the thread that would settle the promise; the work itself must not need it.
test('closeSync waits for a running commit, whose promise then resolves', async () => {
  const { database, collection } = open()
  const promise = stage(collection, 2000).commit()
  database.closeSync()
  assert.equal((await promise).count, 2000)
  await allFreed()
})

test('a batch left open is given back by close, and refuses what follows', async () => {
  const { database, collection } = open()
  const batch = stage(collection, 100)
  await database.close()
  await allFreed()
  assert.throws(() => batch.stageIds(0, [1], 0, 1), { code: 'ERR_CLOSED' })
  await assert.rejects(batch.commit(), { code: 'ERR_CLOSED' })
  batch.abort()
})

// Aborted before the commit nothing is stored; the point lies before.
test('a commit cancelled while it is held stores nothing', async () => {
  const { database, collection } = open()
  const operation = new addon.Operation()
  await assert.rejects(
    held(
      'commit',
      () => stage(collection, 10).commit(operation),
      () => operation.cancel(),
    ),
    { code: 'ERR_ABORTED' },
  )
  assert.equal(collection.countSync(undefined), 0)
  await database.close()
})

// timeoutMs counts from the making of the Operation, the wait for a thread included.
test('a search past its time is ERR_TIMEOUT, and an Operation serves once', async () => {
  const { database, collection } = open()
  stage(collection, 10).commitSync()
  const operation = new addon.Operation(5)
  await sleep(10)
  await assert.rejects(search(collection, operation), { code: 'ERR_TIMEOUT' })
  await assert.rejects(search(collection, operation), { code: 'ERR_ARGUMENT' })
  const cancelled = new addon.Operation()
  cancelled.cancel()
  await assert.rejects(search(collection, cancelled), { code: 'ERR_ABORTED' })
  await database.close()
})

test('progress is read while a commit runs and after', async () => {
  const { database, collection } = open()
  const operation = new addon.Operation()
  assert.deepEqual(operation.progress(), [0, 0])
  await held(
    'graph-insert',
    () => stage(collection, 500).commit(operation),
    () => {
      const [done, total] = operation.progress()
      assert.equal(total, 500)
      assert.ok(done < 500)
    },
  )
  assert.deepEqual(operation.progress(), [500, 500])
  await database.close()
})

// V8 must know of the memory, or it sees no reason to collect the objects that hold it.
test('V8 is told of the bytes of the databases', async () => {
  const { database, collection } = open()
  await stage(collection, 20_000).commit()
  await collection.optimize()
  const bytes = addon.processMemoryBytes()
  assert.ok(bytes > 20_000 * DIMENSIONS * 4)
  const told = addon.testReportedBytes?.() ?? 0
  assert.ok(Math.abs(told - bytes) < 256 << 10, `${told} of ${bytes} bytes`)
  await database.close()
  await allFreed()
  // What upkeep on the pool held past the close is told with the next call.
  open().database.closeSync()
  assert.ok((addon.testReportedBytes?.() ?? 1e9) < 256 << 10)
})

// Collections and databases that nobody closes go when they are collected.
test('garbage collection gives databases back', async () => {
  const { gc } = globalThis
  assert.ok(gc, 'run with --expose-gc')
  for (let i = 0; i < 20; i += 1) stage(open().collection, 1000).commitSync()
  await allFreed(gc)
})

// Thousands of results at once must not keep timers from running.
test('completions leave turns of the event loop to others', async () => {
  const { database, collection } = open()
  stage(collection, 10).commitSync()
  let turns = 0
  let isOver = false
  const count = async () => {
    while (!isOver) {
      await turn()
      turns += 1
    }
  }
  const counting = count()
  const results = await Promise.all(Array.from({ length: 5000 }, () => search(collection)))
  isOver = true
  await counting
  assert.ok(results.every((rows) => rows.count === 3))
  assert.ok(turns > 1, `${turns} turns`)
  await database.close()
})

// Work keeps the process alive, an open database does not.
test('a process ends by itself when its last call is settled', () => {
  const script = `
    const addon = require(${JSON.stringify(file)})
    const collection = new addon.Database().collection('c', {}, 0)
    const batch = collection.beginWrite(0, 1, 2)
    batch.stageVectors(0, 1, Float32Array.of(1, 0), 0)
    batch.commit().then(({ count }) => console.log('stored', count))`
  const options = { encoding: 'utf8', timeout: 20_000 } as const
  assert.equal(execFileSync(process.execPath, ['-e', script], options), 'stored 1\n')
})
