// OmenDB through its public interface: one addBatch, then searchSync on the forced graph.

import { readFileSync } from 'node:fs'
import { DB } from '../../lib/collections.mjs'
import { ROOT } from '../../lib/machine.mjs'

export function about({ quantization }, { m, efConstruction }) {
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'))
  return {
    version,
    build: process.env.OMENDB_ADDON === undefined ? 'npm run build: node-gyp, -O3' : 'OMENDB_ADDON',
    parameters: `${quantization}, m ${m}, efConstruction ${efConstruction}, searchSync`,
  }
}

export async function open({ dimensions, metric, m, efConstruction }, { quantization }) {
  const db = new DB()
  const collection = await db.collection('peers', {
    dimensions,
    metric,
    quantization,
    m,
    efConstruction,
  })
  let options
  return {
    add: (vectors, ids) => collection.addBatch({ ids: Float64Array.from(ids), vectors }),
    setEf(ef, k) {
      options = { k, ef, exact: false, include: 'none' }
    },
    prepare: (query) => query,
    search: (query) => collection.searchSync(query, options),
    ids: (hits) => hits.map(({ id }) => id),
    close: () => db.close(),
  }
}
