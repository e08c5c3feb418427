// The meaning of filters, end to end, and the path of every fault.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, type Filter, type Metadata } from 'omendb'
import { rejected } from './support.js'

const day = (d: number) => new Date(Date.UTC(2020, 0, d))
const documents: Metadata[] = [
  { title: 'a', year: 1999, genres: ['sf', 'noir'], at: day(1), author: { name: 'x', born: 1950 } },
  { title: 'b', year: 2001, genres: ['sf'], at: day(2), author: { name: 'y', born: null } },
  { title: 'c', year: 2001.5, genres: [], at: null, ok: true },
  { title: 'é', year: '1999', genres: 'sf', ok: false },
  {},
  { title: '\u{1F600}', year: null, mixed: [1, 'one', true, null, day(3), { a: 1 }] },
]

const cases: [Filter<Metadata>, number[]][] = [
  [{}, [0, 1, 2, 3, 4, 5]],
  [{ year: 1999 }, [0]],
  [{ year: { $eq: '1999' } }, [3]],
  [{ year: { $gte: 1999, $lt: 2001.5 } }, [0, 1]],
  [{ year: { $gt: 0 } }, [0, 1, 2]],
  [{ year: { $ne: 1999 } }, [1, 2, 3, 4, 5]],
  [{ year: { $in: [1999, '1999', null] } }, [0, 3, 5]],
  [{ year: { $nin: [1999, '1999'] } }, [1, 2, 4, 5]],
  [{ year: null }, [5]],
  [{ year: { $exists: true } }, [0, 1, 2, 3, 5]],
  [{ year: { $exists: false } }, [4]],
  [{ title: { $gt: 'b' } }, [2, 3, 5]],
  [{ title: { $gt: '\uffff' } }, [5]],
  [{ genres: 'sf' }, [0, 1, 3]],
  [{ genres: { $contains: 'sf' } }, [0, 1]],
  [{ genres: { $contains: ['sf', 'noir'] } }, [0]],
  [{ genres: { $contains: [] } }, [0, 1, 2]],
  [{ genres: { $ne: 'noir' } }, [1, 2, 3, 4, 5]],
  [{ at: { $gte: day(2) } }, [1]],
  [{ at: day(1) }, [0]],
  [{ at: { $gt: 0 } }, []],
  [{ 'author.name': 'x' }, [0]],
  [{ 'author.born': null }, [1]],
  [{ 'author.born': { $not: { $gt: 0 } } }, [1, 2, 3, 4, 5]],
  [{ author: { $exists: true } }, [0, 1]],
  [{ mixed: 'one' }, [5]],
  [{ mixed: null }, [5]],
  [{ mixed: { $contains: [1, true, day(3)] } }, [5]],
  [{ ok: { $in: [true, false] } }, [2, 3]],
  [{ $or: [{ year: 1999 }, { ok: true }] }, [0, 2]],
  [{ $and: [{ genres: 'sf' }, { $not: { title: 'a' } }] }, [1, 3]],
  [{ $id: 3 }, [3]],
  [{ $id: { $in: [0, 5n, 77, '3'] } }, [0, 5]],
  [{ $id: { $gte: 4 } }, [4, 5]],
  [{ nothing: 1 }, []],
  [{ nothing: { $ne: 1 } }, [0, 1, 2, 3, 4, 5]],
]

test('what each filter matches, by count, scroll, search and delete', async () => {
  const db = new DB({ metric: 'l2' })
  const ids = documents.map((_, i) => i)
  await db.add({ ids, vectors: ids.map((i) => [i, 0]), metadata: documents })
  for (const [filter, expected] of cases) {
    const name = JSON.stringify(filter, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))
    assert.equal(await db.count(filter), expected.length, name)
    const page = db.scrollSync({ limit: 10, filter, include: 'none' })
    assert.deepEqual(page.records.map((r) => r.id).sort(), expected, name)
    for (const exact of [true, false, undefined]) {
      const hits = await db.search([0, 0], { filter, exact, include: 'none' })
      assert.deepEqual(
        hits.map((h) => h.id),
        expected,
        `${name} exact: ${exact}`,
      )
    }
    const one = new DB({ metric: 'l2' })
    await one.add({ ids, vectors: ids.map((i) => [i, 0]), metadata: documents })
    if (Object.keys(filter).length > 0)
      assert.equal(await one.delete({ filter }), expected.length, name)
    await one.close()
  }
  await db.close()
})

function nested(depth: number): Filter<Metadata> {
  let filter: Filter<Metadata> = { a: 1 }
  for (let i = 1; i < depth; i++) filter = { $not: filter }
  return filter
}

test('every fault is told with its path, by every method', async () => {
  const db = new DB()
  await db.add({ vector: [1, 2], metadata: { a: 1 } })
  const faults: [unknown, string | undefined][] = [
    [{ year: [1999] }, 'year'],
    [{ year: undefined }, 'year'],
    [{ year: { $near: 5 } }, 'year.$near'],
    [{ $nor: [] }, '$nor'],
    [{ $and: [{ a: 1 }, { genres: { $in: ['x', { y: 1 }] } }] }, '$and[1].genres.$in[1]'],
    [{ $or: {} }, '$or'],
    [{ $or: [] }, '$or'],
    [{ a: { $in: 5 } }, 'a.$in'],
    [{ a: { $exists: 1 } }, 'a.$exists'],
    [{ a: { $gt: true } }, 'a.$gt'],
    [{ a: { $gt: null } }, 'a.$gt'],
    [{ a: { b: 1 } }, 'a.b'],
    [{ a: {} }, 'a'],
    [{ a: { $eq: [1] } }, 'a.$eq'],
    [{ $id: 1.5 }, '$id'],
    [{ $id: { $contains: 1 } }, '$id.$contains'],
    [nested(33), undefined],
    [{ $or: Array.from({ length: 1025 }, (_, i) => ({ a: i })) }, undefined],
    [5, undefined],
    [[], undefined],
    ['a', undefined],
    [null, undefined],
  ]
  for (const [filter, path] of faults) {
    const given = { filter: filter as never }
    for (const call of [
      () => db.search([1, 2], given),
      async () => db.searchSync([1, 2], given),
      () => db.searchBatch([[1, 2]], given),
      () => db.explain([1, 2], given),
      () => db.count(given.filter),
      async () => db.countSync(given.filter),
      () => db.scroll({ limit: 1, ...given }),
      () => db.delete(given),
      async () => db.deleteSync(given),
    ]) {
      const error = await rejected(call as () => Promise<unknown>, 'ERR_FILTER')
      if (path !== undefined) {
        assert.equal(error.details.path, path, error.message)
        assert.ok(error.message.includes(path), error.message)
      }
    }
  }
  assert.equal(await db.count(nested(32)), 1 - (await db.count(nested(31))))
  const many = Array.from({ length: 65_536 }, (_, i) => i)
  assert.equal(await db.count({ a: { $in: many } }), 1)
  assert.equal(await db.count(), 1)
  await db.close()
})
