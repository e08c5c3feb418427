// Sections that are suites of their own, told to count higher: C++ executables and files of
// test/js. What they print is shown; their lines "# ..." with numbers are the counts of the table.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

/** Runs it, shows its output as it comes and returns it. */
export async function shown(command, args, { root, env, progress }) {
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let line = ''
  const take = (chunk) => {
    output += chunk
    const lines = (line + chunk).split('\n')
    line = lines.pop()
    for (const one of lines) {
      if (/^\s*(not ok|✖)|# SKIP/.test(one)) console.log(one)
      else if (one.trim() !== '') progress(one.trim())
    }
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const [status, signal] = await once(child, 'close')
  return { output, ok: status === 0, end: signal ?? `status ${status}` }
}

/** Passed, failures and counts of what prints "N passed, N failed" and lines "# N of something". */
export function told(name, { output, ok, end }) {
  const [, p = '0', f = '0'] = /^(\d+) passed, (\d+) failed$/m.exec(output) ?? []
  const failures = ok && f === '0' ? [] : [`${name}: ${f} failed, ${end}\n${output.slice(-4000)}`]
  const counts = [...output.matchAll(/^\s*(?:ℹ )?# (\d.*)$/gm)].map(([, text]) => text)
  const skipped = [...output.matchAll(/# SKIP (.*)$/gm)].map(([, why]) => `skipped: ${why}`)
  return { passed: Number(p), failures, counts: [...counts, ...skipped].join('; ') }
}

export const native = (executable) => async (context) => {
  const file = path.join(context.root, 'out/test-points', executable)
  return told(executable, await shown(file, [], context))
}

export const javascript = (part) => async (context) => {
  // At full counts a file may take an hour.
  const args = ['.ci/js-tests.mjs', '--no-compile', part, `--test-timeout=${3 * 3600_000}`]
  return told(part, await shown(process.execPath, args, context))
}
