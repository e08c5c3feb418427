// Filtered search on the metadata of a set: by its own fields and by a random one.

import { build, measurePlans } from '../lib/collections.mjs'
import { K, openMetadata, openSet, selectRows } from '../lib/data.mjs'
import { distancesTo, nearest, rowLengths } from '../lib/exact.mjs'

const SHARES = [0.5, 0.1, 0.01, 0.001]
const QUERIES = 200
const QUERIES_EXACT = 50

/**
 * @param job.set, job.rows, job.quantization  What is searched.
 * @param job.fields  Fields of its metadata to filter by, besides the random one.
 */
export async function run({ set: name, rows, quantization, fields }) {
  const set = openSet(name)
  const selected = selectRows(set, { rows })
  const all = openMetadata(name)
  selected.metadata = Array.from(selected.ids, (id) => all[id])
  const { db, collection, figures } = await build(set, selected, { quantization })
  const cases = [
    ...fields.flatMap((field) => fieldCases(selected.metadata, field)),
    ...randomCases(),
  ]
  addTruth(set, selected, all, cases)
  const results = cases.map((one) => measureCase(collection, set, one))
  await db.close()
  return { figures, results }
}

function measureCase(collection, set, { field, share, filter, passing, truth }) {
  const common = { filter, queryCount: QUERIES, repeats: 2 }
  const exactOnly = { queryCount: QUERIES_EXACT }
  return { field, share, passing, ...measurePlans(collection, set, truth, common, exactOnly) }
}

/** For each share the values of a field that together come nearest to it. */
function fieldCases(metadata, field) {
  const counts = new Map()
  for (const record of metadata) counts.set(record[field], (counts.get(record[field]) ?? 0) + 1)
  const cases = SHARES.map((share) => {
    const values = valuesNear([...counts], share * metadata.length)
    const filter = { [field]: values.length === 1 ? values[0] : { $in: values } }
    const wanted = new Set(values)
    return { field, share, filter, test: (record) => wanted.has(record[field]) }
  })
  // A field of few values (a part of speech) has no way to pass a thousandth.
  const texts = cases.map(({ filter }) => JSON.stringify(filter))
  return cases.filter((_, i) => texts.indexOf(texts[i]) === i)
}

/** Values whose counts add up to about `target`: always the largest that still fits. */
function valuesNear(counts, target) {
  counts.sort((a, b) => b[1] - a[1])
  const values = []
  let sum = 0
  for (const [value, count] of counts) {
    if (sum + count <= target * 1.05) {
      values.push(value)
      sum += count
    }
  }
  return values.length > 0 ? values : [counts.at(-1)[0]]
}

function randomCases() {
  return SHARES.map((share) => {
    const below = share * 1000 // The field holds integers from 0 to 999.
    return { field: 'random', share, filter: { r: { $lt: below } }, test: ({ r }) => r < below }
  })
}

/** Each filter's own exact truth: one pass over the distances of each query serves all filters. */
function addTruth(set, selected, all, cases) {
  const rows = set.base.length / set.dimensions
  const lengths = rowLengths(set)
  const distances = new Float64Array(rows)
  for (const one of cases) {
    one.passes = new Uint8Array(rows)
    for (const id of selected.ids) one.passes[id] = one.test(all[id]) ? 1 : 0
    one.passing = one.passes.reduce((sum, pass) => sum + pass, 0)
    one.truth = new Int32Array(QUERIES * K).fill(-1)
  }
  for (let q = 0; q < QUERIES; ++q) {
    distancesTo(set, q, lengths, distances)
    for (const { truth, passes } of cases) truth.set(nearest(distances, K, passes), q * K)
  }
}
