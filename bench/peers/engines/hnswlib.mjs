// hnswlib-node: one thread through its JavaScript interface; vectors must be plain arrays, so
// queries are turned into arrays before the clock starts, and rows while they are added.

import { createRequire } from 'node:module'
import { versionOf } from './version.mjs'

const require = createRequire(import.meta.url)

export function about(_options, { m, efConstruction }) {
  return {
    version: versionOf('hnswlib-node'),
    build: "npm's default compile: node-gyp Release (-O3), no -march, so SSE distances",
    parameters: `float32, M ${m}, efConstruction ${efConstruction}, searchKnn`,
  }
}

export async function open({ dimensions, metric, rows, m, efConstruction }) {
  const { HierarchicalNSW } = require('hnswlib-node')
  const index = new HierarchicalNSW(metric, dimensions)
  index.initIndex({ maxElements: rows, m, efConstruction, randomSeed: 100 })
  let hits
  return {
    async add(vectors, ids) {
      for (let row = 0; row < ids.length; ++row) {
        const from = row * dimensions
        index.addPoint(Array.from(vectors.subarray(from, from + dimensions)), ids[row])
      }
    },
    setEf(ef, k) {
      index.setEf(ef)
      hits = k
    },
    prepare: (query) => Array.from(query),
    search: (query) => index.searchKnn(query, hits),
    ids: ({ neighbors }) => neighbors,
    async close() {},
  }
}
