// A process that writes to several collections until it is killed, and what must be there then.
//
// Operation n of a collection is told by its name and n alone, so that the process that writes, the
// one that looks after it was killed, and the model need to agree on nothing but numbers.
import type { Collection, DB, Filter, Id, Metadata } from 'omendb'
import { random } from './support.js'

export const NAMES = ['a', 'b', 'c']
export const IN_FLIGHT = 8

type Row = { metadata: Metadata; vector: number[] }
/** What a collection holds, by id. */
export type Rows = Map<string, Row>

interface Operation {
  kind: 'add' | 'upsert' | 'vector' | 'metadata' | 'delete' | 'filter' | 'clear'
  ids: string[]
  vectors: number[][]
  metadata: { n: number; of: number; text?: string }[]
}

const IDS = 60

/** Operation n of a collection. Those of one kind touch ids that others have made, or not. */
export function operationOf(name: string, n: number): Operation {
  const next = random((n + 1) * 7919 + name.charCodeAt(0) * 104_729)
  const below = (bound: number) => Math.floor(next() * bound)
  const draw = below(40)
  const kind =
    draw === 0
      ? 'clear'
      : draw < 12
        ? 'add'
        : draw < 24
          ? 'upsert'
          : draw < 28
            ? 'vector'
            : draw < 33
              ? 'metadata'
              : draw < 38
                ? 'delete'
                : 'filter'
  const isOne = kind === 'vector' || kind === 'metadata'
  const rows = isOne ? 1 : 1 + below(9)
  const first = below(IDS)
  const prefix = kind === 'add' ? `${n}-` : 'i' // Ids of an add are new.
  const ids = Array.from({ length: rows }, (_, i) => `${prefix}${(first + i) % IDS}`)
  const text = below(3) === 0 ? 'x'.repeat(below(300)) : undefined
  return {
    kind,
    ids,
    vectors: ids.map((_, i) => [n, i, below(100), 1]),
    metadata: ids.map(() => ({ n, of: n % 11, ...(text === undefined ? {} : { text }) })),
  }
}

const doomedBy = (operation: Operation) => (operation.metadata[0] as { of: number }).of

export async function write(collection: Collection, name: string, n: number): Promise<void> {
  const operation = operationOf(name, n)
  const { kind, ids, metadata } = operation
  const vectors = operation.vectors.map((v) => Float32Array.from(v))
  const absent = (error: { code?: string }) => {
    if (error.code !== 'ERR_NOT_FOUND') throw error
  }
  if (kind === 'add') await collection.add({ ids, vectors, metadata })
  if (kind === 'upsert') await collection.upsert({ ids, vectors, metadata })
  if (kind === 'vector')
    await collection.update(ids[0] as Id, { vector: vectors[0] as Float32Array }).catch(absent)
  if (kind === 'metadata') {
    const { n: changed, of } = metadata[0] as Metadata
    const given = { metadata: { n: changed, of } as Metadata, unset: ['text'] }
    await collection.update(ids[0] as Id, given).catch(absent)
  }
  if (kind === 'delete') await collection.delete(ids)
  if (kind === 'filter')
    await collection.delete({ filter: { of: doomedBy(operation) } as Filter<Metadata> })
  if (kind === 'clear') await collection.clear()
}

/** The same in a Map. Rows are replaced, never changed: a copy of the Map keeps what it was. */
export function apply(rows: Rows, name: string, n: number): void {
  const operation = operationOf(name, n)
  const { kind, ids, vectors, metadata } = operation
  ids.forEach((id, i) => {
    const old = rows.get(id)
    const vector = vectors[i] as number[]
    if (kind === 'add' || kind === 'upsert')
      rows.set(id, { vector, metadata: metadata[i] as Metadata })
    if (kind === 'vector' && old) rows.set(id, { ...old, vector })
    if (kind === 'metadata' && old) {
      const merged: Metadata = { ...old.metadata, ...metadata[i] }
      delete merged.text
      rows.set(id, { ...old, metadata: merged })
    }
    if (kind === 'delete') rows.delete(id)
  })
  if (kind === 'clear') rows.clear()
  if (kind !== 'filter') return
  for (const [id, row] of rows) if (row.metadata.of === doomedBy(operation)) rows.delete(id)
}

/** All that a user can read of a collection. */
export async function rowsOf(db: DB, name: string): Promise<Rows> {
  const rows: Rows = new Map()
  if (!(await db.listCollections()).includes(name)) return rows
  const collection = await db.collection(name, { createIfMissing: false })
  for await (const row of collection.records({ include: ['metadata', 'vector'] }))
    rows.set(String(row.id), { metadata: row.metadata as Metadata, vector: [...row.vector] })
  return rows
}
