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
import { refused } from './support.js'

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
  { a: value, b: value, n: fc.record({ c: value }, { requiredKeys: [] }) },
  { requiredKeys: [] },
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
/** One step: applied to both, which must answer the same. */
type Step = (pair: Pair) => Promise<void>

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
  for (const [i, v] of list.entries()) model.put(first + i, v, {})
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

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.array(row, { maxLength: 12 }).map(unique), fc.boolean()).map(
      ([r, s]): Step =>
        (p) =>
          add(p, r, s),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.array(row, { maxLength: 12 }).map(unique), fc.boolean()).map(
      ([r, s]): Step =>
        (p) =>
          upsert(p, r, s),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.array(vector, { maxLength: 20 }).map(
      (list): Step =>
        (p) =>
          generate(p, list),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(id, fc.option(vector, { nil: undefined }), metadata, fc.subarray(['a', 'b', 'n']))
      .map(
        ([key, v, m, unset]): Step =>
          (p) =>
            update(p, key, v, m, unset),
      ),
  },
  {
    weight: 3,
    arbitrary: fc.array(id, { maxLength: 6 }).map(
      (ids): Step =>
        async ({ db, model }) => {
          const there = new Set(ids.filter((key) => model.records.has(key)))
          assert.equal(await db.delete(ids), there.size)
          for (const key of there) model.records.delete(key)
        },
    ),
  },
  {
    weight: 1,
    arbitrary: filter.map(
      (f): Step =>
        async ({ db, model }) => {
          const gone = model.select(f)
          assert.equal(await db.delete({ filter: f }), gone.length)
          for (const record of gone) model.records.delete(record.id)
        },
    ),
  },
  {
    weight: 8,
    arbitrary: fc
      .tuple(vector, fc.option(filter, { nil: undefined }), fc.constantFrom(1, 3, 10, 100))
      .map(
        ([q, f, k]): Step =>
          (p) =>
            compareSearch(p, q, f, k),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.array(id, { maxLength: 6 }).map(
      (ids): Step =>
        async ({ db, model }) => {
          const rows = await db.get(ids, { include: ['metadata', 'vector'] })
          const expected = ids.map((key) => {
            const record = model.records.get(key)
            if (record === undefined) return undefined
            return { id: key, metadata: record.metadata, vector: new Float32Array(record.vector) }
          })
          assert.deepEqual(rows, expected)
        },
    ),
  },
  {
    weight: 2,
    arbitrary: filter.map(
      (f): Step =>
        async ({ db, model }) => {
          const expected = model.select(f).map((record) => record.id)
          assert.equal(await db.count(f), expected.length)
          const seen: Id[] = []
          for await (const { id: key } of db.records({ filter: f, batchSize: 7 })) seen.push(key)
          assert.equal(seen.length, expected.length)
          assert.deepEqual(new Set(seen), new Set(expected))
        },
    ),
  },
  { weight: 1, arbitrary: fc.constant<Step>(async ({ db }) => db.optimize()) },
  {
    weight: 1,
    arbitrary: fc.constant<Step>(async ({ db, model }) => {
      await db.clear()
      model.records.clear()
    }),
  },
)

test('the engine answers as the plain model does', { timeout: 300_000 }, async () => {
  const seed = Number(process.env.OMEN_SEED ?? 20_261_122)
  const numRuns = Number(process.env.OMENDB_MODEL_RUNS ?? 120)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<'sq8' | 'none'>('sq8', 'none'),
      fc.array(step, { minLength: 5, maxLength: 60 }),
      async (quantization, steps) => {
        const pair = { db: new DB({ metric: 'l2', dimensions, quantization }), model: new Model() }
        try {
          for (const run of steps) await run(pair)
          assert.equal(await pair.db.count(), pair.model.records.size)
          for (const report of await pair.db.check())
            assert.deepEqual([report.problem, report.unreachable], ['', 0])
        } finally {
          await pair.db.close()
        }
      },
    ),
    { seed, numRuns, endOnFailure: process.env.CI === 'true' },
  )
  assert.ok(recall.wanted > 1000)
  assert.ok(
    recall.found / recall.wanted >= 0.95,
    `recall of the forced graph: ${JSON.stringify(recall)}`,
  )
})
