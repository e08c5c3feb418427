// hnswlib-node: one thread through its JavaScript interface; vectors must be plain arrays, so
// queries are turned into arrays before the clock starts, and rows while they are added.
// Twice: as npm compiles it for everybody, and compiled for this processor (`native`).

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { versionOf } from './version.mjs'

const folderOf = ({ native }) => (native ? '../native' : '..')

export function about(options, { m, efConstruction }) {
  return {
    version: versionOf('hnswlib-node', folderOf(options)),
    build: options.native
      ? 'compiled here: node-gyp Release with CXXFLAGS="-O3 -march=native"'
      : "npm's default compile: node-gyp Release (-O3), no -march, so SSE distances",
    parameters: `float32, M ${m}, efConstruction ${efConstruction}, searchKnn`,
  }
}

export async function open({ dimensions, metric, rows, m, efConstruction }, options) {
  const require = createRequire(new URL(`${folderOf(options)}/package.json`, import.meta.url))
  const { HierarchicalNSW } = require('hnswlib-node')
  let index = new HierarchicalNSW(metric, dimensions)
  index.initIndex({ maxElements: rows, m, efConstruction, randomSeed: 100 })
  let hits
  return {
    async add(vectors, ids) {
      for (let row = 0; row < ids.length; ++row) {
        const from = row * dimensions
        index.addPoint(Array.from(vectors.subarray(from, from + dimensions)), ids[row])
      }
    },
    async reopen(query, k) {
      const folder = mkdtempSync(join(tmpdir(), 'omendb-peers-hnswlib-'))
      const path = join(folder, 'index')
      index.writeIndexSync(path)
      index = new HierarchicalNSW(metric, dimensions)
      const start = performance.now()
      index.readIndexSync(path)
      index.searchKnn(query, k)
      const ms = performance.now() - start
      rmSync(folder, { recursive: true, force: true })
      return ms
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
