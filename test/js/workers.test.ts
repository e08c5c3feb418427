// Databases in worker threads: shared by name, private without, and closed by a thread's end.
import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import { Worker } from 'node:worker_threads'
import { DB } from 'omendb'

function work(data: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(path.join(__dirname, 'shared-worker.js'), { workerData: data })
    let result: unknown
    worker.on('message', (message) => {
      result = message
    })
    worker.on('error', reject)
    worker.on('exit', (code) => (code === 0 ? resolve(result) : reject(new Error(`exit ${code}`))))
  })
}

test('threads share one named database', async () => {
  const name = `workers-${process.pid}`
  const dimensions = 8
  const db = new DB({ name, metric: 'l2' })
  const rows = 400
  const orders = [0, 1, 2].map((n) => ({ name, first: n * rows, rows, dimensions }))
  let isDone = false
  const workers = Promise.all(orders.map(work)).finally(() => {
    isDone = true
  })
  const query = new Float32Array(dimensions).fill(1)
  while (!isDone) {
    const hits = await db.search(query, { k: 5 })
    assert.equal(new Set(hits.map((h) => h.id)).size, hits.length)
  }
  assert.deepEqual(await workers, [rows, rows, rows])
  assert.equal(await db.count(), 3 * rows)
  const [report] = await db.check()
  assert.deepEqual([report?.ok, report?.problem], [true, ''])
  await db.close()
})

// The last handle takes the database with it, also when it went with its thread.
test('a database that only workers had is gone with them', async () => {
  const name = `gone-${process.pid}`
  assert.equal(await work({ name, first: 0, rows: 100, dimensions: 4 }), 100)
  const db = new DB({ name })
  assert.equal(await db.count(), 0)
  await db.close()
})

test('an open database does not keep the process alive', async () => {
  const { execFileSync } = await import('node:child_process')
  const code = `const { DB } = require('omendb'); const db = new DB(); db.addBatchSync([[1, 2]]);
    db.search([1, 2]).then((hits) => console.log(hits.length))`
  const root = path.resolve(__dirname, '../..')
  const out = execFileSync(process.execPath, ['-e', code], {
    cwd: root,
    encoding: 'utf8',
    timeout: 20_000,
  })
  assert.equal(out, '1\n')
})
