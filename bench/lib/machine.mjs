// Machine: what a figure was measured on. Every result carries it.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const FLAGS = ['avx2', 'fma', 'avx512f', 'avx512bw', 'avx512_vnni', 'avx_vnni', 'asimd', 'asimddp']

function git(...args) {
  try {
    return execFileSync('git', args, {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return '' // Not a checkout, or no git: the figures still stand.
  }
}

/** The instruction sets that matter to the kernels, as the system names them; [] where unknown. */
function cpuFlags() {
  try {
    const line = readFileSync('/proc/cpuinfo', 'utf8').match(/^(?:flags|Features)\s*:(.*)$/m)
    const flags = new Set(line?.[1].trim().split(/\s+/))
    return FLAGS.filter((flag) => flags.has(flag))
  } catch {
    return []
  }
}

/** Node, processor, memory, commit and date. */
export function describeMachine() {
  const commit = git('rev-parse', '--short=12', 'HEAD')
  const dirty = git('status', '--porcelain', '--untracked-files=no') !== ''
  return {
    date: new Date().toISOString(),
    commit: commit === '' ? 'unknown' : commit + (dirty ? ' (with changes)' : ''),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    flags: cpuFlags(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()} ${release()}`,
    node: process.version,
  }
}

export function machineLine({ cpu, cores, flags, node, commit, date }) {
  const where = `${cpu}, ${cores} cores (${flags.join(' ')}), Node ${node}`
  return `${where}, commit ${commit}, ${date.slice(0, 10)}`
}
