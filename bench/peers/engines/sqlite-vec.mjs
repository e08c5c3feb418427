// sqlite-vec: an exact scan inside SQLite, in memory; the yardstick of "no index at all".

import { createRequire } from 'node:module'
import { versionOf } from './version.mjs'

const require = createRequire(import.meta.url)

export function about() {
  const sqlite = versionOf('better-sqlite3')
  return {
    version: versionOf('sqlite-vec'),
    build: `the prebuilt extension in the package, better-sqlite3 ${sqlite}`,
    parameters: 'float32, vec0 table in memory, exact scan',
  }
}

export async function open({ dimensions, metric }) {
  const Database = require('better-sqlite3')
  const db = new Database(':memory:')
  require('sqlite-vec').load(db)
  const distance = metric === 'l2' ? 'L2' : 'cosine'
  db.exec(`create virtual table t using vec0(v float[${dimensions}] distance_metric=${distance})`)
  const insert = db.prepare('insert into t(rowid, v) values (?, ?)')
  const select = db.prepare('select rowid as id from t where v match ? and k = ?')
  let hits
  return {
    async add(vectors, ids) {
      db.transaction(() => {
        for (let row = 0; row < ids.length; ++row) {
          const from = row * dimensions
          insert.run(BigInt(ids[row]), vectors.subarray(from, from + dimensions))
        }
      })()
    },
    setEf(_ef, k) {
      hits = k
    },
    prepare: (query) => query.slice(),
    search: (query) => select.all(query, hits),
    ids: (rows) => rows.map(({ id }) => id),
    async close() {
      db.close()
    },
  }
}
