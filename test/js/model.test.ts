// Random sequences of every operation, the engine beside the plain model of model.ts.
//
// Vectors hold small integers, so that squared distances are exact and ties are real. The planner's
// choice and the exact scan must equal the model; the forced graph must find what is in it, and as
// many hits as there are matches.
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { DB, type Filter, type Id, type Metadata } from 'omendb'
import { Model } from './model.js'
import { refused, runSeed } from './support.js'

const dimensions = 3
const id: fc.Arbitrary<Id> = fc.oneof(fc.nat({ max: 30 }), fc.constantFrom('a', 'b', 'c', '7'))
const vector = fc.array(fc.integer({ min: -4, max: 4 }), {
  minLength: dimensions,
  maxLength: dimensions,
})
const day = fc.integer({ min: 0, max: 3 }).map((d) => new Date(Date.UTC(2020, 0, 1 + d)))
const scalar = fc.oneof(
  fc.integer({ min: 0, max: 4 }),
  fc.constantFrom('x', 'y', 'é', true, false, null),
  day,
)
const value = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(scalar, { maxLength: 3 }) },
)
const metadata: fc.Arbitrary<Metadata> = fc.record(
  { a: value, b: value, n: fc.record({ c: value }, { requiredKeys: [], noNullPrototype: true }) },
  { requiredKeys: [], noNullPrototype: true },
)
const ordered = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom('x', 'y'), day)
const condition = fc.oneof(
  scalar,
  fc.record({ $eq: scalar }),
  fc.record({ $ne: scalar }),
  fc.record({ $in: fc.array(scalar, { maxLength: 3 }) }),
  fc.record({ $nin: fc.array(scalar, { maxLength: 3 }) }),
  fc.record({ $gt: ordered }),
  fc.record({ $gte: ordered, $lt: ordered }),
  fc.record({ $lte: ordered }),
  fc.record({ $exists: fc.boolean() }),
  fc.record({ $contains: fc.oneof(scalar, fc.array(scalar, { maxLength: 2 })) }),
  fc.record({ $not: fc.record({ $gt: ordered }) }),
)
const { filter } = fc.letrec<{ filter: Filter<Metadata> }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.constantFrom('a', 'b', 'n.c', 'z'), condition)
        .map(([k, c]) => ({ [k]: c })),
    },
    { weight: 1, arbitrary: fc.array(id, { maxLength: 4 }).map((ids) => ({ $id: { $in: ids } })) },
    fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((list) => ({ $and: list })),
    fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((list) => ({ $or: list })),
    tie('filter').map((f) => ({ $not: f })),
  ) as fc.Arbitrary<Filter<Metadata>>,
}))

const row = fc.record({ id, vector, metadata })
type Row = { id: Id; vector: number[]; metadata: Metadata }
const unique = (rows: Row[]) => [...new Map(rows.map((r) => [r.id, r])).values()]

interface Pair {
  db: DB
  model: Model
}
/** One step: applied to both, which must answer the same. Prints itself when it fails. */
interface Step {
  run(pair: Pair): Promise<void>
  [fc.toStringMethod](): string
}

/** A step of this name, whose arguments are `args`. */
function step<T>(
  name: string,
  args: fc.Arbitrary<T>,
  run: (pair: Pair, args: T) => Promise<void>,
): fc.Arbitrary<Step> {
  return args.map((given) => ({
    run: (pair) => run(pair, given),
    [fc.toStringMethod]: () => `${name} ${fc.stringify(given)}`,
  }))
}

async function add({ db, model }: Pair, rows: Row[], isSync: boolean): Promise<void> {
  const known = rows.find((r) => model.records.has(r.id))
  const call = async () => (isSync ? db.addSync(rows) : db.add(rows))
  if (known !== undefined) await refused(call, 'ERR_EXISTS')
  else {
    assert.deepEqual(
      await call(),
      rows.map((r) => r.id),
    )
    for (const r of rows) model.put(r.id, r.vector, r.metadata)
  }
}

async function upsert({ db, model }: Pair, rows: Row[], isSync: boolean): Promise<void> {
  const batch = {
    ids: rows.map((r) => r.id),
    vectors: rows.map((r) => new Float32Array(r.vector)),
    metadata: rows.map((r) => r.metadata),
  }
  const ids = isSync ? db.upsertSync(batch) : await db.upsert(batch)
  assert.deepEqual(ids, batch.ids)
  for (const r of rows) model.put(r.id, r.vector, r.metadata)
}

async function generate({ db, model }: Pair, list: number[][]): Promise<void> {
  const ids = await db.addBatch(list)
  const first = ids.length === 0 ? 0 : (ids[0] as number)
  assert.ok(first >= model.nextId || ids.length === 0, 'a generated id came again')
  for (const [i, v] of list.entries()) model.put(first + i, v, {}) // New ids, no metadata.
  assert.deepEqual(
    ids,
    list.map((_, i) => first + i),
  )
}

async function update(
  { db, model }: Pair,
  key: Id,
  v: number[] | undefined,
  m: Metadata,
  unset: string[],
) {
  const kept = unset.filter((name) => !Object.hasOwn(m, name))
  const call = () => db.update(key, { vector: v, metadata: m, unset: kept })
  if (model.update(key, v, m, kept)) await call()
  else await refused(call, 'ERR_NOT_FOUND', { id: key })
}

async function compareSearch(
  { db, model }: Pair,
  query: number[],
  f: Filter<Metadata> | undefined,
  k: number,
) {
  const truth = model.search(query, f)
  const expected = truth.slice(0, k)
  for (const exact of [undefined, true]) {
    const hits = await db.search(query, { k, filter: f, exact, include: 'none' })
    assert.deepEqual(hits, expected)
  }
  const batch = db.searchBatchSync([query], { k, filter: f })
  assert.deepEqual(batch.hits(0), expected)
  // The graph may miss, but not make up, and never comes back with too few.
  const distanceOf = new Map(truth.map((hit) => [hit.id, hit.distance]))
  const found = db.searchSync(query, { k, filter: f, exact: false, ef: 100, include: 'none' })
  assert.equal(found.length, expected.length)
  assert.equal(new Set(found.map((hit) => hit.id)).size, found.length)
  for (const hit of found) assert.equal(hit.distance, distanceOf.get(hit.id))
  recall.wanted += expected.length
  const worst = expected.at(-1)?.distance ?? 0
  recall.found += found.filter((hit) => hit.distance <= worst).length
}

const recall = { wanted: 0, found: 0 }

async function remove({ db, model }: Pair, ids: Id[]): Promise<void> {
  const there = new Set(ids.filter((key) => model.records.has(key)))
  assert.equal(await db.delete(ids), there.size)
  for (const key of there) model.records.delete(key)
}

async function removeMatching({ db, model }: Pair, f: Filter<Metadata>): Promise<void> {
  const gone = model.select(f)
  assert.equal(await db.delete({ filter: f }), gone.length)
  for (const record of gone) model.records.delete(record.id)
}

async function compareGet({ db, model }: Pair, ids: Id[]): Promise<void> {
  const rows = await db.get(ids, { include: ['metadata', 'vector'] })
  const expected = ids.map((key) => {
    const record = model.records.get(key)
    if (record === undefined) return undefined
    return { id: key, metadata: record.metadata, vector: new Float32Array(record.vector) }
  })
  assert.deepEqual(rows, expected)
}

async function compareMatches({ db, model }: Pair, f: Filter<Metadata>): Promise<void> {
  const expected = model.select(f).map((record) => record.id)
  assert.equal(await db.count(f), expected.length)
  const seen: Id[] = []
  for await (const { id: key } of db.records({ filter: f, batchSize: 7 })) seen.push(key)
  assert.equal(seen.length, expected.length)
  assert.deepEqual(new Set(seen), new Set(expected))
}

async function clear({ db, model }: Pair): Promise<void> {
  await db.clear()
  model.records.clear()
}

const rows = fc.array(row, { maxLength: 12, size: 'max' }).map(unique)
const nothing = fc.constant(undefined)
const maybeVector = fc.option(vector, { nil: undefined })
const maybeFilter = fc.option(filter, { nil: undefined })
const some = fc.array(id, { maxLength: 6 })
const changes = fc.tuple(id, maybeVector, metadata, fc.subarray(['a', 'b', 'n']))
const questions = fc.tuple(vector, maybeFilter, fc.constantFrom(1, 3, 10, 100))

const anyStep = fc.oneof(
  { weight: 2, arbitrary: step('add', rows, (p, r) => add(p, r, false)) },
  { weight: 1, arbitrary: step('addSync', rows, (p, r) => add(p, r, true)) },
  { weight: 3, arbitrary: step('upsert', rows, (p, r) => upsert(p, r, false)) },
  { weight: 2, arbitrary: step('upsertSync', rows, (p, r) => upsert(p, r, true)) },
  {
    weight: 3,
    arbitrary: step('addBatch', fc.array(vector, { maxLength: 40, size: 'max' }), generate),
  },
  { weight: 4, arbitrary: step('update', changes, (p, change) => update(p, ...change)) },
  { weight: 3, arbitrary: step('delete', some, remove) },
  { weight: 1, arbitrary: step('deleteMatching', filter, removeMatching) },
  { weight: 8, arbitrary: step('search', questions, (p, q) => compareSearch(p, ...q)) },
  { weight: 2, arbitrary: step('get', some, compareGet) },
  { weight: 2, arbitrary: step('count', filter, compareMatches) },
  { weight: 1, arbitrary: step('optimize', nothing, ({ db }) => db.optimize()) },
  { weight: 1, arbitrary: step('clear', nothing, clear) },
)

test('the engine answers as the plain model does', { timeout: 300_000 }, async () => {
  const seed = runSeed(20_261_122)
  const numRuns = Number(process.env.OMENDB_MODEL_RUNS ?? 200)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<'sq8' | 'none' | 'binary'>('sq8', 'none', 'binary'),
      fc.array(anyStep, { minLength: 10, maxLength: 60, size: 'max' }),
      async (quantization, steps) => {
        const pair = { db: new DB({ metric: 'l2', dimensions, quantization }), model: new Model() }
        try {
          for (const one of steps) await one.run(pair)
          assert.equal(await pair.db.count(), pair.model.records.size)
          for (const report of await pair.db.check())
            assert.deepEqual([report.problem, report.unreachable], ['', 0])
        } finally {
          await pair.db.close()
        }
      },
    ),
    { seed, numRuns, endOnFailure: process.env.CI === 'true', includeErrorInReport: true },
  )
  assert.ok(recall.wanted > 1000)
  assert.ok(
    recall.found / recall.wanted >= 0.95,
    `recall of the forced graph: ${JSON.stringify(recall)}`,
  )
})
