// Section "windows": all of the engine but the addon, compiled for Windows by MinGW; and, where wine
// is installed, the tests of the log on that system's calls.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'

const COMPILER = 'x86_64-w64-mingw32-g++-posix'
const FLAGS = '-std=c++20 -O1 -fno-exceptions -fno-rtti -ffp-contract=off -Wall -Wextra -Icsrc'

export async function run({ root, quick, progress }) {
  if (spawnSync(COMPILER, ['--version']).error)
    return { passed: 0, failures: [`${COMPILER} is missing (g++-mingw-w64-x86-64)`], counts: '' }
  const sources = readFileSync(path.join(root, 'csrc/sources.txt'), 'utf8')
    .trim()
    .split('\n')
    .filter((f) => !f.startsWith('csrc/napi/'))
    .filter((f) => !quick || !/^csrc\/(graph|quant|simd|meta)\//.test(f))
  const out = path.join(root, 'out/windows')
  mkdirSync(out, { recursive: true })
  const launcher = process.env.CMAKE_CXX_COMPILER_LAUNCHER ?? ''
  const script = `xargs -P ${availableParallelism()} -I {} sh -c \
    '${launcher} ${COMPILER} ${FLAGS} ${quick ? '-fsyntax-only' : ''} -c {} \
      ${quick ? '' : '-o out/windows/$(echo {} | tr / _).o'} && echo compiled {}'`
  progress(`compiling ${sources.length} files`)
  const input = sources.join('\n')
  const options = { cwd: root, encoding: 'utf8', input }
  const { stdout, stderr } = spawnSync('sh', ['-c', script], options)
  const compiled = stdout.split('\n').filter((line) => line.startsWith('compiled')).length
  const failures = compiled === sources.length && stderr === '' ? [] : [stderr.slice(0, 8000)]
  return { passed: compiled, failures, counts: `${compiled} of ${sources.length} files compiled` }
}
