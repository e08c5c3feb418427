// The addon called with anything: a coded error or a result, never a crash, and sane afterwards.
import assert from 'node:assert/strict'
import test from 'node:test'
import type {
  NativeAddon,
  NativeCollection,
  NativeDatabase,
  NativeErrorFactory,
  NativeWriteBatch,
} from '../../dist/types/native.js'
import { loadAddon } from './native-support.js'
import { random } from './support.js'

const DIMENSIONS = 4
const ROUNDS = Number(process.env.OMENDB_REPEAT ?? 3)
const addon: NativeAddon = loadAddon()
const factory: NativeErrorFactory = (code, message, row, path, id) =>
  Object.assign(new Error(message), { code, row, path, id })
addon.setErrorFactory(factory)

type Method = (...values: unknown[]) => unknown

function detached(): Float32Array {
  const array = new Float32Array(DIMENSIONS)
  structuredClone(array, { transfer: [array.buffer] })
  return array
}

/** Values of every kind, hostile ones among them, and such as are right. */
function values(next: () => number, world: World): unknown[] {
  const shared = new Float32Array(new SharedArrayBuffer(DIMENSIONS * 4)).fill(next())
  const throwing = Object.defineProperty([1, 2, 3], 1, {
    get() {
      throw new RangeError('a getter of the caller')
    },
  })
  const closing = Object.defineProperty([1, 2, 3], 1, {
    get() {
      world.database.closeSync()
      return 2
    },
  })
  const aborting = Object.defineProperty([[1, 2, 3, 4], 0], 1, {
    get() {
      world.batch.abort()
      return [1, 2, 3, 4]
    },
  })
  const vector = Float32Array.from({ length: DIMENSIONS }, next)
  return [
    ...[undefined, null, true, false, Symbol('s'), () => 1, {}, [], new Proxy([], {})],
    ...[0, -0, 1, 2, 3, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32 + 5, 2 ** 53, 1e300],
    ...[0n, 5n, -1n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 70n)],
    ...['', 'a', 'x'.repeat(513), '\ud800', '\u0000', '€'.repeat(171), '{}', '{"a":1}', '[1,2]'],
    ...['{"a":{"$gt":2}}', '{"$nope":1}', '4294967298', '{"a":"'.padEnd(5000, 'y')],
    ...[vector, shared, detached(), new Float32Array(0), new Float64Array([1, 2, 3, 4])],
    ...[new Float32Array([NaN, 1, 2, 3]), new Float32Array(DIMENSIONS), new Float32Array(64)],
    ...[new Uint32Array([1, 2]), new BigUint64Array([1n, 2n ** 63n]), new Int8Array(4)],
    ...[new DataView(new ArrayBuffer(8)), new ArrayBuffer(16), Buffer.from('abc')],
    ...[[1, 2, 3, 4], ['a', 5, 6n], [[1, 2, 3, 4]], [vector, vector], [null], new Array(5)],
    ...[throwing, closing, aborting, ['{"a":1}', undefined, '{'], new Date(), /x/, new Map()],
    ...[world.database, world.collection, world.batch, new addon.Operation(), new addon.IdList()],
    ...[addon.Operation, { name: 5 }, { metric: 'l2', m: 1 }, { dimensions: -1 }, { schema: '[' }],
    ...[{ quantization: 'binary' }, { name: 'fuzz', seed: 1 }, { maxMemoryBytes: 1.5 }],
  ]
}

interface World {
  database: NativeDatabase
  collection: NativeCollection
  batch: NativeWriteBatch
}

function build(): World {
  const database = new addon.Database({ maxMemoryBytes: 64 << 20 })
  const collection = database.collection('garbage', { metric: 'l2' }, 0)
  const seed = collection.beginWrite(0, 3, DIMENSIONS)
  seed.stageVectors(
    0,
    3,
    Float32Array.from({ length: 3 * DIMENSIONS }, (_, i) => i),
    0,
  )
  seed.stageMetadata(0, ['{"a":1}', '{"a":2}', '{"b":"x"}'], 0, 3)
  seed.commitSync()
  return { database, collection, batch: collection.beginWrite(0, 2, DIMENSIONS) }
}

/** An error of ours has a code; the others are V8's (a wrong `this`) and the caller's own. */
function checkError(error: unknown, what: string) {
  assert.ok(error instanceof Error, what)
  const code = (error as Error & { code?: string }).code
  if (error instanceof TypeError && /Illegal invocation/.test(error.message)) return
  if (error instanceof RangeError && error.message === 'a getter of the caller') return
  assert.match(String(code), /^ERR_[A-Z_]+$/, `${what}: ${error.stack}`)
}

async function attempt(owner: object, name: string, values: unknown[]) {
  const what = `${name}(${values.map((value) => typeof value).join(', ')})`
  try {
    const method = Reflect.get(owner, name, owner) as Method
    if (typeof method !== 'function') return
    const result = method.apply(owner, values)
    if (!(result instanceof Promise)) return
    await result.catch((error) => checkError(error, what))
  } catch (error) {
    checkError(error, what)
  }
}

function names(of: object): string[] {
  return Object.getOwnPropertyNames(Object.getPrototypeOf(of)).filter((n) => n !== 'constructor')
}

async function round(seed: number) {
  const next = random(seed)
  let world = build()
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)] as T
  const calls = 1500
  for (let i = 0; i < calls; i += 1) {
    const pool = values(next, world)
    const owner = pick<object>([
      world.database,
      world.collection,
      world.collection,
      world.batch,
      world.batch,
      new addon.Operation(),
      new addon.IdList(),
    ])
    const name = pick(names(owner))
    // Rows by the million would only test patience.
    const few = name === 'beginWrite' ? pool.filter((v) => typeof v !== 'number' || v < 100) : pool
    const given = Array.from({ length: Math.floor(next() * 10) }, () => pick(few))
    await attempt(owner, name, given)
    try {
      if (i % 50 === 0) world.collection.countSync(undefined)
      if (i % 20 === 0) world.batch = world.collection.beginWrite(0, 2, DIMENSIONS)
    } catch (error) {
      checkError(error, 'after garbage')
      world.database.closeSync()
      world = build()
    }
  }
  for (const report of await build().database.check()) assert.deepEqual(report.problem, '')
}

test('methods take any arguments without a crash', async () => {
  for (let seed = 1; seed <= ROUNDS; seed += 1) await round(seed)
})

// Nearly right calls reach deeper than random ones: one argument of a good call is replaced.
test('one wrong argument among right ones', async () => {
  const next = random(7)
  const vector = Float32Array.of(1, 2, 3, 4)
  const search = [vector, 2, 0, 0, Infinity, undefined]
  const good: [keyof NativeCollection, unknown[]][] = [
    ['searchSync', [...search, 1]],
    ['searchRowsSync', [...search, 3]],
    ['search', [...search, 3, undefined]],
    ['searchQueued', [...search, 1, undefined]],
    ['searchIntoSync', [vector, new Float64Array(9), new Float32Array(9), 2, 0, 0, 1, undefined]],
    ['searchBatchSync', [vector, 1, 4, 2, 0, 0, Infinity, undefined]],
    ['searchBatch', [vector, 1, 4, 2, 0, 0, Infinity, undefined, undefined]],
    ['explain', [...search, undefined]],
    ['get', [[0, 1, 'a'], 3, undefined]],
    ['scroll', [undefined, 2, undefined, 3, undefined]],
    ['count', ['{"a":1}', undefined]],
    ['update', [1, vector, '{"z":1}', ['a'], undefined]],
    ['deleteIds', [[77, 'x'], undefined]],
    ['deleteFilter', ['{"a":99}', undefined]],
    ['beginWrite', [1, 2, 4]],
  ]
  addon.scratch(10)
  for (const [name, args] of good) {
    for (let at = 0; at < args.length; at += 1) {
      let world = build()
      for (const value of values(next, world)) {
        if (name === 'beginWrite' && typeof value === 'number' && value > 1e6) continue
        const wrong = args.with(at, value)
        await attempt(world.collection, name, wrong)
        try {
          world.collection.countSync(undefined)
        } catch (error) {
          checkError(error, name)
          world = build()
        }
      }
      world.database.closeSync()
    }
  }
})

test('constructors and functions of the addon take any arguments', async () => {
  const next = random(3)
  const world = build()
  const constructors = [addon.Database, addon.Operation, addon.IdList] as unknown as Method[]
  const inner = [world.collection.constructor, world.batch.constructor] as unknown as Method[]
  for (const value of values(next, world)) {
    for (const Class of constructors) {
      try {
        Reflect.construct(Class, [value])
      } catch (error) {
        checkError(error, Class.name)
      }
      assert.throws(() => Class.call({}, value), Error, 'without new')
    }
    for (const Class of inner) assert.throws(() => Reflect.construct(Class, [value]), Error)
    for (const name of ['scratch', 'sliceNsMax', 'processMemoryBytes']) {
      await attempt(addon, name, [value])
    }
    if (typeof value !== 'function') await attempt(addon, 'setErrorFactory', [value])
  }
})

test('a factory that throws or returns nothing does not hide the error', () => {
  const world = build()
  addon.setErrorFactory(() => {
    throw new Error('from the factory')
  })
  assert.throws(() => world.collection.deleteFilterSync('{'), { code: 'ERR_FILTER' })
  addon.setErrorFactory(factory)
})

// The buffer of searchSync is JavaScript's: taken away, it must be noticed.
test('a scratch buffer that was transferred is refused', () => {
  const world = build()
  const buffer = addon.scratch(10)
  const query = Float32Array.of(1, 2, 3, 4)
  world.collection.searchSync(query, 2, 0, 0, Infinity, undefined, 0)
  structuredClone(buffer, { transfer: [buffer] })
  assert.throws(() => world.collection.searchSync(query, 2, 0, 0, Infinity, undefined, 0), {
    code: 'ERR_ARGUMENT',
  })
  addon.scratch(10)
  world.collection.searchSync(query, 2, 0, 0, Infinity, undefined, 0)
})

// Answers of the pool lie in a buffer of JavaScript's until they are read. What nobody has read
// must stay; a full, forged or transferred buffer must cost no answer.
test('answers wait until they are read, and go out as rows where there is no room', async () => {
  const { collection } = build()
  const buffer = addon.answers()
  assert.equal(addon.answers(), buffer)
  const words = new Uint32Array(buffer)
  const ids = new Float64Array(buffer)
  const distances = new Float32Array(buffer)
  const ask = (row: number, include: 0 | 1 = 0) => {
    const query = Float32Array.from({ length: DIMENSIONS }, (_, i) => DIMENSIONS * row + i)
    return collection.searchQueued(query, 2, 0, 0, Infinity, undefined, include)
  }
  const check = (place: number, row: number) => {
    assert.deepEqual([...words.subarray(place / 4, place / 4 + 2)], [2, 0])
    assert.equal(ids[(place + 16) / 8], row)
    assert.equal(distances[place / 4 + 4 + 2 * 2], 0)
  }
  const before = words[0] as number
  const asked = Array.from({ length: 300 }, (_, i) => i % 3)
  const places = (await Promise.all(asked.map((row) => ask(row)))) as number[]
  places.push((await ask(1)) as number)
  asked.push(1)
  assert.equal(new Set(places).size, places.length)
  assert.equal(words[0], before + places.length)
  places.forEach((place, i) => {
    check(place, asked[i] as number)
  })
  const [place, json] = (await ask(2, 1)) as [number, string]
  check(place, 2)
  assert.deepEqual(JSON.parse(json), { metadata: [{ b: 'x' }, { a: 2 }] })
  words[0] = 0 // All read: the next begins at the front again.
  assert.equal(await ask(0), Math.min(...places))
  words[0] = 0xffffffff
  for (let i = 0; i < 6000; i++) await ask(0)
  words[0] = 1
  const all = await Promise.all(Array.from({ length: 6000 }, () => ask(1)))
  const rows = all.filter((answer) => typeof answer === 'object')
  assert.ok(rows.length > 0)
  for (const one of rows) assert.deepEqual([...((one as { ids?: Float64Array }).ids ?? [])][0], 1)
  structuredClone(buffer, { transfer: [buffer] })
  assert.deepEqual([...(((await ask(2)) as { ids?: Float64Array }).ids ?? [])][0], 2)
})

// Rows are staged in order, each once, and a failed batch stays failed: nothing half-staged lands.
test('a batch refuses rows out of order and what follows a failure', () => {
  const { collection } = build()
  const batch = collection.beginWrite(0, 3, DIMENSIONS)
  const data = new Float32Array(3 * DIMENSIONS).fill(1)
  assert.throws(() => batch.stageVectors(1, 1, data, 0), { code: 'ERR_ARGUMENT' })
  batch.stageVectors(0, 1, data, 0)
  assert.throws(() => batch.stageVectors(0, 1, data, 0), { code: 'ERR_ARGUMENT' })
  assert.throws(() => batch.stageVectorList(1, [[1, 2, 3, NaN]], 0, 1), {
    code: 'ERR_VECTOR',
    row: 1,
  })
  assert.throws(() => batch.stageVectors(2, 1, data, 0), { code: 'ERR_ARGUMENT' })
  assert.throws(() => batch.commitSync(), { code: 'ERR_ARGUMENT' })
  batch.abort()
  assert.equal(collection.countSync(undefined), 3)
})
