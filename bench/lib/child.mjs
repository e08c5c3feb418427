// Child: one measurement in a process of its own.
//
// Why: a fresh process makes resident memory, CPU time and the width of the thread pool figures of
// one collection alone, and a crash of one engine is a line in the table instead of the end of the
// run.

import { fork } from 'node:child_process'

/** Runs `jobs/<file>` with `job`; resolves to what its exported `run(job)` returned. */
export function runJob(url, job, env = {}) {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('./child-main.mjs', import.meta.url), [], {
      execArgv: ['--expose-gc'],
      env: { ...process.env, ...env },
    })
    let answer
    child.on('message', (message) => {
      answer = message
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (answer?.error !== undefined) reject(new Error(answer.error))
      else if (answer === undefined)
        reject(new Error(`${url}: ended with ${signal ?? code}, no answer`))
      else resolve(answer.result)
    })
    child.send({ url: String(url), job })
  })
}
