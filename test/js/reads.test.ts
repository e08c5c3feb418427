// get, has, count, scroll, records; and metadata as it comes back.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, type Id } from 'omendb'
import { rejected } from './support.js'

async function filled(rows: number) {
  const db = new DB({ metric: 'l2' })
  const ids: Id[] = Array.from({ length: rows }, (_, i) => (i % 3 === 0 ? `s${i}` : i))
  const metadata = ids.map((_, i) => ({ n: i, group: i % 5 }))
  await db.add({ ids, vectors: ids.map((_, i) => [i, 1]), metadata })
  return { db, ids }
}

test('get answers in the order asked, repeats included', async () => {
  const { db } = await filled(10)
  const rows = await db.get([4, 'x', 's3', 4])
  assert.deepEqual(
    rows.map((row) => row?.metadata.n),
    [4, undefined, 3, 4],
  )
  assert.deepEqual(db.getSync([4, 'x', 's3', 4]), rows)
  assert.equal(await db.get('4'), undefined)
  assert.deepEqual([await db.has(4), await db.has('4'), db.hasSync('s0')], [true, false, true])
  await db.close()
})

test('get of very many ids', async () => {
  const { db, ids } = await filled(9000)
  const rows = await db.get(ids, { include: 'none' })
  assert.deepEqual(
    rows.map((row) => row?.id),
    ids,
  )
  assert.deepEqual(db.getSync(ids, { include: 'none' }), rows)
  assert.equal(await db.delete(ids.slice(0, 8000)), 8000)
  assert.equal(await db.count(), 1000)
  await db.close()
})

// Each record exactly once, whatever the size of a page.
test('scroll sees everything exactly once', async () => {
  const { db, ids } = await filled(100)
  for (const limit of [1, 7, 100, 10_000]) {
    const seen: Id[] = []
    let cursor: string | undefined
    do {
      const page = await db.scroll({ limit, cursor })
      assert.ok(page.records.length <= limit)
      seen.push(...page.records.map((r) => r.id))
      cursor = page.next
    } while (cursor !== undefined)
    assert.equal(seen.length, 100)
    assert.deepEqual(new Set(seen), new Set(ids))
  }
  const page = db.scrollSync({ limit: 100, filter: { group: 2 } })
  assert.deepEqual(
    page.records.map((r) => r.metadata.group),
    new Array(20).fill(2),
  )
  await db.close()
})

// What is neither updated nor deleted meanwhile is seen exactly once.
test('scroll beside writes', async () => {
  const { db, ids } = await filled(200)
  const seen: Id[] = []
  let i = 0
  for await (const { id } of db.records({ batchSize: 10, include: 'none' })) {
    seen.push(id)
    i += 1
    if (i % 10 === 0) {
      if (i < ids.length) await db.delete(ids[i] as Id)
      await db.add({ vector: [i, 2] })
    }
  }
  const kept = ids.filter((id) => db.hasSync(id))
  for (const id of kept) assert.equal(seen.filter((s) => s === id).length, 1, `${id}`)
  await db.close()
})

test('records iterates, filters and may be left early', async () => {
  const { db } = await filled(1000)
  let n = 0
  for await (const { metadata } of db.records({ filter: { group: 1 } })) {
    assert.equal(metadata.group, 1)
    n += 1
  }
  assert.equal(n, 200)
  for await (const _ of db.records()) break
  await rejected(() => db.records({ filter: { a: undefined as never } }).next(), 'ERR_FILTER')
  await rejected(() => db.records({ batchSize: 0 }).next(), 'ERR_ARGUMENT')
  const rest = db.records({ batchSize: 1 })
  await rest.next()
  await db.close()
  await rejected(() => rest.next(), 'ERR_CLOSED')
})

test('count is exact', async () => {
  const { db } = await filled(1000)
  assert.equal(await db.count(), 1000)
  assert.equal(await db.count({}), 1000)
  assert.equal(await db.count({ group: { $in: [1, 2] } }), 400)
  assert.equal(db.countSync({ n: { $lt: 10 } }), 10)
  await db.delete({ filter: { group: 1 } })
  assert.equal(await db.count({ group: { $in: [1, 2] } }), 200)
  await db.close()
})

test('scroll refuses bad limits and cursors', async () => {
  const { db } = await filled(3)
  for (const limit of [undefined, 0, -1, 1.5, 10_001, Number.NaN, '5']) {
    await rejected(() => db.scroll({ limit: limit as never }), 'ERR_ARGUMENT')
  }
  for (const cursor of [5, {}, 'nonsense', '', null]) {
    await rejected(() => db.scroll({ limit: 5, cursor: cursor as never }), 'ERR_ARGUMENT')
  }
  await db.close()
})

test('metadata comes back as it went in, by every way', async () => {
  const metadata = {
    text: 'é\u{1F600}\u0000"\\\u2028',
    lone: '\ud800',
    number: 1.5e-7,
    big: 2 ** 53,
    yes: true,
    nothing: null,
    at: new Date('2020-02-29T12:34:56.789Z'),
    early: new Date(-1e14),
    list: [1, 'a', null, new Date(5), [true]],
    nested: { deep: { deeper: [{ at: new Date(7), x: 1 }] } },
    empty: {},
    none: [],
    '': 'an empty key',
    ...JSON.parse('{"__proto__": {"polluted": true}}'),
  }
  const db = new DB()
  await db.add({ id: 'x', vector: [1, 2], metadata })
  await db.add({ id: 'y', vector: [1, 3] })
  const ways = [
    (await db.get('x'))?.metadata,
    db.getSync(['y', 'x'])[1]?.metadata,
    (await db.search([1, 2], { k: 1 }))[0]?.metadata,
    db.searchSync([1, 2], { k: 1 })[0]?.metadata,
    db.searchSync([1, 2], { k: 1, include: ['metadata', 'vector'] })[0]?.metadata,
    (await db.scroll({ limit: 1 })).records[0]?.metadata,
  ]
  for (const read of ways) {
    assert.deepEqual(read, metadata)
    assert.equal(Object.getPrototypeOf(read), Object.prototype)
    assert.ok((read as typeof metadata).at instanceof Date)
    assert.equal((read as { polluted?: unknown }).polluted, undefined)
  }
  await db.close()
})
