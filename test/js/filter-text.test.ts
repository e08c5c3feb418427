// Filters as JSON text, without the addon: only what JSON cannot carry is judged there.
import assert from 'node:assert/strict'
import test from 'node:test'
import { filterToJson, isEmptyFilter } from '../../dist/lib/filter.js'
import { refused } from './support.js'

test('filters become JSON', () => {
  const cases: [unknown, string | undefined][] = [
    [undefined, undefined],
    [{}, '{}'],
    [{ year: { $gte: 1999 }, genres: 'sf' }, '{"year":{"$gte":1999},"genres":"sf"}'],
    [{ at: new Date(0) }, '{"at":{"$date":"1970-01-01T00:00:00.000Z"}}'],
    [
      { $id: { $in: [1, 'a', 2n, 2n ** 60n] } },
      '{"$id":{"$in":[1,"a",2,{"$int":"1152921504606846976"}]}}',
    ],
    [{ $id: new BigUint64Array([5n]) }, '{"$id":[5]}'],
    [{ $or: [{ a: null }, { $not: { b: true } }] }, '{"$or":[{"a":null},{"$not":{"b":true}}]}'],
    [{ 'a"b': '\u2028' }, '{"a\\"b":"\u2028"}'],
    [JSON.parse('{"__proto__":1}'), '{"__proto__":1}'],
  ]
  for (const [filter, text] of cases) assert.equal(filterToJson(filter), text)
})

test('what is no operand is refused with its path', async () => {
  const circular: Record<string, unknown> = {}
  circular.$not = circular
  const cases: [unknown, string | undefined][] = [
    [{ year: undefined }, 'year'],
    [{ year: { $gte: undefined } }, 'year.$gte'],
    [{ $and: [{ a: 1 }, { b: { $in: [1, undefined] } }] }, '$and[1].b.$in[1]'],
    [{ a: Number.NaN }, 'a'],
    [{ a: new Date(Number.NaN) }, 'a'],
    [{ a: 1n }, 'a'],
    [{ $id: -1n }, '$id'],
    [{ $id: 2n ** 64n }, '$id'],
    [{ a: () => 1 }, 'a'],
    [{ a: { $in: new Map() } }, 'a.$in'],
    [{ a: { $in: new Array(65_537).fill(1) } }, 'a.$in'],
  ]
  for (const [filter, path] of cases) {
    await refused(() => filterToJson(filter), 'ERR_FILTER', { path: path as string })
  }
  for (const filter of [null, 1, 'a', [], () => 1]) {
    await refused(() => filterToJson(filter), 'ERR_FILTER', {})
  }
  const error = await refused(() => filterToJson(circular), 'ERR_FILTER')
  assert.ok(error.message.length < 400)
})

test('an empty filter is known for what it is', () => {
  assert.ok(isEmptyFilter({}) && isEmptyFilter(undefined))
  assert.ok(!isEmptyFilter({ a: 1 }) && !isEmptyFilter({ a: undefined }))
})
