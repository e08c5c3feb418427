// How long the event loop stands still while rows are added, or while the same processors are kept
// busy by something that is not OmenDB.

import { availableParallelism } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { DB } from '../lib/collections.mjs'
import { openSet, selectRows } from '../lib/data.mjs'

const SPIN = `
const { parentPort, workerData } = require('node:worker_threads')
parentPort.on('message', () => {
  const end = performance.now() + workerData.ms
  let x = 1
  while (performance.now() < end) for (let i = 0; i < 1e4; ++i) x = Math.imul(x, 48271)
  parentPort.postMessage(x)
  parentPort.close()
})`

/**
 * @param job.set, job.rows  What is added, with metadata.
 * @param job.controlMs      Instead: keep all processors busy for so long.
 */
export async function run({ set: name, rows, controlMs }) {
  const work = controlMs === undefined ? await adding(name, rows) : await spinning(controlMs)
  globalThis.gc?.()
  await sleep(100)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await sleep(50)
  delay.reset()
  const started = performance.now()
  const extra = await work()
  const ms = performance.now() - started
  delay.disable()
  return {
    ms,
    maxMs: delay.max / 1e6,
    p99Ms: delay.percentile(99) / 1e6,
    meanMs: delay.mean / 1e6,
    ...extra,
  }
}

async function adding(name, rows) {
  const set = openSet(name)
  const selected = selectRows(set, { rows })
  const metadata = Array.from(selected.ids, (id) => ({
    title: `record ${id}`,
    group: id % 100,
    recent: id % 7 === 0,
    tags: [`t${id % 13}`, `u${id % 29}`],
  }))
  const db = new DB()
  const { dimensions, metric } = set
  const collection = await db.collection('bench', { dimensions, metric })
  const { ids, vectors } = selected
  return async () => {
    await collection.addBatch({ ids, vectors, metadata })
    const { nativeSliceNsMax } = await db.stats()
    return { longestSliceMs: nativeSliceNsMax / 1e6 }
  }
}

/** Workers that are up and waiting, so that starting them is not measured. */
async function spinning(ms) {
  const workers = Array.from(
    { length: availableParallelism() },
    () => new Worker(SPIN, { eval: true, workerData: { ms } }),
  )
  await Promise.all(
    workers.map((worker) => new Promise((resolve) => worker.once('online', resolve))),
  )
  return async () => {
    await Promise.all(
      workers.map(
        (worker) =>
          new Promise((resolve) => {
            worker.once('message', resolve)
            worker.postMessage('go')
          }),
      ),
    )
    return {}
  }
}
