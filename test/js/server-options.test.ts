// Each option of the server has three spellings, flag, variable and key of a file, which mean the
// same; flags win over variables, and these over the file. docs/server.md and the help tell each
// with its default, and no other.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { directory } from './server-support.js'

interface Spelling {
  path: string
  flag: string
  variable: string
  kind: 'text' | 'number' | 'flag' | 'list' | 'port' | 'switch'
  help: string
}
type Env = Record<string, string>

const { SPELLINGS, readCommand } = require('../../dist/lib/server/core.js') as {
  SPELLINGS: Spelling[]
  readCommand: (args: string[], env: Env) => Record<string, unknown> | string
}

/** What is given, as text and as it is in a file; two of each. */
const GIVEN: Record<Spelling['kind'], [text: string, value: unknown][]> = {
  text: [
    ['x', 'x'],
    ['y', 'y'],
  ],
  number: [
    ['7', 7],
    ['8', 8],
  ],
  flag: [
    ['true', true],
    ['false', false],
  ],
  list: [
    ['a,b', ['a', 'b']],
    ['c', ['c']],
  ],
  port: [
    ['none', false],
    ['9', 9],
  ],
  switch: [
    ['false', false],
    ['true', true],
  ],
}

/** The options with one of them. */
function optionsOf(where: string, value: unknown): Record<string, unknown> {
  const [first, second] = where.split('.') as [string, string | undefined]
  return { [first]: second === undefined ? value : { [second]: value } }
}

function flagOf({ flag, kind }: Spelling, text: string): string[] {
  return kind === 'flag' ? [`--${flag}`] : [`--${flag}=${text}`]
}

test('flag, variable and key of a file mean the same, and win in this order', (t) => {
  const file = path.join(directory(t), 'options.json')
  const config = ['--config', file]
  for (const spelling of SPELLINGS) {
    const { path: where, variable, kind } = spelling
    const [[text, value], [otherText, other]] = GIVEN[kind] as [
      [string, unknown],
      [string, unknown],
    ]
    const expected = optionsOf(where, value)
    assert.deepEqual(readCommand(flagOf(spelling, text), {}), expected, where)
    assert.deepEqual(readCommand([], { [variable]: text }), expected, variable)
    writeFileSync(file, JSON.stringify(expected))
    assert.deepEqual(readCommand(config, {}), expected, where)
    assert.deepEqual(readCommand([], { OMENDB_CONFIG: file }), expected, where)
    writeFileSync(file, JSON.stringify(optionsOf(where, other)))
    assert.deepEqual(readCommand(config, { [variable]: text }), expected, variable)
    const all = [...config, ...flagOf(spelling, text)]
    assert.deepEqual(readCommand(all, { [variable]: otherText }), expected, where)
  }
  // What the file has beside it stays, within one group as well.
  writeFileSync(file, JSON.stringify({ port: 1, limits: { k: 2, ef: 3 } }))
  const mixed = readCommand([...config, '--limit-k=5'], { OMENDB_HOST: '::1' })
  assert.deepEqual(mixed, { port: 1, host: '::1', limits: { k: 5, ef: 3 } })
})

test('lists may be given again and again, or with commas', () => {
  const keys = ['--api-key', 'a,b', '--api-key', 'c', '--cors-origin=x', '--cors-origin=y']
  const expected = { apiKeys: { readWrite: ['a', 'b', 'c'] }, corsOrigins: ['x', 'y'] }
  assert.deepEqual(readCommand(keys, {}), expected)
})

const UNITS: Record<string, number> = { MiB: 2 ** 20, GiB: 2 ** 30 }

/** `1 000 000`, `32 MiB`. */
function numberOf(text: string): number {
  const [, digits = '', unit = ''] = /^([\d ]+?) ?(MiB|GiB)?$/.exec(text) ?? []
  return Number(digits.replaceAll(' ', '')) * (UNITS[unit] ?? 1)
}

test('docs/server.md and the help tell every option with its default, and no other', () => {
  const page = readFileSync(path.resolve(__dirname, '../../docs/server.md'), 'utf8')
  const named = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)
  const rows = [...page.matchAll(/^\| (`[a-z][^|]*`) \| (`--[^|]*`) \| ([^|]*) \|/gm)]
  const told = rows.flatMap(([, keys = '', flags = '', otherwise = '']) => {
    const names = named(flags)
    return named(keys).map((key, i) => ({ key, flag: names[i], otherwise: otherwise.trim() }))
  })
  const right = SPELLINGS.map(({ path: key, flag }) => ({ key, flag: `--${flag}` }))
  assert.deepEqual(
    told.map(({ key, flag }) => ({ key, flag })),
    right,
  )
  const help = readCommand(['--help'], {}) as string
  for (const [i, { flag, path: key, help: words }] of SPELLINGS.entries()) {
    assert.match(help, new RegExp(`^ {6}--${flag} `, 'm'))
    if (!key.startsWith('limits.')) continue
    const [, otherwise] = /^\((\d+)\)$/.exec(words) ?? []
    assert.equal(numberOf(told[i]?.otherwise ?? ''), Number(otherwise), key)
  }
})
