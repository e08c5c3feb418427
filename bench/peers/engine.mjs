// Engine: the parent's handle of one engine-child.mjs.

import { fork } from 'node:child_process'

export class Engine {
  #child
  #waiting

  /** Starts the child; resolves when its data is loaded. */
  static async start(job, env = {}) {
    const engine = new Engine()
    engine.#child = fork(new URL('./engine-child.mjs', import.meta.url), [JSON.stringify(job)], {
      execArgv: ['--expose-gc'],
      env: { ...process.env, ...env },
    })
    const settle = (message) => {
      const waiting = engine.#waiting
      engine.#waiting = undefined
      if (message.error === undefined) waiting?.resolve(message.result)
      else waiting?.reject(new Error(message.error))
    }
    engine.#child.on('message', settle)
    engine.#child.on('error', (error) => settle({ error: String(error) }))
    engine.#child.on('exit', (code, signal) => settle({ error: `ended with ${signal ?? code}` }))
    await engine.#answer()
    return engine
  }

  #answer() {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  /** Sends one message and waits for its answer. Rejects when the child fails or dies. */
  ask(message) {
    const answer = this.#answer()
    this.#child.send(message, (error) => {
      if (error !== null) this.#child.kill()
    })
    return answer
  }

  /** Ends the child, whatever state it is in. */
  async close() {
    if (this.#child.exitCode === null && this.#child.connected) {
      await this.ask({ do: 'close' }).catch(() => {}) // Its figures are already here.
    }
    this.#child.kill('SIGKILL')
  }
}
