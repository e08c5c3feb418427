// Installs the engines to compare with, where they are missing.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../lib/machine.mjs'

const HERE = join(ROOT, 'bench', 'peers')
const NATIVE = join(HERE, 'native')

// Not in the lockfile, which would name its binary of every platform: where one of them cannot be
// had, `npm ci` would install no peer at all.
const UNLOCKED = ['@zvec/zvec@0.7.0', '@lancedb/lancedb@0.39.0']

/** Installs the peers where they are missing. What cannot be built here is left out by npm. */
export function installPeers() {
  if (existsSync(join(HERE, 'node_modules'))) return
  console.log('installing the peers (once; some are compiled)')
  const here = { cwd: HERE }
  // One install script that fails ends npm; without scripts the prebuilt peers are still there.
  if (!npm(here, 'ci')) npm(here, 'ci', '--ignore-scripts')
  npm(here, 'install', '--no-save', '--no-package-lock', ...UNLOCKED)
}

/** hnswlib-node once more, compiled for this processor; absent where no compiler can. */
export function installNative() {
  if (existsSync(join(NATIVE, 'node_modules')) || process.platform === 'win32') return
  console.log('compiling hnswlib-node for this processor (once)')
  const flags = `${process.env.CXXFLAGS ?? ''} -O3 -march=native`
  npm({ cwd: NATIVE, env: { ...process.env, CXXFLAGS: flags } }, 'ci')
}

function npm(options, ...args) {
  const all = { stdio: ['ignore', 'ignore', 'inherit'], ...options }
  return spawnSync(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, all).status === 0
}
