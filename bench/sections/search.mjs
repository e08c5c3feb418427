// Search: queries per second beside recall, over a sweep of ef on the forced graph.

import { runJob } from '../lib/child.mjs'
import { availableSets, K, prepareSets, VARIANTS } from '../lib/data.mjs'
import { number, recall, writeSection } from '../lib/report.mjs'

const JOB = new URL('../jobs/collection.mjs', import.meta.url)
const EFS = [10, 16, 24, 32, 48, 64, 96, 128, 256]

export async function run({ machine, sets = availableSets(), rows }) {
  prepareSets(sets, VARIANTS)
  const results = []
  for (const set of sets) {
    const configurations = [
      ['plain', 'none'],
      ...VARIANTS.flatMap((variant) => [
        [variant, 'sq8'],
        [variant, 'binary'],
      ]),
    ]
    for (const [variant, quantization] of configurations) {
      const job = { set, variant, quantization, rows, efs: EFS }
      results.push({ ...job, ...(await runJob(JOB, job)) })
      process.stderr.write(`searched ${set} ${variant} ${quantization}\n`)
    }
  }
  writeSection('search', {
    machine,
    title: 'Search',
    notes: [
      'One query at a time by `searchSync` (with `include: "none"`) on the JavaScript thread.',
      'CPU us: of all threads, for one single query. batch: all queries in one `searchBatch` on ' +
        'all threads. Medians of 3 rounds.',
      `recall@${K} against exact truth; ties count as found. ef \`exact\`: the exact scan.`,
    ],
    tables: results.map((result) => ({
      caption: [
        `${result.set}, ${result.variant} floats`,
        result.quantization,
        `${number(result.rows)} rows`,
      ].join(', '),
      header: [
        'ef',
        `recall@${K}`,
        'queries/s',
        'p50 us',
        'p99 us',
        'CPU us',
        'batch queries/s',
        'batch recall',
      ],
      rows: sweepRows(result),
    })),
    data: { results },
  })
}

function sweepRows({ sweep, exact }) {
  const rows = sweep.map((point) => [
    point.ef,
    recall(point.recall),
    number(point.qps),
    number(point.p50Us),
    number(point.p99Us),
    number(point.cpuUs),
    number(point.batchQps),
    recall(point.batchRecall),
  ])
  return [
    ...rows,
    [
      'exact',
      recall(exact.recall),
      number(exact.qps),
      number(exact.p50Us),
      number(exact.p99Us),
      number(exact.cpuUs),
      '-',
      '-',
    ],
  ]
}
