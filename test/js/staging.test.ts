// Staging, with writes of this test's own: order, the share of a turn, aborts, draining.
import assert from 'node:assert/strict'
import test from 'node:test'
import { type StagedWrite, WriteQueue } from '../../dist/lib/collection/staging.js'
import { turn } from './support.js'

interface Probe extends StagedWrite<string> {
  slices: number[]
  isAborted: boolean
}

/** A write that takes `slices` slices of about `ms`; `log` gets its name when it is submitted. */
function probe(name: string, slices: number, ms: number, log: string[]): Probe {
  return {
    rows: 1,
    slices: [],
    isAborted: false,
    stage(until) {
      while (this.slices.length < slices) {
        if (performance.now() >= until) return false
        const start = performance.now()
        while (performance.now() - start < ms);
        this.slices.push(performance.now() - start)
      }
      return true
    },
    async submit() {
      log.push(name)
      return name
    },
    abort() {
      this.isAborted = true
    },
  }
}

test('a small write into an idle queue is submitted within the call', () => {
  const log: string[] = []
  void new WriteQueue().push(probe('a', 1, 0, log))
  assert.deepEqual(log, ['a'])
})

// Commits follow the order of calls, also where an early write needs many turns.
test('writes are submitted in the order of their calls', async () => {
  const log: string[] = []
  const queue = new WriteQueue()
  const names = ['a', 'b', 'c', 'd']
  const results = await Promise.all(
    names.map((name, i) => queue.push(probe(name, i === 0 ? 20 : 1, 0.3, log))),
  )
  assert.deepEqual(log, names)
  assert.deepEqual(results, names)
})

// However many writes wait, a turn of the event loop is not held up for long.
test('all queues together stage a bounded time per turn', async () => {
  const log: string[] = []
  const writes = [1, 2, 3].map((n) => new WriteQueue().push(probe(`${n}`, 20, 0.2, log)))
  let isDone = false
  const all = Promise.all(writes).then(() => {
    isDone = true
  })
  let turns = 0
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve))
    turns += 1
  }
  await all
  // 12 ms of staging at 2 ms a turn. A busy machine makes turns longer, not fewer by much.
  assert.ok(turns >= 6, `${turns} turns`)
})

test('a failing write gives back what it staged, and the next goes on', async () => {
  const log: string[] = []
  const queue = new WriteQueue()
  const bad = probe('bad', 1, 0, log)
  bad.stage = () => {
    throw new Error('row 7')
  }
  const good = probe('good', 1, 0, log)
  const [a, b] = await Promise.allSettled([queue.push(bad), queue.push(good)])
  assert.equal(a.status, 'rejected')
  assert.equal(b.status, 'fulfilled')
  assert.ok(bad.isAborted && !good.isAborted)
})

test('drainSync stages and submits everything at once', async () => {
  const log: string[] = []
  const queue = new WriteQueue()
  const writes = ['a', 'b', 'c'].map((name) => queue.push(probe(name, 10, 0.3, log)))
  queue.drainSync()
  assert.deepEqual(log, ['a', 'b', 'c'])
  await Promise.all(writes)
  await turn()
  const later = queue.push(probe('d', 1, 0, log))
  assert.equal(await later, 'd')
})

test('drained resolves when what came before is submitted', async () => {
  const log: string[] = []
  const queue = new WriteQueue()
  void queue.push(probe('a', 10, 0.3, log))
  await queue.drained()
  assert.deepEqual(log, ['a'])
})
