// A bug found under AddressSanitizer: a worker that ended while its write waited for the device
// left an operation that the log's own thread freed, and with it the database that owned the
// thread.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { DB } from '../../dist/index.mjs'

const file = fileURLToPath(import.meta.url)

async function write() {
  const db = await DB.open(workerData, { metric: 'l2' }) // durability: 'sync'
  const vector = new Float32Array(8).fill(1)
  await db.upsert({ id: 'first', vector })
  parentPort.postMessage('writing')
  for (;;) {
    await Promise.all(Array.from({ length: 4 }, (_, i) => db.upsert({ id: i, vector })))
  }
}

if (!isMainThread && workerData !== null) {
  await write()
} else {
  test('workers may end while their writes wait for the device', async (t) => {
    const home = mkdtempSync(path.join(tmpdir(), 'omendb-writers-'))
    t.after(() => rmSync(home, { recursive: true, force: true }))
    const at = path.join(home, 'db')
    for (let round = 0; round < 12; round++) {
      const worker = new Worker(file, { workerData: at })
      await once(worker, 'message')
      await new Promise((resolve) => setTimeout(resolve, round % 7))
      await worker.terminate()
      const db = await DB.open(at)
      assert.ok(await db.has('first'))
      for (const report of await db.check()) assert.ok(report.ok, report.problem)
      await db.close()
    }
  })
}
