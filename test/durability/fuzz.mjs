// Section "fuzz": each target of test/fuzz under libFuzzer for so many executions, from its corpus
// on. OMEN_FUZZ_RUNS: of each target (10 000 000, in a quick run 200 000), shared by as many
// processes as there are processors. OMEN_FUZZ_TARGETS: only these (log_fuzz,json_fuzz). What is
// new and worth keeping lies in out/fuzz/corpus then:
//   out/fuzz/json_fuzz -merge=1 test/fuzz/corpus/json_fuzz out/fuzz/corpus/json_fuzz
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { shown } from './suites.mjs'

// Ten million executions in less than half the time: what is freed is kept apart for 8 MB, more
// than an execution takes; short stacks tell of it; and inputs are drawn alike however rare what
// they reach.
const sanitizer = 'quarantine_size_mb=8:malloc_context_size=4:max_malloc_fill_size=64'
const drawing = ['-entropic=0']

export async function run(context) {
  const { root, env } = context
  const build = ['.ci/native.mjs', 'fuzz', '--build-only']
  const { status } = spawnSync(process.execPath, build, { cwd: root, stdio: 'inherit' })
  if (status !== 0) return { passed: 0, failures: ['the fuzz preset does not build'], counts: '' }
  const targets = readdirSync(path.join(root, 'test/fuzz'))
    .filter((f) => f.endsWith('_fuzz.cc'))
    .map((f) => f.replace('.cc', ''))
    .filter((f) => env.OMEN_FUZZ_TARGETS?.split(',').includes(f) ?? true)
  const processes = availableParallelism()
  const runs = Math.ceil(Number(env.OMEN_FUZZ_RUNS ?? 200_000) / processes)
  const failures = []
  const counts = []
  for (const target of targets) {
    const start = Date.now()
    const found = path.join(root, 'out/fuzz/corpus', target)
    mkdirSync(found, { recursive: true })
    const args = [`-runs=${runs}`, ...drawing, '-max_len=4096', '-timeout=25', '-rss_limit_mb=2048']
    args.push(`-artifact_prefix=${found}-`, found, path.join(root, 'test/fuzz/corpus', target))
    const shares = await Promise.all(
      Array.from({ length: processes }, (_, i) =>
        shown(path.join(root, 'out/fuzz', target), [`-seed=${i + 1}`, ...args], {
          ...context,
          env: { ASAN_OPTIONS: sanitizer, ...env },
          progress: (line) => context.progress(`${target}: ${line}`),
        }),
      ),
    )
    let done = 0
    for (const { output, ok, end } of shares) {
      done += Number(/^Done (\d+) runs/m.exec(output)?.[1] ?? 0)
      if (!ok) failures.push(`${target}: ${end}\n${output.slice(-4000)}`)
    }
    const rate = Math.round(done / ((Date.now() - start) / 1000))
    counts.push(`${target} ${done} executions, ${rate} a second`)
  }
  const passed = targets.length - new Set(failures.map((f) => f.split(':')[0])).size
  return { passed, failures, counts: counts.join('; ') }
}
