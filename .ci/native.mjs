// Builds one CMake preset into out/<preset> and runs its C++ tests: node .ci/native.mjs asan [-R name]
//
// cmake-js drives the configuration where it is installed, plain CMake otherwise; the presets of
// CMakePresets.json decide everything else. Arguments after the preset go to ctest, except
// --build-only and --target=NAME.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [preset = 'release', ...rest] = process.argv.slice(2)
const buildOnly = rest.includes('--build-only')
const target = rest.find((a) => a.startsWith('--target='))?.slice('--target='.length)
const ctestArgs = rest.filter((a) => a !== '--build-only' && !a.startsWith('--target='))
const jobs = String(availableParallelism())

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

const cmakeJs = path.join(root, 'node_modules/cmake-js/bin/cmake-js')
const crossOrClang = preset === 'arm64' || preset === 'fuzz' // cmake-js would name the host's compiler.
if (existsSync(cmakeJs) && !crossOrClang) {
  const args = ['configure', '--log-level', 'warn', '-O', `out/${preset}`]
  if (process.platform !== 'win32') args.push('--prefer-make')
  run(process.execPath, [cmakeJs, ...args, '--', '--preset', preset])
} else {
  run('cmake', ['--preset', preset])
}
run('cmake', ['--build', '--preset', preset, '-j', jobs, ...(target ? ['--target', target] : [])])
if (!buildOnly) run('ctest', ['--preset', preset, ...ctestArgs])
