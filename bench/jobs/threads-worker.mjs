// One worker of threads.mjs: opens the database by its name and searches when told how. Answers
// with the microseconds of every search.

import { parentPort, workerData } from 'node:worker_threads'
import { DB, queryAt } from '../lib/collections.mjs'
import { openSet } from '../lib/data.mjs'

const SEARCHES = 4000

const { name, set: setName, options } = workerData
const set = openSet(setName)
const queries = Array.from({ length: set.queryCount }, (_, q) => queryAt(set, q).slice())
const db = new DB({ name })
const collection = await db.collection('bench')

parentPort.on('message', async (way) => {
  const micros = new Float64Array(SEARCHES)
  for (let i = 0; i < SEARCHES; ++i) {
    const query = queries[i % queries.length]
    const start = performance.now()
    if (way === 'searchSync') collection.searchSync(query, options)
    else await collection.search(query, options)
    micros[i] = (performance.now() - start) * 1000
  }
  parentPort.postMessage(micros)
})
parentPort.postMessage('ready')
