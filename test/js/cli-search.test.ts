// omendb search, stats, bench and help: what they print, and that the pages say the same.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import test, { before } from 'node:test'
import { DB } from 'omendb'
import { done, fresh, fvecs, main, omendb, part, root } from './cli-support.js'
import { vectors } from './support.js'

const rows = vectors(300, 8)
const where = fresh()
before(async () => {
  const db = await DB.open(where, { metric: 'l2' })
  await db.add({
    ids: rows.map((_, i) => i),
    vectors: rows,
    metadata: rows.map((_, i) => ({ i, even: i % 2 === 0, at: new Date(i) })),
  })
  const named = await db.collection('named', { metric: 'l2' })
  await named.add({ ids: ['7', 7, 2n ** 60n], vectors: rows.slice(0, 3) })
  await db.close()
})

test('search by id, by vector and by a file agrees with the database', async () => {
  const db = await DB.open(where, { readOnly: true })
  const plain = async (i: number, options = {}) =>
    (await db.search(rows[i], { k: 4, ...options })).map(({ id, distance }) => ({ id, distance }))
  const hitsOf = (line: string) =>
    JSON.parse(line).hits.map(({ id, distance }: { id: number; distance: number }) => ({
      id,
      distance,
    }))
  const near = await done(['search', where, '--id', '9', '-k', '3', '--json'])
  assert.deepEqual(hitsOf(near), (await plain(9)).slice(1)) // Itself left out.
  const filter = { even: true, i: { $gte: 10 }, at: { $lt: { $date: '1970-01-01T00:00:00.200Z' } } }
  const args = ['--vector', JSON.stringify(Array.from(rows[3])), '--filter', JSON.stringify(filter)]
  const filtered = await done(['search', where, ...args, '-k', '4', '--exact', '--json'])
  const date = { ...filter, at: { $lt: new Date(200) } }
  assert.deepEqual(hitsOf(filtered), await plain(3, { filter: date, exact: true }))
  assert.match(filtered, /"at":\{"\$date":"1970/)
  const queries = fresh('q.fvecs')
  writeFileSync(queries, fvecs(rows.slice(0, 3)))
  const many = await done(['search', where, '--vectors', queries, '-k', '4', '--json'])
  const lines = many.trim().split('\n')
  assert.deepEqual(
    lines.map((l) => JSON.parse(l).query),
    [0, 1, 2],
  )
  for (let i = 0; i < 3; i++) assert.deepEqual(hitsOf(lines[i]), await plain(i))
  await db.close()
  const table = await done([
    'search',
    where,
    '--id',
    '9',
    '-k',
    '2',
    '--include',
    'metadata,vector',
  ])
  assert.match(table, /^id +distance +metadata +vector\n\d+ +[\d.]+ +\{"i":\d+.*\[.*, \.\.\.\]\n/)
})

test('ids of both kinds, and searches that cannot be', async () => {
  const by = async (id: string) =>
    JSON.parse(await done(['search', where, '-c', 'named', '--id', id, '--json'])).hits.map(
      (h: { id: unknown }) => h.id,
    )
  assert.deepEqual((await by('7')).sort(), ['7', { $int: String(2n ** 60n) }].sort())
  assert.deepEqual((await by('"7"')).includes(7), true)
  for (const [args, code, message] of [
    [['--id', '301'], 1, /ERR_NOT_FOUND: .*"301"/],
    [['--vector', '[1,2]'], 1, /ERR_DIMENSIONS/],
    [['--vector', '[1,"2"]'], 2, /JSON list of numbers/],
    [['--id', '1', '--filter', '{"a":{"$x":1}}'], 1, /ERR_FILTER/],
    [['--id', '1', '--vector', '[1]'], 2, /one of --id ID, --vector JSON and --vectors/],
    [[], 2, /one of --id/],
    [['--id', '1', '-k', '0'], 2, /--k is an integer from 1 to 10000/],
    [['--id', '1', '-c', 'none'], 1, /ERR_NOT_FOUND/],
  ] as const) {
    const { code: found, out, err } = await omendb(['search', where, ...args])
    assert.deepEqual([found, out], [code, ''], args.join(' '))
    assert.match(err, message)
    assert.equal(err.trim().split('\n').length, 1, err)
  }
  const nowhere = await omendb(['stats', fresh(), '--json'])
  assert.equal(nowhere.code, 1)
  assert.equal(JSON.parse(nowhere.err).error.code, 'ERR_NOT_FOUND')
})

test('stats tells collections, as a table and as JSON', async () => {
  const text = await done(['stats', where])
  assert.match(
    text,
    /^collection +records +dimensions +metric .*\ndefault +300 +8 +l2 +sq8, not yet +3/,
  )
  assert.match(text, /named +3 .*\n.*: 2 collections, [\d.]+ MB in memory; \w+, \d+ threads?\.\n$/)
  const json = JSON.parse(await done(['stats', where, '--json']))
  assert.deepEqual(
    json.collections.map((c: { name: string; nextId: unknown }) => [c.name, c.nextId]),
    [
      ['default', 300],
      ['named', { $int: String(2n ** 60n + 1n) }],
    ],
  )
})

test('bench measures seeded clusters and files', async () => {
  const text = await done([
    'bench',
    '--rows',
    '6000',
    '--queries',
    '50',
    '--dimensions',
    '16',
    '-q',
  ])
  assert.match(
    text,
    /^seeded clusters \(seed 1\): 6,000 vectors of 16 dimensions, l2, sq8\nbuilt in /,
  )
  assert.match(text, /\nef +recall@10 +queries\/s +p50 us +p99 us +queries\/s, batch\n +16 +/)
  const name = fresh('b.fvecs')
  writeFileSync(name, fvecs(vectors(5000, 16)))
  const args = ['bench', name, '--queries', '40', '--ef', '64,300', '--json']
  const json = JSON.parse(await done(args))
  assert.deepEqual([json.rows, json.queries, json.dimensions, json.k], [4960, 40, 16, 10])
  assert.deepEqual(
    json.points.map((p: { ef: number }) => p.ef),
    [64, 300],
  )
  for (const p of json.points) {
    assert.ok(p.recall > 0.9 && p.recall <= 1, `recall ${p.recall}`)
    assert.ok(p.queriesPerSecond > 0 && p.p99Us >= p.p50Us)
  }
  const small = fresh('s.fvecs')
  writeFileSync(small, fvecs(vectors(10, 4)))
  assert.match((await omendb(['bench', small])).err, /10 rows; a bench needs 20/)
  assert.equal((await omendb(['bench', '--ef', '0'])).code, 2)
})

interface Command {
  name: string
  positionals: string
  options: { name: string; short?: string; value?: string; help: string }[]
  examples: string[]
}
const { COMMANDS } = part<{ COMMANDS: Command[] }>('commands.js')
const { commandHelp } = part<{ commandHelp(command: Command): string }>('help.js')
const { readCall } = part<{ readCall(command: Command, args: string[]): unknown }>('arguments.js')

test('help of every command names every option, in lines that fit', async () => {
  const overview = await done(['--help'])
  for (const command of COMMANDS) {
    assert.ok(overview.includes(`  ${command.name} `))
    const text = commandHelp(command)
    assert.ok(text.startsWith(`Usage: omendb ${command.name} ${command.positionals}`))
    for (const { name } of [...command.options, { name: 'json' }])
      assert.ok(text.includes(`--${name}`))
    const long = text.split('\n').filter((line) => line.length > 100)
    assert.deepEqual(long, [])
  }
  const told = await done(['help', 'import'])
  assert.equal(told, commandHelp(COMMANDS[0]))
  assert.equal(told, await done(['import', '--help']))
  assert.equal((await omendb(['help', 'nothing'])).code, 2)
})

// The page is written by hand; what it says of options must be all of it, and true.
test('docs/cli.md tells every command and option, and none that is not there', () => {
  const page = readFileSync(path.join(root, 'docs/cli.md'), 'utf8')
  for (const { name, options, examples } of COMMANDS) {
    const start = page.indexOf(`\n## omendb ${name} `)
    assert.ok(start >= 0, `no section of ${name}`)
    const end = page.indexOf(`\n## `, start + 4)
    const next = page.slice(start, end === -1 ? undefined : end)
    // Salvaging has a section of its own.
    const section = name === 'check' ? page.slice(start) : next
    const told = [...section.matchAll(/--([a-z]+)/g)].map((m) => m[1])
    for (const option of options) {
      assert.ok(told.includes(option.name), `${name}: --${option.name} is not told`)
    }
    const known = [...options.map((o) => o.name), 'json', 'help', 'version']
    if (name !== 'check') {
      assert.deepEqual(
        told.filter((t) => !known.includes(t as string)),
        [],
        name,
      )
    }
    assert.ok(examples.length > 0)
  }
})

test('the examples of the help texts can be parsed', () => {
  for (const command of COMMANDS) {
    for (const example of command.examples) {
      const call = example.split(' | ').find((part_) => part_.startsWith('omendb ')) as string
      const words = [...call.matchAll(/'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2])
      assert.deepEqual(words.slice(0, 2), ['omendb', command.name])
      assert.notEqual(readCall(command, words.slice(2)), 'help')
    }
  }
})

test('omendb serve serves the database that a command made, as omendb-server does', async () => {
  assert.match(await done(['help', 'serve']), /^Usage: omendb-server/)
  assert.equal(await done(['serve', '--help']), await done(['help', 'serve']))
  const wrong = await omendb(['serve', '--prot', '1'])
  assert.equal(wrong.code, 2)
  assert.match(wrong.err, /^omendb-server: ERR_ARGUMENT: .*prot.*\n$/)

  const where = fresh()
  await done(['import', '-', '-f', 'jsonl', '--to', where], '{"id":"a","vector":[1,2]}\n')
  const args = [main, 'serve', '--data', where, '--port', '0', '--grpc-port', 'none']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  let url: string | undefined
  for await (const line of createInterface({ input: child.stdout as Readable })) {
    url = (JSON.parse(line) as { url?: string }).url
    if (url !== undefined) break
  }
  const answer = await fetch(`${url}/v1/collections/default/records/s:a`)
  assert.equal(((await answer.json()) as { id: string }).id, 'a')
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
})
