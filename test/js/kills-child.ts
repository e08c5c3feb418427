// What kills.test.ts runs and kills.
//
//   node kills-child.js PATH DURABILITY IN_FLIGHT SEED a=3 b=0 c=7    writes operation 3 of a and
//       so on in a random order; prints "+a 3" before it is begun and "=a 3" when it has resolved
//   node kills-child.js PATH recover    prints "opening", opens it, prints "open", and waits
import { writeSync } from 'node:fs'
import { DB } from 'omendb'
import { NAMES, write } from './kills.js'
import { random } from './support.js'

async function recover(where: string): Promise<void> {
  writeSync(1, 'opening\n')
  await DB.open(where)
  writeSync(1, 'open\n')
  setInterval(() => {}, 1000)
}

async function writeOn(where: string, durability: 'sync', given: string[]): Promise<void> {
  const [inFlight, seed, ...counts] = given
  // Checkpoints all the while, oftener in some runs than in others.
  const checkpointBytes = 2000 + (Number(seed) % 7) * 3000
  const db = await DB.open(where, { durability, metric: 'l2', checkpointBytes })
  const next = random(Number(seed))
  const done = new Map(counts.map((c) => [c[0] as string, Number(c.slice(2))]))
  const waiting = new Set<Promise<void>>()
  for (;;) {
    const name = NAMES[Math.floor(next() * NAMES.length)] as string
    const n = done.get(name) as number
    const collection = await db.collection(name)
    done.set(name, n + 1)
    writeSync(1, `+${name} ${n}\n`)
    const one = write(collection, name, n).then(() => {
      writeSync(1, `=${name} ${n}\n`)
      waiting.delete(one)
    })
    waiting.add(one)
    if (waiting.size >= Number(inFlight)) await Promise.race(waiting)
    if (next() < 0.02) void db.flush()
  }
}

const [where = '', how = '', ...given] = process.argv.slice(2)
void (how === 'recover' ? recover(where) : writeOn(where, how as 'sync', given))
