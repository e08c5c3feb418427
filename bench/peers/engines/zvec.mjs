// zvec: a collection in a temporary folder, filled and then optimised, which builds its HNSW index.

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { versionOf } from './version.mjs'

const require = createRequire(import.meta.url)
const BATCH_ROWS = 1000 // It refuses batches of more than 1 024.

export function about(_options, { m, efConstruction }) {
  return {
    version: versionOf('@zvec/zvec'),
    build: 'the prebuilt binary in the package',
    parameters: `float32, HNSW m ${m}, efConstruction ${efConstruction}, querySync, on disk`,
  }
}

export async function open({ dimensions, metric, m, efConstruction, threads }) {
  const zvec = require('@zvec/zvec')
  zvec.ZVecInitialize({ queryThreads: 1, optimizeThreads: threads })
  const folder = mkdtempSync(join(tmpdir(), 'omendb-peers-zvec-'))
  const { ZVecMetricType, ZVecIndexType, ZVecDataType } = zvec
  const schema = new zvec.ZVecCollectionSchema({
    name: 'peers',
    vectors: {
      name: 'v',
      dataType: ZVecDataType.VECTOR_FP32,
      dimension: dimensions,
      indexParams: {
        indexType: ZVecIndexType.HNSW,
        metricType: metric === 'l2' ? ZVecMetricType.L2 : ZVecMetricType.COSINE,
        m,
        efConstruction,
      },
    },
  })
  let collection = zvec.ZVecCreateAndOpen(join(folder, 'peers'), schema)
  let search
  return {
    async add(vectors, ids) {
      for (let from = 0; from < ids.length; from += BATCH_ROWS) {
        const docs = Array.from(ids.subarray(from, from + BATCH_ROWS), (id, i) => {
          const start = (from + i) * dimensions
          return { id: String(id), vectors: { v: vectors.subarray(start, start + dimensions) } }
        })
        const failed = collection.insertSync(docs).find((status) => !status.ok)
        if (failed !== undefined) throw new Error(JSON.stringify(failed))
      }
      collection.optimizeSync({ concurrency: threads })
    },
    async reopen(query, k) {
      collection.closeSync()
      const start = performance.now()
      collection = zvec.ZVecOpen(join(folder, 'peers'))
      collection.querySync({ fieldName: 'v', topk: k, outputFields: [], vector: query })
      return performance.now() - start
    },
    setEf(ef, k) {
      const params = { indexType: ZVecIndexType.HNSW, ef }
      search = { fieldName: 'v', topk: k, outputFields: [], params }
    },
    prepare: (query) => query,
    search: (query) => collection.querySync({ ...search, vector: query }),
    ids: (docs) => docs.map(({ id }) => Number(id)),
    async close() {
      collection.closeSync()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
