// npm run bench: all sections, or those named: `npm run bench -- build search`.
//
// Options: `--rows N` bounds the rows of each set, `--sets sift,wordnet` chooses sets. OMENDB_DATA
// names the folder of the real sets; without it a seeded synthetic set takes their place.
// Results go to bench/results/<section>.json and .md; the terminal shows the same tables.

import { parseArgs } from 'node:util'
import { describeMachine } from './lib/machine.mjs'

const SECTIONS = [
  'kernels',
  'overhead',
  'threads',
  'build',
  'search',
  'filters',
  'churn',
  'eventloop',
  'growth',
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rows: { type: 'string' }, sets: { type: 'string' } },
})

const unknown = positionals.filter((name) => !SECTIONS.includes(name))
const rows = values.rows === undefined ? undefined : Number(values.rows)
if (unknown.length > 0 || (rows !== undefined && !(Number.isInteger(rows) && rows >= 1000))) {
  console.error(
    unknown.length > 0
      ? `no section ${unknown.join(', ')}; there are: ${SECTIONS.join(' ')}`
      : `--rows must be an integer of at least 1000, not ${values.rows}`,
  )
  process.exit(2)
}

for (const name of positionals.length > 0 ? positionals : SECTIONS) {
  const started = performance.now()
  const { run } = await import(`./sections/${name}.mjs`)
  const machine = describeMachine() // Before the run: the checkout may move on meanwhile.
  await run({ machine, rows, sets: values.sets?.split(',') })
  process.stderr.write(`${name}: ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
}
