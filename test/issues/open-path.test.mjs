// Bugs found in the paths that DB.open takes, each with what a user would have seen.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { DB, OmenError } from '../../dist/index.mjs'

// They were raw TypeErrors of Node, which tell nothing of the database.
test('a URL that names no file here is ERR_ARGUMENT, and the message names it', async () => {
  for (const url of ['http://x/y', 'file://host/y']) {
    await assert.rejects(DB.open(new URL(url)), (error) => {
      assert.ok(error instanceof OmenError)
      assert.equal(error.code, 'ERR_ARGUMENT')
      return error.message.includes(url)
    })
  }
})

// Who knows SQLite meant a database in memory, and got a directory of that name in its place.
test('the path :memory: is refused, and the message says how to have one in memory', async () => {
  for (const open of [() => DB.open(':memory:'), async () => DB.openSync(':memory:')])
    await assert.rejects(open, (error) => {
      assert.equal(error.code, 'ERR_ARGUMENT', error)
      return error.message.includes('new DB()')
    })
  assert.equal(existsSync(':memory:'), false)
})

// It said of the database's own directory that it did not exist, which nobody had claimed.
test('a database in a directory that is missing tells which one that is', async (t) => {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-path-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  const parent = path.join(made, 'none')
  for (const open of [
    () => DB.open(path.join(parent, 'db')),
    async () => DB.openSync(path.join(parent, 'db')),
  ])
    await assert.rejects(open, (error) => {
      assert.equal(error.code, 'ERR_NOT_FOUND', error)
      return error.message.includes(`${parent} does not exist`)
    })
})

// It was ERR_READ_ONLY, as if something had been written.
test('reading a collection that is not there, read-only, is ERR_NOT_FOUND', async (t) => {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-path-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  await (await DB.open(path.join(made, 'db'))).close()
  const reader = await DB.open(path.join(made, 'db'), { readOnly: true })
  t.after(() => reader.close())
  const notFound = { code: 'ERR_NOT_FOUND', message: /read-only/ }
  await assert.rejects(() => reader.count(), notFound)
  await assert.rejects(() => reader.search([1, 2]), notFound)
  await assert.rejects(() => reader.collection('x'), notFound)
  await assert.rejects(() => reader.createCollection('x'), { code: 'ERR_READ_ONLY' })
})
