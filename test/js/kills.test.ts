// A writing process is killed at some moment, again and again, also while it recovers from the kill
// before: nothing that had resolved is lost, batches are whole, and what is there is the beginning
// of what was written.
//
// OMENDB_KILLS: how many kills at each durability (7; npm run test:durability: 667).
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DB } from 'omendb'
import { apply, IN_FLIGHT, NAMES, type Rows, rowsOf } from './kills.js'
import { random, vectors } from './support.js'

const KILLS = Number(process.env.OMENDB_KILLS ?? 7)
const ROUNDS_OF_ONE = 12 // Then a new database: a log only grows, and is read at each opening.
const FIRST_ROWS = 1500 // So that reading it takes a while, in which it may be killed.

/** One database, and what it must hold: of each collection, after so many operations. */
class Subject {
  readonly rows = new Map<string, Rows>(NAMES.map((name) => [name, new Map()]))
  readonly counts = new Map<string, number>(NAMES.map((name) => [name, 0]))
  constructor(readonly where: string) {}
}

function child(...args: string[]): ChildProcess {
  const script = path.join(__dirname, 'kills-child.js')
  return spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Waits for its first output, then for a while, and kills it. Returns all that it printed. */
async function killed(process: ChildProcess, ms: number): Promise<string> {
  const output = process.stdout as NodeJS.ReadableStream
  let text = ''
  output.on('data', (data: Buffer) => (text += data))
  const ended = once(output, 'end')
  const exited = once(process, 'exit')
  await once(output, 'data')
  await sleep(ms)
  process.kill('SIGKILL')
  const [, signal] = await exited
  await ended
  assert.equal(signal, 'SIGKILL', `it ended by itself: ${text.slice(-300)}`)
  return text
}

const textOf = (rows: Rows): string =>
  JSON.stringify(
    [...rows]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, row]) => [id, row.vector, Object.entries(row.metadata).sort()]),
  )

/** The last operation of each collection that a line begins with, and one more. */
function countOf(output: string, start: string, otherwise: number): number {
  const numbers = output.split('\n').flatMap((line) => {
    const [name, n] = line.split(' ')
    return name === start && n !== undefined && n !== '' ? [Number(n)] : []
  })
  return Math.max(otherwise, ...numbers.map((n) => n + 1))
}

/** Opens what the kill left, and takes over what it holds. */
async function lookAfter(subject: Subject, output: string): Promise<void> {
  const db = await DB.open(subject.where)
  assert.equal(await (await db.collection('first')).count(), FIRST_ROWS)
  for (const name of NAMES) {
    const before = subject.counts.get(name) as number
    const resolved = countOf(output, `=${name}`, before)
    const begun = countOf(output, `+${name}`, before)
    const found = textOf(await rowsOf(db, name))
    const rows = subject.rows.get(name) as Rows
    let holds = -1
    const kept = new Map(rows)
    for (let n = before; ; ++n) {
      if (n >= resolved && textOf(kept) === found) {
        holds = n // The last: an operation that changed nothing need not be done again.
        subject.rows.set(name, new Map(kept))
      }
      if (n === begun) break
      apply(kept, name, n)
    }
    assert.notEqual(
      holds,
      -1,
      `${name}: ${resolved} resolved, ${begun} begun; found ${found.slice(0, 2000)}`,
    )
    subject.counts.set(name, holds)
  }
  for (const report of await db.check()) assert.ok(report.ok, report.problem)
  await db.close()
}

async function makeFirst(where: string): Promise<void> {
  const db = await DB.open(where, { durability: 'os', metric: 'l2' })
  await (await db.collection('first')).addBatch(vectors(FIRST_ROWS, 16))
  await db.close()
}

for (const durability of ['sync', 'periodic', 'os'] as const) {
  test(`kill -9 loses nothing acknowledged: ${durability}`, async () => {
    const home = mkdtempSync(path.join(tmpdir(), 'omendb-kills-'))
    const next = random()
    let kills = 0
    let within = 0
    let operations = 0
    for (let made = 0; kills < KILLS; ++made) {
      const subject = new Subject(path.join(home, String(made)))
      await makeFirst(subject.where)
      for (let round = 0; round < ROUNDS_OF_ONE && kills < KILLS; ++round) {
        // One at a time: then at most one operation of all collections is in doubt.
        const inFlight = next() < 0.3 ? 1 : IN_FLIGHT
        const counts = NAMES.map((name) => `${name}=${subject.counts.get(name)}`)
        const seed = Math.floor(next() * 2 ** 31)
        const writer = child(subject.where, durability, `${inFlight}`, `${seed}`, ...counts)
        const output = await killed(writer, next() * 120)
        kills += 1
        for (; next() < 0.4 && kills < KILLS; ++kills, ++within)
          await killed(child(subject.where, 'recover'), next() * 40)
        await lookAfter(subject, output)
        operations += output.split('=').length - 1
      }
      rmSync(subject.where, { recursive: true })
      console.log(`${kills} of ${KILLS} kills at ${durability}`)
    }
    assert.ok(operations > 0)
    rmSync(home, { recursive: true, force: true })
    const what = `${within} of them while it recovered, ${operations} operations had resolved`
    console.log(`# ${kills} kills at ${durability}, ${what}`)
  })
}
