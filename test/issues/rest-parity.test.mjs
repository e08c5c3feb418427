// REST refuses what a DB refuses, under the same code and with the same row or path. It answered
// ERR_ARGUMENT to ids, vectors, metadata and filters of another shape, took null for no filter, and
// stored a vector whose list of metadata was empty.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB } from '../../dist/index.mjs'
import { createServer } from '../../dist/server.mjs'

const X = 'x'.repeat(600)
const V = [1, 2]
const nested = (levels, of) => (levels === 0 ? 1 : of(nested(levels - 1, of)))

/** Values as JSON has them, each where a call takes one. */
const IDS = [-1, 1.5, null, true, '', X, [], {}, 2 ** 53, 1e300, '\ud800']
const VECTORS = [null, 1, true, {}, [], [1], [1, 2, 3], [1, null], ['a', 2], [[1], 2], [0, 0]]
const METADATA = [1, 'x', true, [], [1]]
const KEYS = [{ 'a.b': 1 }, { $a: 1 }, { a: { $b: 1 } }, { a: [{ 'b.c': 1 }] }, { $date: 'x' }]
const DEEP = nested(70, (value) => ({ a: value }))
const FILTERS = [
  ...[null, 1, 'x', true, [], [1]],
  ...[{ a: { $foo: 1 } }, { a: [1] }, { a: { b: 1 } }, { $and: {} }, { $and: [1] }, { $or: [] }],
  ...[{ a: { $in: 1 } }, { a: { $in: [[1]] } }, { a: {} }, { '': 1 }, { $id: { $gte: [] } }],
  ...[{ a: { $date: 'x' } }, { $not: 1 }, { a: { $exists: 1 } }, { a: { $contains: {} } }],
  nested(40, (value) => ({ $not: value === 1 ? { a: 1 } : value })),
  { $or: Array.from({ length: 2000 }, () => ({ a: 1 })) },
]
const OPTIONS = [
  ...[{ dimensions: 0 }, { dimensions: 1.5 }, { dimensions: '2' }, { dimensions: 20_000 }],
  ...[{ metric: 'x' }, { metric: 1 }, { quantization: 'x' }, { layout: 'x' }, { m: 1 }, { m: 65 }],
  ...[{ efConstruction: 0 }, { efConstruction: 1e9 }, { keepVectors: 1 }, { unknown: 1 }],
  ...[{ schema: 1 }, { schema: [] }, { schema: { a: 'x' } }, { schema: { a: 1 } }],
  ...[{ schema: { 'a..b': 'string' } }, { schema: { a: { type: 'number', index: 1 } } }],
]
const SEARCH = [
  ...[{ k: 0 }, { k: 1.5 }, { k: -1 }, { k: 10_001 }, { k: 'x' }, { k: null }, { ef: 0 }],
  ...[{ ef: 10_001 }, { exact: 1 }, { maxDistance: 'x' }, { kk: 1 }, { include: 'x' }],
]

/** Each call: what it does to a DB, and the request that does the same. */
function* calls(hasRecords) {
  const records = (method, body, of) => ({ of, method, at: '/records', body })
  for (const [method, verb] of [
    ['add', 'POST'],
    ['upsert', 'PUT'],
  ]) {
    const store = (body) => records(verb, body, (c) => c[method](body))
    for (const id of IDS) {
      yield store({ ids: [id], vectors: [V] })
      yield store({ ids: [7, id], vectors: [V, V] })
    }
    for (const ids of ['x', 5, null, true, {}, [], [1, 2], [7, 7]])
      yield store({ ids, vectors: [V] })
    yield store({ ids: [7, 7], vectors: [V, V] })
    for (const vector of VECTORS) {
      yield store({ vectors: [vector] })
      yield store({ vectors: [V, vector] })
      yield store({ ids: [1, 7], vectors: [V, vector] })
    }
    for (const vectors of [null, 1, true, {}, [], [1, 2], [1, 2, 3], [1, null], [1, 2, 'x']]) {
      yield store({ vectors })
      yield store({ ids: [7], vectors })
    }
    for (const dimensions of [0, -1, 1.5, 'x', 3]) yield store({ vectors: [V], dimensions })
    for (const vectors of [[1, 2], [1, 2, 3], [[1, 2, 3]]]) {
      yield store({ ids: [7], vectors, dimensions: 3 })
    }
    yield store({ ids: [7], vectors: [V], unknown: 1 })
    for (const one of [...METADATA, ...KEYS, DEEP, { a: 'x'.repeat(2 ** 20) }]) {
      yield store({ vectors: [V], metadata: [one] })
      yield store({ vectors: [V, V], metadata: [{}, one] })
    }
    for (const metadata of [null, 1, 'x', {}, [], [{}, {}]]) yield store({ vectors: [V], metadata })
    yield store({ vectors: [], metadata: [{}] })
  }
  yield records('POST', { ids: [1], vectors: [V] }, (c) => c.add({ ids: [1], vectors: [V] }))

  const change = (id, body) => {
    const at = `/records/${typeof id === 'string' ? `s:${id}` : `i:${id}`}`
    return { of: (c) => c.update(id, body), method: 'PATCH', at, body }
  }
  for (const vector of VECTORS) yield change(1, { vector })
  for (const metadata of [null, ...METADATA]) yield change(1, { metadata })
  // Where there is no such record either, each tells the other fault first.
  if (hasRecords) for (const metadata of [...KEYS, DEEP]) yield change(1, { metadata })
  for (const unset of [null, 1, 'x', [1], ['a.b'], {}]) yield change(1, { unset })
  for (const body of [{}, { unknown: 1 }, [], { vector: V, unknown: 1 }]) yield change(1, body)
  yield change(99, { metadata: {} })
  yield change(X, { metadata: {} })

  for (const id of IDS) {
    const ids = [1, id]
    yield { of: (c) => c.get(ids), method: 'POST', at: '/records/get', body: { ids } }
    yield records('DELETE', { ids }, (c) => c.delete(ids))
  }
  for (const include of ['x', 1, null, true]) {
    const body = { ids: [1], include }
    yield { of: (c) => c.get([1], { include }), method: 'POST', at: '/records/get', body }
  }
  for (const filter of [{}, ...FILTERS]) {
    yield records('DELETE', { filter }, (c) => c.delete({ filter }))
  }
  for (const filter of FILTERS) {
    yield { of: (c) => c.count(filter), method: 'POST', at: '/count', body: { filter } }
    const page = { limit: 10, filter }
    yield { of: (c) => c.scroll(page), method: 'POST', at: '/records/scroll', body: page }
    const options = { filter }
    const vector = { vector: V, filter }
    yield { of: (c) => c.search(V, options), method: 'POST', at: '/search', body: vector }
    yield { of: (c) => c.explain(V, options), method: 'POST', at: '/explain', body: vector }
    const vectors = { vectors: [V], filter }
    yield {
      of: (c) => c.searchBatch([V], options),
      method: 'POST',
      at: '/search/batch',
      body: vectors,
    }
  }
  for (const page of [{}, { limit: 0 }, { limit: 1.5 }, { limit: 1e5 }, { limit: 'x' }]) {
    yield { of: (c) => c.scroll(page), method: 'POST', at: '/records/scroll', body: page }
  }
  for (const cursor of ['zzz', 1, null, '']) {
    const page = { limit: 1, cursor }
    yield { of: (c) => c.scroll(page), method: 'POST', at: '/records/scroll', body: page }
  }
  for (const vector of VECTORS) {
    yield { of: (c) => c.search(vector), method: 'POST', at: '/search', body: { vector } }
    yield { of: (c) => c.explain(vector), method: 'POST', at: '/explain', body: { vector } }
    const vectors = [V, vector]
    yield {
      of: (c) => c.searchBatch(vectors),
      method: 'POST',
      at: '/search/batch',
      body: { vectors },
    }
  }
  for (const vectors of [null, 1, true, {}, [1, 2, 3], [1, null]]) {
    yield {
      of: (c) => c.searchBatch(vectors),
      method: 'POST',
      at: '/search/batch',
      body: { vectors },
    }
  }
  for (const options of SEARCH) {
    const body = { vector: V, ...options }
    yield { of: (c) => c.search(V, options), method: 'POST', at: '/search', body }
    yield { of: (c) => c.explain(V, options), method: 'POST', at: '/explain', body }
    if (options.include !== undefined) continue
    const none = { vectors: [], ...options }
    yield { of: (c) => c.searchBatch([], options), method: 'POST', at: '/search/batch', body: none }
    const batch = { vectors: [V], ...options }
    yield {
      of: (c) => c.searchBatch([V], options),
      method: 'POST',
      at: '/search/batch',
      body: batch,
    }
  }
  const include = { vector: V, include: 'none' }
  const explained = (c) => c.explain(V, { include: 'none' })
  yield { of: explained, method: 'POST', at: '/explain', body: include }
  for (const options of OPTIONS) {
    yield {
      of: (_, db) => db.collection('other', options),
      method: 'PUT',
      other: 'other',
      body: options,
    }
  }
  for (const name of ['a b', 'ä', 'x'.repeat(65), 'a.b']) {
    yield {
      of: (_, db) => db.collection(name),
      method: 'PUT',
      other: encodeURIComponent(name),
      body: {},
    }
  }
}

async function ofDb({ of }, state) {
  const db = new DB()
  const c = await db.collection('c', state.options)
  try {
    if (state.records !== undefined) await c.add(state.records)
    await of(c, db)
    return { code: 'OK' }
  } catch ({ code, details }) {
    const { row, path } = details ?? {}
    return { code, row, path }
  } finally {
    await db.close()
  }
}

async function ofRest(url, { method, at = '', other, body }, state) {
  const send = (method, path, body) =>
    fetch(`${url}/v1/collections${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  await send('DELETE', '/other')
  await send('DELETE', '/c')
  await send('PUT', '/c', state.options)
  if (state.records !== undefined) await send('POST', '/c/records', state.records)
  const response = await send(method, other === undefined ? `/c${at}` : `/${other}`, body)
  const text = await response.text()
  if (response.ok) return { code: 'OK' }
  const { code, row, path, status } = JSON.parse(text)
  assert.equal(status, response.status)
  return { code, row, path }
}

const STATES = {
  empty: { options: {} },
  'of two dimensions': { options: { metric: 'cosine' }, records: { ids: [1], vectors: [[1, 0]] } },
}

// JSON has no undefined: `null` says that a record of a batch has no metadata.
for (const [name, state] of Object.entries(STATES)) {
  test(`bad calls have one code over REST and of a DB: ${name}`, async (t) => {
    const limits = { jsonDepth: 200 }
    const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent', limits })
    t.after(() => server.close())
    const differing = []
    let count = 0
    for (const call of calls(state.records !== undefined)) {
      const [wanted, found] = [await ofDb(call, state), await ofRest(server.url, call, state)]
      count++
      const body = JSON.stringify(call.body).slice(0, 100)
      const what = `${call.method} ${call.other ?? call.at} ${body}`
      // Of an argument the path is its key in the body; one into great depth is cut off.
      if (wanted.code === 'ERR_ARGUMENT' || wanted.path?.length > 100) {
        delete found.path
        delete wanted.path
      }
      try {
        assert.deepEqual(JSON.stringify(found), JSON.stringify(wanted))
      } catch {
        const of = JSON.stringify(wanted)
        differing.push(`${what}: ${JSON.stringify(found)}, of a DB ${of}`)
      }
    }
    assert.deepEqual(differing, [])
    assert.ok(count > 300, String(count))
  })
}
