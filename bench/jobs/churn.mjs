// Churn: every record replaced once by another vector, beside a collection that only ever held the
// new vectors.

import { addRows, build, bytesPerVector, measureSearch, unreachable } from '../lib/collections.mjs'
import { openSet, selectRows } from '../lib/data.mjs'
import { residentBytes, timed } from '../lib/measure.mjs'

/**
 * @param job.rows       Records; the set needs twice as many rows.
 * @param job.batchRows  Records of one upsert.
 * @param job.fresh      Build the new vectors only: the reference.
 */
export async function run({ set: name, rows, quantization, batchRows, fresh }) {
  const set = openSet(name)
  const later = selectRows(set, { rows, skip: rows })
  if (fresh) {
    const { db, collection, figures } = await build(set, later, { quantization })
    const result = { ...figures, ...(await look(db, collection, set, later.truth, (id) => id)) }
    await db.close()
    return result
  }
  const earlier = selectRows(set, { rows })
  // The new vectors come under the old ids; recall needs to know which row an id now stands for.
  const rowOf = new Map(Array.from(earlier.ids, (id, i) => [id, later.ids[i]]))
  const residentBefore = residentBytes()
  const { db, collection } = await build(set, earlier, { quantization })
  const replacing = { ids: earlier.ids, vectors: later.vectors }
  const { wallSeconds, cpuSeconds } = await timed(() =>
    addRows(collection, replacing, set.dimensions, batchRows, 'upsert'),
  )
  // As for a fresh collection: after the writes, before the first search and check.
  const residentPerVector = (residentBytes() - residentBefore) / rows
  const toRow = (id) => rowOf.get(id)
  const replaced = await look(db, collection, set, later.truth, toRow)
  const { wallSeconds: optimizeSeconds } = await timed(() => collection.optimize())
  const optimized = await look(db, collection, set, later.truth, toRow)
  const result = {
    rows,
    rate: rows / wallSeconds,
    cpuSeconds,
    optimizeSeconds,
    residentPerVector,
    replaced,
    optimized,
  }
  await db.close()
  return result
}

/** Recall, speed, memory and health of a collection as it is. */
async function look(db, collection, set, truth, toRow) {
  const translated = {
    searchSync: (query, options) => rename(collection.searchSync(query, options), toRow),
  }
  const { count, deleted } = await collection.stats()
  return {
    count,
    deleted,
    bytes: await bytesPerVector(collection),
    unreachable: await unreachable(db),
    search: measureSearch(translated, set, truth, { exact: false }),
  }
}

function rename(hits, toRow) {
  for (const hit of hits) hit.id = toRow(hit.id)
  return hits
}
