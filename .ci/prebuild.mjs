// Copies the addon of build/Release into prebuilds/<platform>-<arch>/, stripped, under the name by
// which node-gyp-build finds it: the C library is part of the name on Linux.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { platform, arch } = process
const glibc = process.report?.getReport().header.glibcVersionRuntime !== undefined
const name = platform === 'linux' ? `omendb.${glibc ? 'glibc' : 'musl'}.node` : 'omendb.node'
const directory = path.join(root, 'prebuilds', `${platform}-${arch}`)
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
copyFileSync(path.join(root, 'build/Release/omendb.node'), path.join(directory, name))
if (platform !== 'win32') {
  const strip = platform === 'darwin' ? ['-x', name] : ['--strip-unneeded', name]
  const { status, error } = spawnSync('strip', strip, { cwd: directory, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}
console.log(path.join(directory, name))
