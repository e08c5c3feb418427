// npm run bench:open: from a stored index to the first answer, OmenDB beside other engines, by
// turns and each time in a process of its own.
//
// Options: --rounds N (9), --rows N at most (all: 200 000 of SIFT), --engines "omendb mapped,zvec".
// Recall is that of the first query among all rows. Indexes are made
// once in a folder of the system's for temporary files, and removed. An engine that does not
// install or fails is a line in the table.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openSet } from '../lib/data.mjs'
import { describeMachine } from '../lib/machine.mjs'
import { median } from '../lib/measure.mjs'
import { number, writeSection } from '../lib/report.mjs'
import { installPeers } from './install.mjs'
import { OPENINGS } from './openings.mjs'

const CHILD = fileURLToPath(new URL('./open-child.mjs', import.meta.url))
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    rows: { type: 'string', default: '1000000000' },
    engines: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be a positive integer')
const names = values.engines?.split(',') ?? Object.keys(OPENINGS)
for (const name of names) if (!(name in OPENINGS)) throw new Error(`no engine is named ${name}`)

const machine = describeMachine()
const { base, dimensions } = openSet('sift')
const rows = Math.min(Number(values.rows), base.length / dimensions)
if (!Number.isInteger(rows) || rows < 1) throw new Error('--rows must be a positive integer')
const home = mkdtempSync(join(tmpdir(), 'omendb-open-'))

function run(verb, name) {
  const folder = join(home, OPENINGS[name].folder)
  const args = [CHILD, verb, name, folder, String(rows)]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1))
  const told = stderr.split('\n').find((line) => /error/i.test(line))
  throw new Error(told?.trim() ?? `ended with ${status}`)
}

installPeers()
const entries = names.map((name) => ({ name, times: [], recalls: [], absent: undefined }))
function attempt(entry, step) {
  if (entry.absent !== undefined) return
  try {
    step(entry)
  } catch (error) {
    entry.absent = String(error.message)
    process.stderr.write(`${entry.name}: ${entry.absent}\n`)
  }
}
try {
  const saved = new Set()
  for (const entry of entries) {
    attempt(entry, ({ name }) => {
      const { folder } = OPENINGS[name]
      if (saved.has(folder)) return
      saved.add(folder)
      mkdirSync(join(home, folder))
      const start = performance.now()
      run('save', name)
      const seconds = ((performance.now() - start) / 1000).toFixed(0)
      process.stderr.write(`${name}: stored in ${seconds} s\n`)
    })
  }
  for (let round = 0; round <= rounds; ++round) {
    for (const entry of entries) {
      attempt(entry, ({ name, times, recalls }) => {
        const { ms, recall } = run('open', name)
        if (round === 0) return // Brings the files into the cache.
        times.push(ms)
        recalls.push(recall)
      })
    }
  }
} finally {
  rmSync(home, { recursive: true, force: true })
}
const best = Math.min(
  ...entries.filter(({ times }) => times.length > 0).map((e) => median(e.times)),
)
writeSection('open', {
  machine,
  title: `Opening ${rows.toLocaleString('en')} x ${dimensions} to the first answer`,
  tables: [
    {
      caption: `SIFT, files in the cache, a process each, medians of ${rounds} by turns`,
      header: ['engine', 'ms', 'of the fastest', 'recall@10', 'it holds'],
      rows: entries.map(({ name, times, recalls, absent }) =>
        absent === undefined
          ? [name, median(times), median(times) / best, median(recalls)]
              .map((cell) => (typeof cell === 'number' ? number(cell) : cell))
              .concat(OPENINGS[name].holds)
          : [name, '-', '-', '-', absent],
      ),
    },
  ],
  data: { entries },
})
