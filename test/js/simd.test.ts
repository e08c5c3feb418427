// The instruction set is the forced one, or there is an error: never another in silence.
//
// CI runs suites under OMENDB_SIMD and trusts that the tables named were really used.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import test from 'node:test'
import { DB } from 'omendb'

const root = path.resolve(__dirname, '../..')

/** What a fresh process answers under OMENDB_SIMD=name: the set in use, or its error's code. */
function setOf(name: string): string {
  const script = `
    const { DB } = require('omendb')
    try {
      const db = new DB({ dimensions: 8 })
      db.addBatchSync([new Float32Array(8).fill(1)])
      const hits = db.searchSync(new Float32Array(8).fill(1))
      process.stdout.write(db.statsSync().simd + ' ' + hits.length)
    } catch (error) {
      process.stdout.write(error.code)
    }`
  const env = { ...process.env, OMENDB_SIMD: name }
  const child = spawnSync(process.execPath, ['-e', script], { cwd: root, env, encoding: 'utf8' })
  assert.equal(child.status, 0, child.stderr)
  return child.stdout
}

// A suite that was asked for one set and ran another would test nothing.
test('this process uses the set that OMENDB_SIMD names', async () => {
  const db = new DB()
  const { simd } = await db.stats()
  const forced = process.env.OMENDB_SIMD
  if (forced) assert.equal(simd, forced)
  else assert.match(simd, /^(scalar|avx2|avx512|neon)$/)
  await db.close()
})

// A set that the processor lacks must not fall back to one that it has.
test('every set is used when forced, or refused', () => {
  const answers = new Map(['scalar', 'avx2', 'avx512', 'neon'].map((n) => [n, setOf(n)]))
  for (const [name, answer] of answers) {
    assert.ok(answer === `${name} 1` || answer === 'ERR_UNSUPPORTED', `${name}: ${answer}`)
  }
  assert.equal(answers.get('scalar'), 'scalar 1')
  const foreign = process.arch === 'arm64' ? 'avx2' : 'neon'
  assert.equal(answers.get(foreign), 'ERR_UNSUPPORTED')
})

// A misspelt name in a deployment is noticed at once.
test('an unknown set is an error', () => {
  assert.match(setOf('sse9'), /^ERR_/)
})
