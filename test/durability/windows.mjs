// Section "windows": all of the engine but the addon, compiled for Windows by MinGW; then, where
// wine is installed, tests of its system calls, of the log and of databases on disk run there. A
// quick run looks at the syntax alone, of the rooms that know the system, and runs nothing.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { shown, told } from './suites.mjs'

const COMPILER = 'x86_64-w64-mingw32-g++-posix'
const FLAGS = '-std=c++20 -O1 -fno-exceptions -fno-rtti -ffp-contract=off -Wall -Wextra -Icsrc'
const TESTS = ['env_test', 'storage_test', 'db_disk_test']
const WINE = '/usr/lib/wine/wine64'

// One command for each name, as many at once as there are processors. The names that went well.
function each(root, names, command) {
  const launcher = process.env.CMAKE_CXX_COMPILER_LAUNCHER ?? ''
  const script = `xargs -P ${availableParallelism()} -I {} sh -c \
    '${launcher} ${COMPILER} ${FLAGS} ${command} && echo done {}'`
  const options = { cwd: root, encoding: 'utf8', input: names.join('\n') }
  const { stdout, stderr } = spawnSync('sh', ['-c', script], options)
  const done = stdout.split('\n').filter((line) => line.startsWith('done')).length
  return { done, failures: done === names.length && stderr === '' ? [] : [stderr.slice(0, 8000)] }
}

export async function run(context) {
  const { root, quick, progress } = context
  if (spawnSync(COMPILER, ['--version']).error)
    return { passed: 0, failures: [`${COMPILER} is missing: g++-mingw-w64-x86-64`], counts: '' }
  const sources = readFileSync(path.join(root, 'csrc/sources.txt'), 'utf8')
    .trim()
    .split('\n')
    .filter((f) => !f.startsWith('csrc/napi/'))
    .filter((f) => !quick || /^csrc\/(base|memory|exec|io|storage)\//.test(f))
  mkdirSync(path.join(root, 'out/windows'), { recursive: true })
  progress(`compiling ${sources.length} files`)
  const command = quick ? '-fsyntax-only {}' : '-c {} -o out/windows/$(echo {} | tr / _).o'
  const compiled = each(root, sources, command)
  const counts = [`${compiled.done} of ${sources.length} files compiled`]
  let { done: passed, failures } = compiled
  if (quick || failures.length > 0) return { passed, failures, counts: counts[0] }
  const link = '-Itest/native -static test/native/{}.cc out/windows/*.o -o out/windows/{}.exe'
  failures = each(root, TESTS, link).failures
  const hasWine = existsSync(WINE)
  if (!hasWine) counts.push('not run: wine64 is not installed')
  for (const test of hasWine && failures.length === 0 ? TESTS : []) {
    const prefix = path.join(root, 'out/windows/wine')
    const env = { ...context.env, WINEDEBUG: '-all', WINEPREFIX: prefix, HOME: root }
    const result = told(test, await shown(WINE, [`out/windows/${test}.exe`], { ...context, env }))
    passed += result.passed
    failures.push(...result.failures)
    counts.push(`${test} ${result.passed} passed under wine`)
  }
  return { passed, failures, counts: counts.join('; ') }
}
