// What disk.test.ts runs and kills: a process that writes to a database until it dies.
//
//   node disk-child.js PATH DURABILITY FIRST    writes batch FIRST, FIRST + 1, ...; prints each
//                                               number once the batch has resolved
//   node disk-child.js PATH hold                opens it, prints "open", and waits
import { writeSync } from 'node:fs'
import { DB } from 'omendb'
import { batchOf } from './support.js'

async function main([path, how, first]: string[]): Promise<void> {
  if (how === 'hold') {
    await DB.open(path as string)
    writeSync(1, 'open\n')
    setInterval(() => {}, 1000)
    return
  }
  const db = await DB.open(path as string, { durability: how as 'sync', metric: 'l2' })
  const waiting = new Set<Promise<void>>()
  for (let n = Number(first); ; ++n) {
    const write = db.add(batchOf(n)).then(() => {
      writeSync(1, `${n}\n`)
      waiting.delete(write)
    })
    waiting.add(write)
    if (waiting.size >= 8) await Promise.race(waiting) // Several at once share a sync.
  }
}

void main(process.argv.slice(2))
