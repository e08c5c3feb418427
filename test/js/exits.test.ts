// An environment that ends in the middle of an operation ends cleanly: no signal, no hang, the
// right exit code; and a main thread goes on working when one of its workers ended so.
//
// Why: work runs on threads that outlive the environment that asked for it. Each operation is held
// at a pause point that only test builds have, so that it is known to be in flight. What is on disk
// must hold all that had been acknowledged before, and the operation whole or not at all.
// OMENDB_REPEAT: how often each case runs, in memory 2 and on disk 1 times (the soak and
// npm run test:durability: 20). In a run of one each operation on disk meets two endings, other
// ones for each operation; else all.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { DB } from 'omendb'
import { pausingAddonPath } from './native-support.js'

const REPEAT = Number(process.env.OMENDB_REPEAT ?? 2)
const REPEAT_ON_DISK = Number(process.env.OMENDB_REPEAT ?? 1)
const LIMIT_MS = 20_000
const OPERATIONS = [
  ...['search', 'searchShort', 'searchBatch', 'explain', 'get', 'count', 'scroll'],
  ...['add', 'link', 'upsert', 'update', 'delete', 'deleteFilter', 'clear', 'optimize'],
  ...['staged', 'upkeep', 'check'],
]
const ON_DISK = [
  ...OPERATIONS,
  ...['open', 'appended', 'synced', 'flush', 'close', 'make', 'backup', 'install'],
]
// Records beside the 64 that there were, once the operation has been done.
const CHANGES: Record<string, number> = {
  ...{ add: 64, link: 64, appended: 64, synced: 64, delete: -3, deleteFilter: -9, clear: -64 },
}
type Ending = [place: string, ending: string, code: number | null, survives: boolean]
const ENDINGS: Ending[] = [
  ['main', 'exit', 7, false],
  ['main', 'error', 1, false],
  ['worker', 'terminate', 0, true],
  ['worker', 'exit', 0, true],
  ['worker', 'error', 0, true],
  ['alone', 'terminate', 0, true],
  ['alone', 'exit', 0, true],
  ['alone', 'error', 0, true],
]

async function run(args: string[]) {
  const env = { ...process.env, OMENDB_ADDON: pausingAddonPath() }
  const child = spawn(process.execPath, [path.join(__dirname, 'exits-child.js'), ...args], { env })
  let output = ''
  child.stdout.on('data', (text) => (output += text))
  child.stderr.on('data', (text) => (output += text))
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  const [code, signal] = await once(child, 'close')
  clearTimeout(timer)
  return { code, signal, output }
}

describe('an environment ends in the middle of', { concurrency: availableParallelism() }, () => {
  for (const operation of OPERATIONS) {
    for (const [place, ending, expected, survives] of ENDINGS) {
      test(`${operation}: ${ending} in ${place}`, async () => {
        for (let round = 0; round < REPEAT; round += 1) {
          const { code, signal, output } = await run([operation, ending, place])
          assert.deepEqual({ code, signal }, { code: expected, signal: null }, output)
          assert.match(output, /^in flight$/m)
          assert.equal(/^survived$/m.test(output), survives, output)
        }
      })
    }
  }
})

/** What the environment left: whole, and with all that had been acknowledged. */
async function lookAt(directory: string, operation: string): Promise<void> {
  const db = await DB.open(directory)
  const collection = await db.collection('c', { createIfMissing: false })
  const count = await collection.count()
  const allowed = [64, 64 + (CHANGES[operation] ?? 0)]
  if (operation === 'upkeep') allowed.push(64 + 128)
  // A main thread that found nothing after its worker's end wrote 64 records again.
  assert.ok(allowed.includes(count), `${count} records, not ${allowed.join(' or ')}`)
  for (const report of await db.check()) assert.ok(report.ok, report.problem)
  await db.close()
}

const DISK_ENDINGS: Ending[] = [...ENDINGS, ['main', 'SIGTERM', null, false]]

describe('on disk it ends in the middle of', { concurrency: availableParallelism() }, () => {
  const home = mkdtempSync(path.join(tmpdir(), 'omendb-exits-'))
  after(() => rmSync(home, { recursive: true, force: true }))
  let made = 0
  for (const [i, operation] of ON_DISK.entries()) {
    for (const [j, [place, ending, expected, survives]] of DISK_ENDINGS.entries()) {
      if (REPEAT_ON_DISK === 1 && (i * 2 - j + DISK_ENDINGS.length * 8) % DISK_ENDINGS.length > 1)
        continue
      test(`${operation}: ${ending} in ${place}, on disk`, async () => {
        for (let round = 0; round < REPEAT_ON_DISK; round += 1) {
          const directory = path.join(home, String(++made))
          const { code, signal, output } = await run([operation, ending, place, directory])
          const wanted = { code: expected, signal: expected === null ? 'SIGTERM' : null }
          assert.deepEqual({ code, signal }, wanted, output)
          assert.match(output, /^in flight$/m)
          assert.equal(/^survived$/m.test(output), survives, output)
          await lookAt(directory, operation)
          rmSync(directory, { recursive: true })
        }
      })
    }
  }
})
