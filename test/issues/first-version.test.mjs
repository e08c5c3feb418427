// Bugs found while the first version was put together, each with what a user would have seen.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB } from '../../dist/index.mjs'

/** Seeded numbers in [-0.5, 0.5). */
function numbers(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32 - 0.5
  }
}

function vectors(count, dimensions, seed) {
  const next = numbers(seed)
  return Array.from({ length: count }, () => Float32Array.from({ length: dimensions }, next))
}

// A search that includes metadata crashed the process where no record had ever had any.
test('records without metadata are found, with {} as theirs', async () => {
  const db = new DB({ dimensions: 8 })
  db.addBatchSync(vectors(1, 8, 1))
  const [hit] = db.searchSync(vectors(1, 8, 1)[0], { k: 1 })
  assert.deepEqual(hit.metadata, {})
  await db.close()
})

// Single adds that were committed in one group asked for more upper-layer nodes than were reserved,
// which aborted the process.
test('many single adds at once', async () => {
  const db = new DB({ metric: 'l2' })
  const rows = vectors(600, 8, 2)
  await Promise.all(rows.map((vector, id) => db.add({ id, vector })))
  assert.equal(await db.count(), 600)
  const [report] = await db.check()
  assert.equal(report.ok, true)
  await db.close()
})

// With every record deleted but not yet consolidated, new ones linked to nobody: the graph found
// a third of them.
test('a collection that was emptied by deletes is filled again', async () => {
  const db = new DB({ metric: 'l2' })
  const rows = vectors(500, 16, 3)
  const ids = await db.addBatch(rows.slice(0, 20))
  assert.equal(await db.delete(ids), 20)
  await db.addBatch(rows)
  const [report] = await db.check()
  assert.equal(report.unreachable, 0)
  for (let i = 0; i < rows.length; i += 25) {
    const [hit] = await db.search(rows[i], { k: 1, exact: false })
    assert.equal(hit.distance, 0)
  }
  await db.close()
})

// A record replaced during a search could come twice: by its old slot, followed to the new one,
// and by the new slot itself.
test('no id comes twice, however often records are replaced', async () => {
  const db = new DB({ metric: 'l2' })
  const ids = Array.from({ length: 60 }, (_, i) => i)
  for (let round = 0; round < 20; round++) {
    await db.upsert(vectors(60, 4, round).map((vector, id) => ({ id, vector })))
    for (const exact of [true, false, undefined]) {
      const hits = await db.search(new Float32Array([0.1, 0.1, 0.1, 0.1]), { k: 60, exact })
      assert.deepEqual(
        hits.map((hit) => hit.id).sort((a, b) => a - b),
        ids,
      )
    }
  }
  await db.close()
})
