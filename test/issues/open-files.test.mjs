// Bugs found in a process that has no file descriptor left: what could not be opened was told as
// damaged by check() and as lost by salvage. Here a process holds all descriptors but a few, and
// does everything that a database on disk can do.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { DB, OmenError } from '../../dist/index.mjs'

const file = fileURLToPath(import.meta.url)
const BUSY = /too many open files; close some/

/** All descriptors that the process may have, but `left`. Returns what gives them back. */
function holdAllBut(left) {
  const held = []
  for (;;) {
    try {
      held.push(openSync('/dev/null', 'r'))
    } catch (error) {
      assert.equal(error.code, 'EMFILE')
      break
    }
  }
  for (let i = 0; i < left; i++) closeSync(held.pop())
  return () => held.forEach((descriptor) => void closeSync(descriptor))
}

/** Whether it worked; what did not work names the cause, a file, and what to do. */
async function works(call) {
  try {
    await call()
    return true
  } catch (error) {
    assert.ok(error instanceof OmenError, String(error))
    assert.equal(error.code, 'ERR_BUSY', error.message)
    assert.match(error.message, BUSY)
    return false
  }
}

async function useWith(left, residency, root) {
  const at = path.join(root, `${left}-${residency}`)
  const stored = path.join(at, 'db')
  rmSync(at, { recursive: true, force: true })
  mkdirSync(at)
  const vectors = (rows) => Float32Array.from({ length: rows * 32 }, (_, i) => Math.sin(i * 1.7))
  const ids = (from, rows) => Uint32Array.from({ length: rows }, (_, i) => from + i)
  const made = await DB.open(stored, { metric: 'l2' })
  await made.addBatch({ ids: ids(0, 4000), vectors: vectors(4000) })
  await made.close()

  const db = await DB.open(stored, { residency })
  let rows = 4000
  const answers = {}
  const giveBack = holdAllBut(left)
  try {
    const tryTo = async (name, call) => {
      answers[name] = await works(call)
      return answers[name]
    }
    // What opens no file goes on whatever is left.
    assert.equal((await db.search(vectors(1), { k: 3 })).length, 3)
    await db.addBatch({ ids: ids(5000, 500), vectors: vectors(500) })
    rows += 500
    assert.equal(await db.delete(7), 1)
    rows--
    await db.flush()
    const reports = []
    if (await tryTo('check', async () => reports.push(...(await db.check()))))
      for (const report of reports) assert.ok(report.ok, report.problem)
    await tryTo('backup', () => db.backup(path.join(at, 'copy')))
    await tryTo('open', async () => (await DB.open(path.join(at, 'new'))).close())
    await tryTo('read', async () => (await DB.open(stored, { readOnly: true })).close())
    await db.createCollection('more', { dimensions: 2 })
    assert.equal(await db.dropCollection('more'), true)
    await db.close()
    await tryTo('open again', async () => (await DB.open(stored, { residency })).close())
  } finally {
    giveBack()
  }
  const again = await DB.open(stored, { residency })
  assert.equal(await again.count(), rows)
  for (const report of await again.check()) assert.ok(report.ok, report.problem)
  await again.close()
  const copies = answers.backup ? [path.join(at, 'copy')] : []
  for (const copy of copies) {
    const other = await DB.open(copy, { readOnly: true })
    assert.equal(await other.count(), rows)
    await other.close()
  }
  return answers
}

if (process.argv[2] === 'child') {
  const root = process.argv[3]
  const { 'open again': _, ...none } = await useWith(0, 'mapped', root) // close() gave some back.
  assert.deepEqual(new Set(Object.values(none)), new Set([false]))
  for (const residency of ['mapped', 'memory'])
    for (const left of [0, 1, 2, 3, 5, 8]) await useWith(left, residency, root)
  const enough = await useWith(20, 'mapped', root)
  assert.deepEqual(new Set(Object.values(enough)), new Set([true]))
} else {
  test('without file descriptors nothing is lost, called damaged, or left half done', (t) => {
    const root = mkdtempSync(path.join(tmpdir(), 'omendb-descriptors-'))
    t.after(() => rmSync(root, { recursive: true, force: true }))
    const command = 'ulimit -n 80; exec "$0" "$1" child "$2"'
    const child = spawnSync('sh', ['-c', command, process.execPath, file, root], {
      encoding: 'utf8',
      timeout: 120_000,
    })
    assert.equal(child.status, 0, child.stderr)
  })
}
