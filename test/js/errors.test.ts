// One table of error codes: C++, TypeScript and the page for users say the same.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { ERROR_CODES, OmenError } from 'omendb'
import { errorFromNative } from '../../dist/lib/errors.js'

const root = path.resolve(__dirname, '../..')
const table = readFileSync(path.join(root, 'csrc/base/error_codes.def'), 'utf8')
const entries = [...table.matchAll(/^X\(\w+, "(\w+)", (\d+), (\d+), "(.*)"\)$/gm)].map((m) => ({
  code: m[1] as string,
  httpStatus: Number(m[2]),
  grpcStatus: Number(m[3]),
  advice: m[4] as string,
}))

test('lib/errors.ts has exactly the table of the engine', () => {
  assert.ok(entries.length >= 29)
  const expected = Object.fromEntries(entries.map(({ code, ...info }) => [code, info]))
  assert.deepEqual({ ...ERROR_CODES }, expected)
})

// Every code is explained, in the order of the table, with its numbers and its advice.
test('docs/errors.md has exactly the table of the engine', () => {
  const page = readFileSync(path.join(root, 'docs/errors.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `(ERR_\w+)` \| (\d+) \| (\d+) \| (.*) \|$/gm)].map((m) => ({
    code: m[1],
    httpStatus: Number(m[2]),
    grpcStatus: Number(m[3]),
    advice: m[4],
  }))
  assert.deepEqual(rows, entries)
})

test('an OmenError is an Error with code, details and cause', () => {
  const cause = new Error('why')
  const error = new OmenError('ERR_ID', 'bad', { details: { row: 7, id: 'a' }, cause })
  assert.ok(error instanceof Error)
  assert.equal(error.name, 'OmenError')
  assert.equal(error.message, 'bad')
  assert.deepEqual(error.details, { row: 7, id: 'a' })
  assert.equal(error.cause, cause)
  assert.match(String(error.stack), /^OmenError: bad/)
  assert.equal('cause' in new OmenError('ERR_ID', 'bad'), false)
})

// The message always names the row and the path, whoever wrote it.
test('errors of the addon name row, path and id', () => {
  const error = errorFromNative(
    'ERR_DUPLICATE',
    'given twice',
    7,
    'a.b',
    '{"$int":"18446744073709551615"}',
  )
  assert.deepEqual(error.details, { row: 7, path: 'a.b', id: 2n ** 64n - 1n })
  assert.match(error.message, /row 7/)
  assert.match(error.message, /a\.b/)
  assert.equal(errorFromNative('ERR_STRANGE', 'x').code, 'ERR_NATIVE')
})
