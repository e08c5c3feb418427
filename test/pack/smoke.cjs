'use strict'
// The main job in a few lines, on the installed package: exits 0 if it works.
//
//   node smoke.cjs           required
//   node smoke.mjs           imported; it calls the function exported here
//   node smoke.cjs worker    in a worker thread, that alone loads the addon
// With OMENDB_EXPECT_UNDER set, the addon must have been loaded from below that folder.
const assert = require('node:assert/strict')
const path = require('node:path')
const { Worker, isMainThread } = require('node:worker_threads')

const rows = 200
const dimensions = 24

/** Unit vectors on a spiral: neighbours in index are neighbours in space. */
function spiral() {
  const vectors = new Float32Array(rows * dimensions)
  for (let i = 0; i < rows; i += 1) {
    for (let d = 0; d < dimensions; d += 1) {
      vectors[i * dimensions + d] = Math.sin(((d + 1) * i) / rows + d)
    }
  }
  return vectors
}

async function smoke({ DB, OmenError }) {
  const vectors = spiral()
  const query = vectors.subarray(17 * dimensions, 18 * dimensions)
  const ids = Array.from({ length: rows }, (_, i) => i)
  const metadata = ids.map((i) => ({ half: i % 2 === 0 ? 'even' : 'odd', i }))

  const db = new DB({ metric: 'l2', dimensions })
  assert.deepEqual(await db.addBatch({ ids, vectors, metadata }), ids)
  const hits = await db.search(query, { k: 3 })
  assert.equal(hits[0].id, 17)
  assert.ok(Math.abs(hits[0].distance) < 1e-5)
  assert.deepEqual(hits[0].metadata, { half: 'odd', i: 17 })
  const even = await db.search(query, { k: 5, filter: { half: 'even', i: { $lt: 18 } } })
  assert.equal(even.length, 5)
  assert.equal(even[0].id, 16)
  assert.equal(await db.delete(17), 1)
  assert.notEqual(db.searchSync(query, { k: 1 })[0].id, 17)
  assert.equal(await db.count(), rows - 1)
  await assert.rejects(db.search(query.subarray(1)), (error) => {
    return error instanceof OmenError && error.code === 'ERR_DIMENSIONS'
  })
  await db.close()
  checkOrigin()
}

/** Where the addon really came from, as the operating system sees it. */
function checkOrigin() {
  const under = process.env.OMENDB_EXPECT_UNDER
  const loaded = process.report.getReport().sharedObjects.filter((f) => f.endsWith('.node'))
  assert.equal(loaded.length, 1, `loaded: ${loaded}`)
  if (under) assert.ok(loaded[0].startsWith(under + path.sep), `${loaded[0]} is not under ${under}`)
}

module.exports = smoke

if (require.main === module && process.argv[2] === 'worker') {
  new Worker(__filename).on('error', (error) => {
    throw error
  })
} else if (require.main === module || !isMainThread) {
  smoke(require('omendb')).catch((error) => {
    console.error(error)
    process.exitCode = 1
    if (!isMainThread) throw error
  })
}
