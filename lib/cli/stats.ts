/** `omendb stats`: what a database holds, and what that takes. */

import type { CollectionStats, DatabaseStats } from '../../types/stats.js'
import type { Call } from './arguments.js'
import { EXIT } from './exit.js'
import { openDatabase } from './open.js'
import { print } from './output.js'
import { counted, table } from './table.js'
import { idToJson } from './wire.js'

export async function stats(call: Call): Promise<number> {
  const db = await openDatabase(call.path, call, { readOnly: true })
  let found: DatabaseStats
  try {
    found = await db.stats()
  } finally {
    await db.close()
  }
  if (call.json) {
    const collections = found.collections.map((c) => ({ ...c, nextId: idToJson(c.nextId) }))
    await print(`${JSON.stringify({ path: call.path, ...found, collections })}\n`)
  } else await print(describe(call.path, found))
  return EXIT.ok
}

const HEAD = [
  'collection',
  'records',
  'dimensions',
  'metric',
  'quantization',
  'fields',
  'deleted',
  'MB',
]

function describe(where: string, found: DatabaseStats): string {
  const rows = found.collections.map((c) => [
    c.name,
    c.count,
    c.dimensions,
    c.metric,
    codes(c),
    c.indexedFields,
    c.deleted,
    Number((c.bytes.total / 1e6).toFixed(1)),
  ])
  const count = counted(rows.length, 'collection')
  const memory = `${(found.bytes / 1e6).toFixed(1)} MB in memory`
  const text = rows.length === 0 ? '' : table(HEAD, rows)
  const machine = `${found.simd}, ${counted(found.threads, 'thread')}`
  return `${text}${where}: ${count}, ${memory}; ${machine}.\n`
}

/** Small collections have no codes yet. */
function codes({ quantization, trained }: CollectionStats): string {
  return quantization === 'none' || trained ? quantization : `${quantization}, not yet`
}
