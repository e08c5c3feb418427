// Build: how fast rows go in, what they weigh, and the recall of what came of it.

import { runJob } from '../lib/child.mjs'
import { availableSets, K, prepareSets, VARIANTS } from '../lib/data.mjs'
import { number, recall, writeSection } from '../lib/report.mjs'

const JOB = new URL('../jobs/collection.mjs', import.meta.url)
const BUILDS = 3

/** What to build of each set: codecs, kinds of floats, orders, batch sizes, threads. */
function configurations(names, rows) {
  const all = []
  for (const set of names) {
    const base = { set, variant: 'plain', rows, order: 'shuffled', quantization: 'sq8' }
    for (const quantization of ['none', 'binary']) all.push({ ...base, quantization })
    for (const variant of VARIANTS) all.push({ ...base, variant })
    if (set === 'sift' || set === 'synthetic') {
      all.push({ ...base, order: 'ordered' })
      all.push({ ...base, batchRows: 1000 })
      all.push({ ...base, threads: 1 })
    }
  }
  return all
}

export async function run({ machine, sets = availableSets(), rows }) {
  prepareSets(sets, VARIANTS)
  const results = []
  for (const configuration of configurations(sets, rows)) {
    const { threads, ...job } = configuration
    const env = threads === undefined ? {} : { OMENDB_THREADS: String(threads) }
    const result = await runJob(JOB, { ...job, builds: BUILDS }, env)
    results.push({ ...configuration, ...result })
    process.stderr.write(`built ${job.set} ${job.variant} ${job.quantization}\n`)
  }
  writeSection('build', {
    machine,
    title: 'Build',
    notes: [
      'One `addBatch` with all rows unless a batch size is given. threads: of the pool.',
      `Medians of ${BUILDS} builds in one process; first: the first of them, in memory that the ` +
        'process, and on a virtual machine perhaps the host, has yet to find.',
      `recall@${K} with default options (ef 64), against exact truth; ties count as found.`,
      '`bytes` from stats(): all, and all but originals; `resident`: growth of the process.',
      'scaled: the dimension of largest variance times 100; rotated: the same data as real floats.',
    ],
    tables: [{ caption: 'Vectors per second', header: HEADER, rows: results.map(row) }],
    data: { results },
  })
}

const HEADER = [
  'set',
  'floats',
  'codec',
  'order',
  'batch',
  'threads',
  'rows',
  'vectors/s',
  'first',
  'per CPU s',
  `recall@${K}`,
  'bytes',
  'derived',
  'resident',
  'unreachable',
]

function row(result) {
  return [
    result.set,
    result.variant,
    result.quantization,
    result.order,
    result.batchRows ?? 'all',
    result.threads ?? 'all',
    number(result.rows),
    number(result.rate),
    number(result.firstRate),
    number(result.ratePerCpuSecond),
    recall(result.byDefault.recall),
    number(result.bytes.total),
    number(result.bytes.derived),
    number(result.residentPerVector),
    result.unreachable,
  ]
}
