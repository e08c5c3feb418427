// What disk.test.ts runs: a process that holds a database open for writing until it is killed.
//
//   node disk-child.js PATH    opens it, prints "open", and waits
import { writeSync } from 'node:fs'
import { DB } from 'omendb'

async function main([where]: string[]): Promise<void> {
  await DB.open(where as string)
  writeSync(1, 'open\n')
  setInterval(() => {}, 1000)
}

void main(process.argv.slice(2))
