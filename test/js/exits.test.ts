// An environment that ends in the middle of an operation ends cleanly: no signal, no hang, the
// right exit code; and a main thread goes on working when one of its workers ended so.
//
// Why: work runs on threads that outlive the environment that asked for it. Each operation is held
// at a pause point that only test builds have, so that it is known to be in flight.
// OMENDB_REPEAT: how often each case runs (3; the soak: 20).
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { pausingAddonPath } from './native-support.js'

const REPEAT = Number(process.env.OMENDB_REPEAT ?? 3)
const LIMIT_MS = 20_000
const OPERATIONS = [
  ...['search', 'searchBatch', 'explain', 'get', 'count', 'scroll'],
  ...['add', 'link', 'upsert', 'update', 'delete', 'deleteFilter', 'clear', 'optimize'],
  ...['staged', 'upkeep'],
]
const ENDINGS: [place: string, ending: string, code: number, survives: boolean][] = [
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
