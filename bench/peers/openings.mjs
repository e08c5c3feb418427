// How each engine stores an index in a folder, and opens it to its first answer: for open.mjs.
//
// save() gets the rows, with their numbers as ids; open() resolves to a function from a query to
// the ids of its k nearest. What is opened is warm: the files are in the system's cache.

import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const BATCH = 1000

const metadataOf = (id) => ({ year: 1950 + (id % 70), kind: `k${id % 9}` })

const omendb = (residency) => ({
  holds: 'with two fields of metadata',
  folder: 'omendb',
  async save({ base, count, dimensions }, folder) {
    const { DB } = await import('../../dist/index.mjs')
    const db = await DB.open(folder, { metric: 'l2', dimensions, durability: 'os' })
    for (let at = 0; at < count; at += 20 * BATCH) {
      const n = Math.min(20 * BATCH, count - at)
      const ids = Float64Array.from({ length: n }, (_, i) => at + i)
      const vectors = base.subarray(at * dimensions, (at + n) * dimensions)
      await db.upsert({ ids, vectors, metadata: Array.from(ids, metadataOf) })
    }
    await db.close()
  },
  async load() {
    const { DB } = await import('../../dist/index.mjs')
    await new DB().close() // Loads the binary, as making an index does for the others.
    return async (folder) => {
      const db = await DB.open(folder, { residency })
      return async (query, k) => (await db.search(query, { k })).map(({ id }) => id)
    }
  },
})

const usearch = (verb) => ({
  holds: 'vectors alone',
  folder: 'usearch',
  make({ dimensions }) {
    const { Index } = require('usearch')
    return new Index({ dimensions, metric: 'l2sq', quantization: 'f32', connectivity: 16 })
  },
  async save(set, folder) {
    const index = this.make(set)
    const ids = BigUint64Array.from({ length: set.count }, (_, i) => BigInt(i))
    index.add(ids, set.base.subarray(0, set.count * set.dimensions), 2)
    index.save(join(folder, 'index'))
  },
  async load(set) {
    const index = this.make(set)
    return async (folder) => {
      index[verb](join(folder, 'index'))
      return async (query, k) => Array.from(index.search(query, k, 1).keys, Number)
    }
  },
})

const hnswlib = {
  holds: 'vectors alone',
  folder: 'hnswlib',
  async save({ base, count, dimensions }, folder) {
    const { HierarchicalNSW } = require('hnswlib-node')
    const index = new HierarchicalNSW('l2', dimensions)
    index.initIndex({ maxElements: count, m: 16, efConstruction: 128, randomSeed: 100 })
    for (let row = 0; row < count; ++row) {
      index.addPoint(Array.from(base.subarray(row * dimensions, (row + 1) * dimensions)), row)
    }
    index.writeIndexSync(join(folder, 'index'))
  },
  async load({ dimensions }) {
    const { HierarchicalNSW } = require('hnswlib-node')
    const index = new HierarchicalNSW('l2', dimensions)
    return async (folder) => {
      index.readIndexSync(join(folder, 'index'))
      index.setEf(64)
      return async (query, k) => index.searchKnn(Array.from(query), k).neighbors
    }
  },
}

const zvec = {
  holds: 'vectors alone',
  folder: 'zvec',
  async save({ base, count, dimensions }, folder) {
    const library = require('@zvec/zvec')
    const { ZVecMetricType, ZVecIndexType, ZVecDataType } = library
    library.ZVecInitialize({ queryThreads: 1, optimizeThreads: 2 })
    const indexType = ZVecIndexType.HNSW
    const indexParams = { indexType, metricType: ZVecMetricType.L2, m: 16, efConstruction: 128 }
    const dataType = ZVecDataType.VECTOR_FP32
    const vectors = { name: 'v', dataType, dimension: dimensions, indexParams }
    const schema = new library.ZVecCollectionSchema({ name: 'peers', vectors })
    const collection = library.ZVecCreateAndOpen(join(folder, 'peers'), schema)
    for (let at = 0; at < count; at += BATCH) {
      const docs = Array.from({ length: Math.min(BATCH, count - at) }, (_, i) => {
        const v = base.subarray((at + i) * dimensions, (at + i + 1) * dimensions)
        return { id: String(at + i), vectors: { v } }
      })
      const failed = collection.insertSync(docs).find((status) => !status.ok)
      if (failed !== undefined) throw new Error(JSON.stringify(failed))
    }
    collection.optimizeSync({ concurrency: 2 })
    collection.closeSync()
  },
  async load() {
    const library = require('@zvec/zvec')
    library.ZVecInitialize({ queryThreads: 1, optimizeThreads: 2 })
    return async (folder) => {
      const collection = library.ZVecOpen(join(folder, 'peers'))
      return async (vector, topk) =>
        collection
          .querySync({ fieldName: 'v', topk, outputFields: [], vector })
          .map(({ id }) => Number(id))
    }
  },
}

const lancedb = {
  holds: 'with two fields of metadata; an IVF_HNSW_SQ index',
  folder: 'lancedb',
  async save({ base, count, dimensions }, folder) {
    const library = await import('@lancedb/lancedb')
    const db = await library.connect(folder)
    const rows = (at) =>
      Array.from({ length: Math.min(20 * BATCH, count - at) }, (_, i) => ({
        id: at + i,
        vector: Array.from(base.subarray((at + i) * dimensions, (at + i + 1) * dimensions)),
        ...metadataOf(at + i),
      }))
    const table = await db.createTable('peers', rows(0))
    for (let at = 20 * BATCH; at < count; at += 20 * BATCH) await table.add(rows(at))
    await table.createIndex('vector', { config: library.Index.hnswSq({ distanceType: 'l2' }) })
    await table.waitForIndex(['vector_idx'], 600)
  },
  async load() {
    const library = await import('@lancedb/lancedb')
    return async (folder) => {
      const db = await library.connect(folder)
      const table = await db.openTable('peers')
      return async (query, k) =>
        (await table.search(Array.from(query)).ef(64).limit(k).select(['id']).toArray()).map((r) =>
          Number(r.id),
        )
    }
  },
}

export const OPENINGS = {
  'omendb mapped': omendb('mapped'),
  'omendb memory': omendb('memory'),
  'usearch view': usearch('view'),
  'usearch load': usearch('load'),
  'hnswlib-node': hnswlib,
  zvec,
  lancedb,
}
