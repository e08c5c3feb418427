// One engine's step in a process of its own: open-child.mjs save|open ENGINE FOLDER ROWS
// Prints one line of JSON: the milliseconds from the folder to the first answer, and how many of
// its neighbours are right. The engine's code is loaded before the clock starts.

import { openSet } from '../lib/data.mjs'
import { OPENINGS } from './openings.mjs'

const [verb, name, folder, rows] = process.argv.slice(2)
const set = { ...openSet('sift'), count: Number(rows) }
const engine = OPENINGS[name]
if (verb === 'save') {
  await engine.save(set, folder)
  console.log('{}')
} else {
  const { queries, truth, dimensions } = set
  const open = await engine.load(set)
  const start = performance.now()
  const search = await open(folder)
  const ids = await search(queries.subarray(0, dimensions), 10)
  const ms = performance.now() - start
  const nearest = truth.subarray(0, 10)
  console.log(JSON.stringify({ ms, recall: ids.filter((id) => nearest.includes(id)).length / 10 }))
}
process.exit(0)
