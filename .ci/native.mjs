// Builds one CMake preset into out/<preset> and runs its C++ tests:
//   node .ci/native.mjs asan [-R name]
//
// cmake-js drives the configuration where it is installed, plain CMake otherwise; the presets of
// CMakePresets.json decide everything else. Arguments after the preset go to ctest, except
// --build-only and --target=NAME[,NAME]. What was skipped is printed, and "N passed, N failed".
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [preset = 'release', ...rest] = process.argv.slice(2)
const buildOnly = rest.includes('--build-only')
const targets = rest.flatMap((a) => /^--target=(.+)/.exec(a)?.[1].split(',') ?? [])
const ctestArgs = rest.filter((a) => a !== '--build-only' && !a.startsWith('--target='))
// Most of a test is one thread's work.
if (!ctestArgs.includes('-j')) ctestArgs.push('-j', String(availableParallelism()))

function buildType() {
  const { configurePresets } = JSON.parse(
    readFileSync(path.join(root, 'CMakePresets.json'), 'utf8'),
  )
  const found = configurePresets.find(({ name }) => name === preset)
  return found?.cacheVariables?.CMAKE_BUILD_TYPE ?? 'Release'
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) throw error
  return status ?? 1
}
function must(command, args) {
  const status = run(command, args)
  if (status !== 0) process.exit(status)
}

const cmakeJs = path.join(root, 'node_modules/cmake-js/bin/cmake-js')
// CI compiles everything once, and is sooner done with several files at a time; elsewhere a change
// shall compile one file.
const isWhole = Boolean(process.env.CI)
const settings = []
if (targets.length > 0) settings.push(`OMENDB_CHOSEN=${targets.join(';')}`)
if (isWhole) settings.push('OMENDB_UNITY=ON')
// cmake-js would name the host's compiler.
const foreign = ['arm64', 'asan', 'fuzz', 'tsan'].includes(preset)
if (existsSync(cmakeJs) && !foreign) {
  const args = ['configure', '--log-level', 'warn', '-O', `out/${preset}`]
  // Of itself it makes every build a Release, whatever the preset says.
  args.push(`--CDCMAKE_BUILD_TYPE=${buildType()}`)
  args.push(...settings.map((setting) => `--CD${setting}`))
  if (process.platform !== 'win32') args.push('--prefer-make')
  must(process.execPath, [cmakeJs, ...args, '--', '--preset', preset])
} else {
  must('cmake', ['--preset', preset, ...settings.map((setting) => `-D${setting}`)])
}
const targetArgs = targets.length > 0 ? ['--target', 'chosen'] : []
must('cmake', ['--build', '--preset', preset, '-j', String(availableParallelism()), ...targetArgs])
if (buildOnly) process.exit(0)

// The log of ctest has what each test printed, in the form that test/native/test.h gives it.
const log = path.join(root, 'out', preset, 'Testing/Temporary/LastTest.log')
rmSync(log, { force: true })
const status = run('ctest', ['--preset', preset, ...ctestArgs])
const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
for (const [line] of text.matchAll(/^ok - .* # SKIP .*$/gm)) console.log(line)
let passed = 0
let failed = 0
for (const [, p, f] of text.matchAll(/^(\d+) passed, (\d+) failed$/gm)) {
  passed += Number(p)
  failed += Number(f)
}
if (status !== 0 && failed === 0) failed = 1 // It crashed or hung before it could count.
console.log(`${passed} passed, ${failed} failed`)
process.exit(status)
