// usearch: its interface fixes the search expansion when an index is made, so every ef is the same
// index, saved once and loaded with another expansion (outside the clock).

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { versionOf } from './version.mjs'

const require = createRequire(import.meta.url)

export function about({ quantization }, { m, efConstruction }) {
  return {
    version: versionOf('usearch'),
    build: 'the prebuilt binary in the package',
    parameters: `${quantization}, connectivity ${m}, expansion_add ${efConstruction}, one thread`,
  }
}

export async function open(job, { quantization }) {
  const { dimensions, metric, m, efConstruction, threads } = job
  const { Index } = require('usearch')
  const folder = mkdtempSync(join(tmpdir(), 'omendb-peers-usearch-'))
  const path = join(folder, 'index')
  const make = (ef) =>
    new Index({
      dimensions,
      metric: metric === 'l2' ? 'l2sq' : 'cos',
      quantization,
      connectivity: m,
      expansion_add: efConstruction,
      expansion_search: ef,
      multi: false,
    })
  let index = make(64)
  let hits
  let isSaved = false
  return {
    async add(vectors, ids) {
      index.add(BigUint64Array.from(ids, BigInt), vectors, threads)
    },
    async reopen(query, k) {
      index.save(path)
      isSaved = true
      const start = performance.now()
      index = make(64)
      index.load(path)
      index.search(query, k, 1)
      return performance.now() - start
    },
    setEf(ef, k) {
      if (!isSaved) index.save(path)
      isSaved = true
      index = make(ef)
      index.load(path)
      hits = k
    },
    prepare: (query) => query,
    search: (query) => index.search(query, hits, 1),
    ids: ({ keys }) => Array.from(keys, Number),
    async close() {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
