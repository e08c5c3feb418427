// Metadata as text and back, without the addon.
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { metadataToJson, reviveDates } from '../../dist/lib/metadata.js'
import { refused } from './support.js'

const key = fc.string().filter((k) => !k.startsWith('$') && !k.includes('.'))
const scalar = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
  fc.date({ noInvalidDate: true }),
)
const { metadata } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, scalar, tie('list'), tie('metadata')),
  list: fc.array(tie('value'), { maxLength: 4 }),
  metadata: fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
}))

const back = (text: string) => reviveDates(JSON.parse(text))

// What goes in comes out, dates as dates; only -0 becomes 0, as in all JSON.
test('metadata reads back as it was', () => {
  fc.assert(
    fc.property(metadata, (value) => {
      const sign = (v: unknown) => (Object.is(v, -0) ? 0 : v)
      const plain = structuredClone(value)
      walk(plain, sign)
      assert.deepEqual(back(metadataToJson(value)), plain)
    }),
  )
})

function walk(value: unknown, map: (v: unknown) => unknown): void {
  if (typeof value !== 'object' || value === null || value instanceof Date) return
  const object = value as Record<string, unknown>
  for (const k of Object.keys(object)) {
    const descriptor = {
      value: map(object[k]),
      writable: true,
      enumerable: true,
      configurable: true,
    }
    Object.defineProperty(object, k, descriptor)
    walk(object[k], map)
  }
}

test('undefined properties are dropped, with and without dates', () => {
  assert.equal(metadataToJson({ a: undefined, b: 1 }), '{"b":1}')
  const day = new Date('2020-01-01')
  const text = '{"d":{"$date":"2020-01-01T00:00:00.000Z"},"n":{}}'
  assert.equal(metadataToJson({ a: undefined, d: day, n: { x: undefined } }), text)
})

// A property called __proto__ must neither be lost nor change a prototype.
test('__proto__ reads back as an own property', () => {
  for (const text of [
    '{"__proto__":{"a":1}}',
    '{"__proto__":{"$date":"2020-01-01T00:00:00.000Z"}}',
  ]) {
    const given = back(text) as object
    const read = back(metadataToJson(given)) as object
    assert.deepEqual(Object.keys(read), ['__proto__'])
    assert.equal(Object.getPrototypeOf(read), Object.prototype)
    assert.deepEqual(
      Object.getOwnPropertyDescriptor(read, '__proto__')?.value,
      Object.getOwnPropertyDescriptor(given, '__proto__')?.value,
    )
  }
})

test('instances of classes count as their own fields', () => {
  class Movie {
    title = 'a'
    get upper() {
      return 'A'
    }
  }
  assert.equal(metadataToJson(new Movie()), '{"title":"a"}')
  assert.equal(metadataToJson(Object.assign(Object.create(null), { a: 1 })), '{"a":1}')
})

// Everything that would read back as something else is refused, with the path of the fault.
test('what JSON cannot carry is refused', async () => {
  const circular: Record<string, unknown> = { a: {} }
  ;(circular.a as Record<string, unknown>).self = circular
  const cases: [unknown, string | undefined][] = [
    [{ a: Number.NaN }, 'a'],
    [{ a: { b: [1, Number.POSITIVE_INFINITY] } }, 'a.b[1]'],
    [{ a: 1n }, 'a'],
    [{ a: () => 1 }, 'a'],
    [{ a: Symbol('s') }, 'a'],
    [{ a: [undefined] }, 'a[0]'],
    [{ a: new Date(Number.NaN) }, 'a'],
    [{ a: new Map() }, 'a'],
    [{ a: [new Float32Array(2)] }, 'a[0]'],
    [{ a: /x/ }, 'a'],
    [{ a: new URL('http://a/') }, 'a'],
    [{ 'a.b': 1 }, 'a.b'],
    [{ a: { $b: 1 } }, 'a.$b'],
    [{ $date: '2020-01-01T00:00:00.000Z' }, '$date'],
  ]
  for (const [value, at] of cases) {
    await refused(
      () => metadataToJson(value, 7),
      'ERR_METADATA',
      { row: 7, path: at as string },
      /^row 7: /,
    )
  }
  for (const value of [null, 1, 'a', [], new Date(), new Map(), undefined, () => 1]) {
    await refused(() => metadataToJson(value), 'ERR_METADATA', {})
  }
  const error = await refused(() => metadataToJson(circular), 'ERR_METADATA')
  assert.match(error.message, /circular/)
  assert.ok(error.message.length < 400)
})
