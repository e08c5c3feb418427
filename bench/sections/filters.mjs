// Filters: recall and speed from half of the rows passing down to a thousandth, by real fields, by
// a random one, and by fields that correlate with the query.

import { runJob } from '../lib/child.mjs'
import { availableSets, K, prepareSets } from '../lib/data.mjs'
import { number, percent, recall, writeSection } from '../lib/report.mjs'

const JOB = new URL('../jobs/filters.mjs', import.meta.url)
const CORRELATED = new URL('../jobs/correlated.mjs', import.meta.url)
const FIELDS = {
  wordnet: ['pos', 'lexfile'],
  sift: ['photo'],
  mnist: ['digit'],
  synthetic: ['cluster'],
}
const ROWS = 100_000

export async function run({ machine, sets, rows = ROWS }) {
  const names = sets ?? availableSets().filter((name) => name !== 'mnist')
  prepareSets(names)
  const results = []
  for (const set of names) {
    for (const quantization of ['sq8', 'none']) {
      const job = { set, rows, quantization }
      const byField = await runJob(JOB, { ...job, fields: FIELDS[set] })
      const byRank = await runJob(CORRELATED, job)
      results.push({
        ...job,
        rows: byField.figures.rows,
        cases: [...byField.results, ...byRank.results],
      })
      process.stderr.write(`filtered ${set} ${quantization}\n`)
    }
  }
  writeSection('filters', {
    machine,
    title: 'Filtered search',
    notes: [
      `recall@${K} against the exact truth of each filter; ties count as found.`,
      'ef 64, one query at a time.',
      'planned: what a user gets; graph: `exact: false`; exact: `exact: true`.',
      'first: the first query, with nothing about the filter cached.',
      'by scan: share of the queries whose walk found too few, so that the exact scan answered.',
      'correlated: the share nearest the query passes; anticorrelated: the share farthest from it.',
      'Each query has its own filter there.',
    ],
    tables: results.map((result) => ({
      caption: `${result.set}, ${result.quantization}, ${number(result.rows)} rows`,
      header: HEADER,
      rows: result.cases.map(row),
    })),
    data: { results },
  })
}

const HEADER = [
  'filter',
  'share',
  'passing',
  'plan',
  'by scan',
  `recall@${K}`,
  'queries/s',
  'p99 us',
  'first us',
  'graph by scan',
  'graph recall',
  'graph queries/s',
  'exact queries/s',
]

function row({ field, share, passing, plan, planned, graph, exact }) {
  return [
    field,
    `${100 * share} %`,
    number(passing),
    plan,
    percent(planned.fallback),
    recall(planned.recall),
    number(planned.qps),
    number(planned.p99Us),
    number(planned.firstUs),
    percent(graph.fallback),
    recall(graph.recall),
    number(graph.qps),
    number(exact.qps),
  ]
}
