// A database as anyone would write it in an afternoon: a Map, a loop over all vectors, and the
// meaning of filters taken word for word from docs/filters.md. What the engine is compared with.
import type { Filter, Id, Metadata } from 'omendb'

export interface ModelRecord {
  id: Id
  vector: number[]
  metadata: Metadata
  /** Ties of distance go by it: the record's first insertion. */
  order: number
}

const MISSING = Symbol('missing')

function valueAt(metadata: Metadata, path: string): unknown {
  let value: unknown = metadata
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return MISSING
    if (value instanceof Date || !Object.hasOwn(value, key)) return MISSING
    value = (value as Metadata)[key]
  }
  return value
}

const comparable = (a: unknown): unknown => (a instanceof Date ? a.getTime() : a)
const typeOf = (a: unknown): string => (a instanceof Date ? 'date' : a === null ? 'null' : typeof a)
const equal = (a: unknown, b: unknown) => typeOf(a) === typeOf(b) && comparable(a) === comparable(b)

function codePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function order(a: unknown, b: unknown): number | undefined {
  if (typeOf(a) !== typeOf(b) || typeof a === 'boolean' || a === null) return undefined
  if (typeof a === 'string') return codePoints(a, b as string)
  return Number(comparable(a)) - Number(comparable(b))
}

function holds(operator: string, operand: unknown, value: unknown): boolean {
  if (operator === '$exists') return (value !== MISSING) === operand
  if (operator === '$ne') return !holds('$eq', operand, value)
  if (operator === '$nin') return !holds('$in', operand, value)
  if (operator === '$not') return !condition(operand, value)
  if (value === MISSING) return false
  if (operator === '$contains') {
    const wanted = Array.isArray(operand) ? operand : [operand]
    return Array.isArray(value) && wanted.every((w) => value.some((v) => equal(v, w)))
  }
  if (Array.isArray(value)) return value.some((v) => holds(operator, operand, v))
  if (operator === '$eq') return equal(value, operand)
  if (operator === '$in') return (operand as unknown[]).some((o) => equal(value, o))
  const sign = order(value, operand)
  if (sign === undefined) return false
  if (operator === '$gt') return sign > 0
  if (operator === '$gte') return sign >= 0
  return operator === '$lt' ? sign < 0 : sign <= 0
}

function condition(expected: unknown, value: unknown): boolean {
  if (typeof expected !== 'object' || expected === null || expected instanceof Date) {
    return holds('$eq', expected, value)
  }
  return Object.entries(expected).every(([operator, operand]) => holds(operator, operand, value))
}

export function matches(filter: Filter<Metadata> | undefined, record: ModelRecord): boolean {
  return Object.entries(filter ?? {}).every(([key, expected]) => {
    const list = expected as Filter<Metadata>[]
    if (key === '$and') return list.every((f) => matches(f, record))
    if (key === '$or') return list.some((f) => matches(f, record))
    if (key === '$not') return !matches(expected as Filter<Metadata>, record)
    return condition(expected, key === '$id' ? record.id : valueAt(record.metadata, key))
  })
}

export class Model {
  readonly records = new Map<Id, ModelRecord>()
  nextId = 0
  #order = 0

  put(id: Id | undefined, vector: number[], metadata: Metadata): Id {
    const key = id ?? this.nextId
    if (typeof key === 'number') this.nextId = Math.max(this.nextId, key + 1)
    const order = this.records.get(key)?.order ?? this.#order++
    this.records.set(key, { id: key, vector, metadata, order })
    return key
  }

  update(id: Id, vector: number[] | undefined, metadata: Metadata, unset: string[]): boolean {
    const old = this.records.get(id)
    if (old === undefined) return false
    const merged = { ...old.metadata, ...metadata }
    for (const key of unset) delete merged[key]
    old.metadata = merged
    if (vector !== undefined) old.vector = vector
    return true
  }

  select(filter?: Filter<Metadata>): ModelRecord[] {
    return [...this.records.values()].filter((record) => matches(filter, record))
  }

  /** All that match, nearest first by squared distance. */
  search(query: number[], filter?: Filter<Metadata>): { id: Id; distance: number }[] {
    const scored = this.select(filter).map((record) => ({
      id: record.id,
      order: record.order,
      distance: record.vector.reduce((sum, x, i) => sum + (x - (query[i] as number)) ** 2, 0),
    }))
    scored.sort((a, b) => a.distance - b.distance || a.order - b.order)
    return scored.map(({ id, distance }) => ({ id, distance }))
  }
}
