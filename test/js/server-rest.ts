// REST under the interface of a database: messages of the contract as requests, and answers as
// messages. Only for tests: it shows that REST can say all that the interface can.
import type { OmenError } from 'omendb'
import { ERROR_CODES, OmenError as Fault } from 'omendb'
import { bytesOf, floatsOf } from '../../dist/lib/wire/bytes.js'
import { idOfMessage, idsOfMessage } from '../../dist/lib/wire/messages.js'
import * as wire from '../../dist/lib/wire/protocol.js'

interface Sent {
  deadline: { signal: AbortSignal; remainingMs: number; over(): OmenError | undefined }
  requestId?: string
  instance?: string
}

// biome-ignore lint/suspicious/noExplicitAny: JSON and messages of every kind.
type Any = any
type Request = [method: string, path: string, body?: unknown]
type Way = (message: Any) => [Request, (json: Any) => unknown]

const INCLUDES = ['metadata', 'metadata', 'vector', 'both', 'none']
const parsed = (text: string | undefined) => (text === undefined ? undefined : JSON.parse(text))
const idJson = (id: Any) => (typeof id === 'bigint' ? idOfBig(id) : id)
const idOfBig = (id: bigint) => (id <= 2n ** 53n - 1n ? Number(id) : { $int: String(id) })
const idsJson = (ids: Any) => Array.from(idsOfMessage(ids) ?? [], idJson)
const pathId = (id: Any) => encodeURIComponent(typeof id === 'string' ? `s:${id}` : `i:${id}`)
const at = (name: string, rest = '') => `/v1/collections/${encodeURIComponent(name)}${rest}`
const numbers = (bytes: Uint8Array) => Array.from(floatsOf(bytes, 'vector'))

/** Records of an answer as the message that native rows would have been. */
function rowsOf(records: Any[], isGet = false): wire.Rows {
  const found = records.map((r) => (r === null ? 0 : 1))
  const first = records.find((r) => r?.vector !== undefined)
  const dimensions = first?.vector.length ?? 0
  const vectors = new Float32Array(records.length * dimensions)
  records.forEach((r, i) => {
    if (r?.vector) vectors.set(r.vector, i * dimensions)
  })
  const json = {
    ...(isGet ? {} : { ids: records.map((r) => r.id) }),
    metadata: records.map((r) => r?.metadata ?? {}),
  }
  const rows = wire.create(wire.RowsSchema, {
    count: records.length,
    dimensions,
    json: JSON.stringify(json),
    hasDates: true,
    vectors: bytesOf(vectors),
    approximate: records.some((r) => r?.approximate === true),
  })
  if (isGet) rows.found = Uint8Array.from(found)
  else if (records.some((r) => r.distance !== undefined))
    rows.distances = bytesOf(Float32Array.from(records, (r) => r.distance))
  return rows
}

function searchBody(m: Any): Record<string, unknown> {
  const { k, ef, maxDistance, exact, filter } = m
  return { k, ef, maxDistance, exact, filter: parsed(filter) }
}

function batchRequest(m: Any): Request {
  const { collection, kind, batch, dimensions } = m
  const metadata = batch.metadata.map((t: string) => (t === '' ? null : JSON.parse(t)))
  const body = {
    ids: batch.ids === undefined ? undefined : idsJson(batch.ids),
    vectors: Buffer.from(batch.vectors).toString('base64'),
    dimensions: dimensions || undefined,
    metadata: metadata.length > 0 ? metadata : undefined,
  }
  return [kind === 1 ? 'PUT' : 'POST', at(collection, '/records'), body]
}

const isInteger = (id: unknown) => typeof id === 'number' || typeof id === 'object'
const big = (id: Any) => BigInt(typeof id === 'object' ? id.$int : id)

const WAYS: Record<string, Way> = {
  listCollections: () => [
    ['GET', '/v1/collections'],
    ({ collections }) => ({ names: collections }),
  ],
  openCollection: ({ name, mode, options }) => {
    const { $typeName: _, $unknown: __, schema, ...rest } = options ?? {}
    const body = { ...rest, schema: parsed(schema) }
    if (mode === 1) return [['POST', '/v1/collections', { name, ...body }], (json) => json]
    if (mode === 2) return [['GET', at(name)], (json) => json]
    return [['PUT', at(name), body], (json) => json]
  },
  dropCollection: ({ name }) => [['DELETE', at(name)], (json) => json],
  getCollectionStats: ({ collection }) => [['GET', at(collection)], statsOf],
  getDatabaseStats: () => [
    ['GET', '/v1/stats'],
    (json) => ({ ...json, collections: json.collections.map(statsOf) }),
  ],
  flush: () => [['POST', '/v1/flush'], () => ({})],
  check: () => [['GET', '/v1/check'], (reports) => ({ reports })],
  write: (m) => [
    batchRequest(m),
    ({ ids }) => ({
      rows: ids.length,
      firstGeneratedId: isInteger(ids[0]) ? big(ids[0]) : undefined,
    }),
  ],
  update: ({ collection, id, vector, metadata, unset }) => [
    [
      'PATCH',
      at(collection, `/records/${pathId(idOfMessage(id))}`),
      {
        vector: vector.length > 0 ? numbers(vector) : undefined,
        metadata: parsed(metadata),
        unset: unset.length > 0 ? unset : undefined,
      },
    ],
    () => ({}),
  ],
  delete: ({ collection, which }) => [
    [
      'DELETE',
      at(collection, '/records'),
      which.case === 'ids' ? { ids: idsJson(which.value) } : { filter: parsed(which.value) },
    ],
    (json) => json,
  ],
  clear: ({ collection }) => [['POST', at(collection, '/clear')], () => ({})],
  optimize: ({ collection }) => [['POST', at(collection, '/optimize')], () => ({})],
  get: ({ collection, ids, include }) => [
    ['POST', at(collection, '/records/get'), { ids: idsJson(ids), include: INCLUDES[include] }],
    ({ records }) => rowsOf(records, true),
  ],
  count: ({ collection, filter }) => [
    ['POST', at(collection, '/count'), { filter: parsed(filter) }],
    (json) => json,
  ],
  search: (m) => [
    [
      'POST',
      at(m.collection, '/search'),
      { vector: numbers(m.query), include: INCLUDES[m.include], ...searchBody(m) },
    ],
    ({ hits }) => rowsOf(hits),
  ],
  searchBatch: (m) => [
    [
      'POST',
      at(m.collection, '/search/batch'),
      { vectors: rowsList(m.queries, m.count), ...searchBody(m) },
    ],
    batchOf,
  ],
  explain: (m) => [
    ['POST', at(m.collection, '/explain'), { vector: numbers(m.query), ...searchBody(m) }],
    (json) => json,
  ],
  scroll: ({ collection, limit, cursor, filter, include }) => [
    [
      'POST',
      at(collection, '/records/scroll'),
      { limit, cursor, filter: parsed(filter), include: INCLUDES[include] },
    ],
    ({ records, next }) => ({ rows: rowsOf(records), next }),
  ],
}

function statsOf({ schema, nextId, ...json }: Any): unknown {
  const text = schema === undefined ? undefined : JSON.stringify(schema)
  return { ...json, nextId: big(nextId), ...(text === undefined ? {} : { schema: text }) }
}

function rowsList(bytes: Uint8Array, count: number): number[][] {
  const all = numbers(bytes)
  const size = all.length / count
  return Array.from({ length: count }, (_, i) => all.slice(i * size, (i + 1) * size))
}

function batchOf({ k, results, approximate = false }: Any): unknown {
  const distances = new Float32Array(results.length * k).fill(Number.NaN)
  const ids = new Array(results.length * k).fill(null)
  results.forEach((hits: Any[], i: number) => {
    hits.forEach(({ id, distance }, j) => {
      distances[i * k + j] = distance
      ids[i * k + j] = id
    })
  })
  const counts = Uint32Array.from(results, (hits: Any) => hits.length)
  const message = { k, counts: bytesOf(counts), distances: bytesOf(distances), approximate }
  if (ids.some((id) => typeof id === 'string' || (id !== null && typeof id === 'object')))
    return { ...message, json: JSON.stringify(ids) }
  const integers = BigUint64Array.from(ids, (id) => (id === null ? 2n ** 64n - 1n : BigInt(id)))
  return { ...message, ids: bytesOf(integers) }
}

/** Client's transport over REST. */
export class RestTransport {
  instance: string | undefined

  constructor(
    readonly url: string,
    readonly apiKey: string | undefined,
  ) {}

  async call(method: string, message: Any, { deadline, requestId, instance }: Sent) {
    const [[verb, path, body], read] = (WAYS[method] as Way)(message)
    const headers: Record<string, string> = {}
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (this.apiKey !== undefined) headers.authorization = `Bearer ${this.apiKey}`
    if (requestId !== undefined) headers['omendb-request-id'] = requestId
    if (instance !== undefined) headers['omendb-instance'] = instance
    const ms = Math.ceil(deadline.remainingMs)
    if (ms < 1e9) headers['omendb-timeout-ms'] = String(Math.max(0, ms))
    let response: Response
    let text: string
    try {
      const init = { method: verb, headers, signal: deadline.signal }
      response = await fetch(
        this.url + path,
        body === undefined ? init : { ...init, body: JSON.stringify(body) },
      )
      text = await response.text()
    } catch (error) {
      throw deadline.over() ?? error
    }
    this.instance = response.headers.get('omendb-instance') ?? this.instance
    if (response.ok) return read(text === '' ? undefined : JSON.parse(text))
    const { code, detail, row, path: where, id } = JSON.parse(text)
    if (!Object.hasOwn(ERROR_CODES, code)) throw new Error(text)
    const details = {
      ...(row === undefined ? {} : { row }),
      ...(where === undefined ? {} : { path: where }),
      ...(id === undefined ? {} : { id: typeof id === 'object' ? BigInt(id.$int) : id }),
    }
    throw new Fault(code, detail, { details })
  }

  /** REST has no streams of rows: all of them are one body. */
  async upload(_method: string, messages: () => Any, sent: Sent): Promise<unknown> {
    const begin = messages().message.value
    const batches: Any[] = []
    for (let m = messages(); m !== undefined; m = messages()) batches.push(m.message.value)
    const ids = batches.flatMap(({ ids }) => Array.from(idsOfMessage(ids) ?? []))
    const mixed = ids.map((id) => ({
      kind:
        typeof id === 'string'
          ? { case: 'text' as const, value: id }
          : { case: 'integer' as const, value: BigInt(id) },
    }))
    const batch = {
      ids: ids.length > 0 ? wire.create(wire.IdsSchema, { mixed }) : undefined,
      vectors: Buffer.concat(batches.map(({ vectors }) => vectors)),
      metadata: batches.flatMap(({ metadata }) => metadata),
    }
    return this.call('write', { ...begin, batch }, sent)
  }
}
