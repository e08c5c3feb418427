// Section "crash": db_crash_test with many workloads, shared by as many processes as there are
// processors, then the tests of failing calls. At full counts the distinct states must be as many
// as OMEN_CRASH_STATES says.
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { shown, told } from './suites.mjs'

export async function run(context) {
  const file = (name) => path.join(context.root, 'out/test-points', name)
  const parts = availableParallelism()
  const start = Date.now()
  const shares = await Promise.all(
    Array.from({ length: parts }, (_, i) => {
      const env = { ...context.env, OMEN_CRASH_PART: `${i + 1}/${parts}` }
      return shown(file('db_crash_test'), [], { ...context, env })
    }),
  )
  const seconds = (Date.now() - start) / 1000
  const results = shares.map((share, i) => told(`db_crash_test, part ${i + 1}`, share))
  let drawn = 0
  let distinct = 0
  for (const { output } of shares) {
    for (const [, d, n] of output.matchAll(/^# (\d+) crash states, (\d+) of them distinct$/gm)) {
      drawn += Number(d)
      distinct += Number(n)
    }
  }
  for (const name of ['db_disk_test', 'log_crash_test', 'storage_test'])
    results.push(told(name, await shown(file(name), [], context)))
  const failures = results.flatMap((r) => r.failures)
  const wanted = Number(context.env.OMEN_CRASH_STATES ?? 0)
  if (distinct < wanted) failures.push(`${distinct} distinct states, ${wanted} are wanted`)
  const rate = Math.round(distinct / seconds)
  return {
    passed: results.reduce((sum, r) => sum + r.passed, 0),
    failures,
    counts: `${distinct} distinct crash states of ${drawn} drawn, ${rate} a second`,
  }
}
