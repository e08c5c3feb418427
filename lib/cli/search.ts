/** `omendb search`: the nearest records to a stored one, to a vector, or to each of a file. */

import type { LocalCollection } from '../../types/collection.js'
import type { Filter } from '../../types/filter.js'
import type { Hit } from '../../types/records.js'
import type { Id } from '../../types/values.js'
import { OmenError } from '../errors.js'
import type { Call } from './arguments.js'
import { EXIT, UsageError } from './exit.js'
import { FORMATS } from './formats/format.js'
import { chooseFormat, openSource } from './formats/index.js'
import { Columns } from './import/columns.js'
import { openDatabase } from './open.js'
import { print } from './output.js'
import { type Cell, table } from './table.js'
import { idFromArgument, idToJson, toJson } from './wire.js'

const INCLUDES = ['metadata', 'vector', 'none', 'metadata,vector'] as const
const METADATA_SHOWN = 120
const DIMENSIONS_SHOWN = 6

interface Query {
  vector: Float32Array
  /** The record that it is the vector of, which is no hit of its own. */
  self?: Id
}

type FoundHit = Hit<Record<string, unknown>, 'metadata'> & { vector?: Float32Array }

export async function search(call: Call): Promise<number> {
  const given = ['id', 'vector', 'vectors'].filter((name) => call.text(name) !== undefined)
  if (given.length !== 1) {
    throw new UsageError('search needs one of --id ID, --vector JSON and --vectors FILE')
  }
  const k = call.integer('k', 1, 10_000) ?? 10
  const include = call.oneOf('include', INCLUDES) ?? 'metadata'
  const options = {
    ef: call.integer('ef', 1, 10_000),
    filter: call.parsed('filter') as Filter<Record<string, unknown>> | undefined,
    exact: call.flag('exact') ? true : undefined,
    include: (include === 'none' ? 'none' : include.split(',')) as 'metadata',
  }
  const vector = call.parsed('vector')
  const db = await openDatabase(call.path, call, { readOnly: true })
  try {
    const name = call.text('collection') ?? 'default'
    const collection = await db.collection(name, { createIfMissing: false })
    let number = 0
    for await (const query of queries(call, collection, vector)) {
      const wanted = query.self === undefined ? k : Math.min(10_000, k + 1)
      const found = await collection.search(query.vector, { ...options, k: wanted })
      const hits = found.filter((hit) => hit.id !== query.self).slice(0, k) as FoundHit[]
      await print(call.json ? asJson(number, hits) : asText(number, hits, given[0] === 'vectors'))
      number += 1
    }
  } finally {
    await db.close()
  }
  return EXIT.ok
}

async function* queries(
  call: Call,
  collection: LocalCollection,
  vector: unknown,
): AsyncGenerator<Query> {
  const text = call.text('id')
  if (text !== undefined) {
    const id = idFromArgument(text)
    const record = await collection.get(id, { include: 'vector' })
    if (record === undefined) {
      throw new OmenError('ERR_NOT_FOUND', `there is no record with the id ${JSON.stringify(text)}`)
    }
    yield { vector: record.vector, self: record.id }
    return
  }
  if (vector !== undefined) {
    if (!Array.isArray(vector) || !vector.every((v) => typeof v === 'number')) {
      throw new UsageError('--vector is a JSON list of numbers: --vector "[0.1, 0.2]"')
    }
    yield { vector: Float32Array.from(vector) }
    return
  }
  const file = call.required('vectors')
  const format = chooseFormat(file, call.oneOf('format', FORMATS))
  const { source } = await openSource(file, format)
  try {
    const columns = new Columns(source, { id: 'none', vector: undefined, metadata: 'none' })
    for await (const chunk of source.chunks(0)) {
      const { vectors, dimensions, count } = columns.map(chunk)
      for (let i = 0; i < count; i++) {
        yield { vector: vectors.slice(i * dimensions, (i + 1) * dimensions) }
      }
    }
  } finally {
    await source.close()
  }
}

function asJson(query: number, hits: FoundHit[]): string {
  const list = hits.map(({ id, distance, metadata, vector }) => {
    const parts = [`"id":${JSON.stringify(idToJson(id))}`, `"distance":${distance}`]
    if (metadata !== undefined) parts.push(`"metadata":${toJson(metadata)}`)
    if (vector !== undefined) parts.push(`"vector":${JSON.stringify(Array.from(vector))}`)
    return `{${parts.join(',')}}`
  })
  return `{"query":${query},"hits":[${list.join(',')}]}\n`
}

function asText(query: number, hits: FoundHit[], isOneOfMany: boolean): string {
  const head = isOneOfMany ? `query ${query}\n` : ''
  if (hits.length === 0) return `${head}no record matches\n`
  const [first] = hits as [FoundHit]
  const names = ['id', 'distance']
  if (first.metadata !== undefined) names.push('metadata')
  if (first.vector !== undefined) names.push('vector')
  const rows = hits.map(({ id, distance, metadata, vector }) => {
    const row: Cell[] = [typeof id === 'string' ? id : String(id), distance.toPrecision(6)]
    if (metadata !== undefined) row.push(shortened(toJson(metadata)))
    if (vector !== undefined) row.push(shownVector(vector))
    return row
  })
  return head + table(names, rows)
}

function shortened(text: string): string {
  return text.length > METADATA_SHOWN ? `${text.slice(0, METADATA_SHOWN)}...` : text
}

function shownVector(vector: Float32Array): string {
  const shown = Array.from(vector.subarray(0, DIMENSIONS_SHOWN), (v) => v.toPrecision(4))
  return `[${shown.join(', ')}${vector.length > DIMENSIONS_SHOWN ? ', ...' : ''}]`
}
