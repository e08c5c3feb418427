/**
 * Staging: how asynchronous writes take their input without holding up the event loop.
 *
 * A write stages (native code copies its rows into uncommitted slots) in slices, then is submitted
 * to the engine's commit queue. Invariants:
 * 1. All writes of this thread together stage at most about 2 ms per turn of the event loop.
 * 2. Writes of one queue are submitted in the order they were pushed; one stages at a time.
 * 3. A write that fails, or is aborted before it is submitted, gives everything back.
 * 4. Staging calls code of the caller's (getters, onProgress), which may end the write that is
 *    being staged, or close the database: nothing is staged or submitted twice.
 * A write into an idle queue stages at once, within the call: small ones wait for no turn.
 */

import type { Call } from '../call.js'
import { nowMs, setImmediate } from '../clock.js'
import { OmenError } from '../errors.js'

/** No slice begins after this much of a turn; a slice aims at SLICE_MS. */
const TURN_MS = 1.4
export const SLICE_MS = 0.4

/** One write: staged in slices, then submitted. */
export interface StagedWrite<T> {
  /** For progress; 0 if that is not counted in rows. */
  readonly rows: number
  /** Stages until nowMs() reaches `until`. Returns whether all is staged. */
  stage(until: number, call: Call | undefined): boolean
  submit(call: Call | undefined): Promise<T>
  /** Gives back what was staged. */
  abort(): void
}

/** Staging of this thread: shares each turn among the queues that have something to stage. */
class Turns {
  #queues: WriteQueue[] = []
  #spentMs = 0
  #isArmed = false

  /** Runs the queue now if this turn has time left, and in the next turns until it is through. */
  run(queue: WriteQueue): void {
    if (this.#queues.length > 0 || this.#spentMs >= TURN_MS || !this.#slice(queue)) {
      this.#queues.push(queue)
    }
    this.#arm()
  }

  #slice(queue: WriteQueue): boolean {
    const start = nowMs()
    const isThrough = queue.slice(start + TURN_MS - this.#spentMs)
    this.#spentMs += nowMs() - start
    return isThrough
  }

  #arm(): void {
    if (this.#isArmed) return
    this.#isArmed = true
    setImmediate(() => {
      this.#isArmed = false
      this.#spentMs = 0
      this.#turn()
    })
  }

  #turn(): void {
    while (this.#queues.length > 0 && this.#spentMs < TURN_MS) {
      const queue = this.#queues.shift() as WriteQueue
      if (!this.#slice(queue)) this.#queues.push(queue)
    }
    if (this.#queues.length > 0) this.#arm()
  }
}

const turns = new Turns()

interface Job {
  write: StagedWrite<unknown>
  call: Call | undefined
  resolve(value: unknown): void
  reject(error: unknown): void
  isOver: boolean
  isStaging: boolean
  next: Job | undefined
}

/** The writes of one handle to one collection, in the order of their calls. */
export class WriteQueue {
  #head: Job | undefined
  #tail: Job | undefined
  #isScheduled = false

  get isIdle(): boolean {
    return this.#head === undefined && !this.#isScheduled
  }

  push<T>(write: StagedWrite<T>, call?: Call): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const job: Job = {
        write,
        call,
        resolve: resolve as (value: unknown) => void,
        reject,
        isOver: false,
        isStaging: false,
        next: undefined,
      }
      if (this.#tail === undefined) this.#head = job
      else this.#tail.next = job
      this.#tail = job
      call?.wait((error: OmenError) => fail(job, error))
      if (this.#isScheduled) return
      this.#isScheduled = true
      turns.run(this)
    })
  }

  /** Called by Turns: stages and submits until then. Returns whether nothing is left. */
  slice(until: number): boolean {
    for (let job = this.#head; job !== undefined; job = this.#head) {
      if (!advance(job, until)) return false
      this.#pop(job)
      if (this.#head !== undefined && nowMs() >= until) return false
    }
    this.#isScheduled = false
    return true
  }

  // drainSync may have taken it out meanwhile.
  #pop(job: Job): void {
    if (this.#head !== job) return
    this.#head = job.next
    if (this.#head === undefined) this.#tail = undefined
  }

  /** Resolves when everything pushed before is submitted. */
  drained(): Promise<void> {
    return this.push({ rows: 0, stage: () => true, submit: async () => {}, abort: () => {} })
  }

  /** Stages and submits everything now: for closeSync. */
  drainSync(): void {
    for (let job = this.#head; job !== undefined; job = this.#head) {
      if (job.isStaging) fail(job, closedWithin())
      else advance(job, Number.POSITIVE_INFINITY)
      this.#pop(job)
    }
  }
}

function closedWithin(): OmenError {
  return new OmenError('ERR_CLOSED', 'the database was closed while this write took its input')
}

/** Stages until then, and submits what is staged. Returns whether the job is over. */
function advance(job: Job, until: number): boolean {
  if (job.isOver) return true
  const { write, call } = job
  job.isStaging = true
  try {
    if (!write.stage(until, call)) return job.isOver
  } catch (error) {
    fail(job, error)
    return true
  } finally {
    job.isStaging = false
  }
  if (!job.isOver) submit(job)
  return true
}

function submit(job: Job): void {
  const { write, call } = job
  job.isOver = true
  try {
    call?.submitted(write.rows)
    const work = write.submit(call)
    job.resolve(call === undefined ? work : call.settle(work, write.rows))
  } catch (error) {
    job.reject(error)
  }
}

function fail(job: Job, error: unknown): void {
  if (job.isOver) return
  job.isOver = true
  job.write.abort()
  job.call?.end()
  job.reject(error)
}
