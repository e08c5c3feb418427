// Options that contradict what is stored, or what is open: the message must let its reader decide.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { DB } from '../../dist/index.mjs'

function directory(t) {
  const where = mkdtempSync(path.join(tmpdir(), 'omendb-options-'))
  t.after(() => rmSync(where, { recursive: true, force: true }))
  return path.join(where, 'db')
}

const refused = (call, where, ...parts) =>
  assert.rejects(call, (error) => {
    assert.equal(error.code, 'ERR_OPTIONS', error)
    assert.equal(error.details.path, where)
    for (const part of parts) assert.ok(error.message.includes(part), error.message)
    return true
  })

// It said that the collection had "another metric": neither which one, nor in which database.
test('a collection that is opened with other options tells its path and what it has', async (t) => {
  const where = directory(t)
  const schema = { n: 'number' }
  const made = {
    dimensions: 8,
    metric: 'l2',
    quantization: 'none',
    m: 12,
    efConstruction: 77,
    schema,
  }
  const db = await DB.open(where)
  t.after(() => db.close())
  await db.createCollection('notes', made)
  const others = {
    dimensions: [9, '8'],
    metric: ['dot', "'l2'"],
    quantization: ['binary', "'none'"],
    layout: ['fast', "'compact'"],
    m: [13, '12'],
    efConstruction: [78, '77'],
    keepVectors: [false, 'true'],
    schema: [{ n: 'string' }, '{"n":{"type":"number"'],
  }
  for (const [name, [given, stored]] of Object.entries(others)) {
    const open = () => db.collection('notes', { [name]: given })
    const shown = typeof given === 'object' ? '"string"' : `${given}`
    await refused(open, where, "'notes'", where, `${name}: ${stored}`, shown)
  }
  assert.equal((await db.collection('notes', made)).name, 'notes')
})

// A second handle's checkpointBytes was ignored; of the others it was not told what is in force.
test('a second handle with other options tells what the database is open with', async (t) => {
  const where = directory(t)
  const own = { durability: 'os', maxMemoryBytes: 2 ** 26, residency: 'memory', seed: 7 }
  const db = await DB.open(where, { ...own, checkpointBytes: 50_000 })
  t.after(() => db.close())
  const others = {
    durability: ['sync', "'os'"],
    maxMemoryBytes: [2 ** 27, `${2 ** 26}`],
    residency: ['mapped', "'memory'"],
    seed: [8, '7'],
    checkpointBytes: [60_000, '50000'],
  }
  for (const [name, [given, has]] of Object.entries(others))
    await refused(() => DB.open(where, { [name]: given }), where, where, `${name}: ${has}`)
  const second = await DB.open(where, { ...own, checkpointBytes: 50_000 })
  await second.close()
  await db.close()
  await refused(() => DB.open(where, { seed: 8 }), where, where, 'seed: 7', '8')
})

// It was made there, and whoever removed the database removed its backup.
test('a backup into the directory of the database is refused, and nothing is made', async (t) => {
  const where = directory(t)
  const db = await DB.open(where)
  t.after(() => db.close())
  await db.add({ id: 1, vector: [1, 2] })
  for (const to of ['b', 'b/c', '../db/b'])
    await assert.rejects(db.backup(path.join(where, to)), (error) => {
      assert.equal(error.code, 'ERR_ARGUMENT', error)
      return error.message.includes(where)
    })
  await db.backup(path.join(where, '../db2'))
  const copy = await DB.open(path.join(where, '../db2'))
  assert.equal(await copy.count(), 1)
  await copy.close()
})
