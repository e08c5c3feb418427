// The benches' own arithmetic: a wrong recall or interpolation would flatter or slander engines.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { distanceAt, exactTruth, nearest, recallOf } from '../../bench/lib/exact.mjs'
import { median, percentile, spreadPercent } from '../../bench/lib/measure.mjs'
import { permutation, uniform } from '../../bench/lib/random.mjs'
import { markdownTable, number } from '../../bench/lib/report.mjs'
import { plot } from '../../bench/peers/plot.mjs'
import { ratioAt, speedAt, summarise } from '../../bench/peers/summary.mjs'

function randomSet(metric, rows, queries, dimensions) {
  const random = uniform(5)
  const make = (count) => Float32Array.from({ length: count * dimensions }, () => random() - 0.5)
  return { metric, dimensions, base: make(rows), queries: make(queries) }
}

// Truth is what every recall rests on: it must be what sorting all distances gives.
test('exact truth is what sorting every distance gives', () => {
  for (const metric of ['l2', 'cosine']) {
    for (const dimensions of [1, 2, 7, 32]) {
      const set = randomSet(metric, 150, 6, dimensions)
      const passes = Uint8Array.from({ length: 150 }, (_, row) => (row % 3 === 0 ? 1 : 0))
      for (const filter of [undefined, passes]) {
        const truth = exactTruth(set, 6, 5, filter)
        for (let q = 0; q < 6; ++q) {
          const rows = Array.from({ length: 150 }, (_, row) => row)
            .filter((row) => filter === undefined || filter[row] === 1)
            .map((row) => distanceAt(set, q, row))
            .sort((a, b) => a - b)
          const own = Array.from(truth.subarray(q * 5, q * 5 + 5), (row) => distanceAt(set, q, row))
          own.forEach((distance, i) => {
            assert.ok(Math.abs(distance - rows[i]) < 1e-9)
          })
        }
      }
    }
  }
})

// Equal distances are equal answers; a repeated id or a far one earns nothing.
test('recall counts ties as found and repeats once', () => {
  const base = Float32Array.from([0, 1, 1, 2, 9])
  const set = { metric: 'l2', dimensions: 1, base, queries: Float32Array.of(0) }
  const truth = exactTruth(set, 1, 2)
  assert.deepEqual([...truth], [0, 1])
  assert.equal(recallOf(set, truth, [[0, 2]], 2), 1)
  assert.equal(recallOf(set, truth, [[0, 0]], 2), 0.5)
  assert.equal(recallOf(set, truth, [[3, 4]], 2), 0)
  assert.equal(recallOf(set, truth, [[]], 2), 0)
  assert.equal(recallOf(set, truth, [['0', 999]], 2), 0.5)
  assert.equal(recallOf(set, Int32Array.of(0, -1), [[0]], 2), 1)
})

// A filter that passes fewer than k rows has a shorter truth, not a wrong one.
test('truth is padded where fewer rows pass', () => {
  const set = randomSet('l2', 20, 1, 4)
  const passes = new Uint8Array(20)
  passes[7] = 1
  assert.deepEqual([...exactTruth(set, 1, 3, passes)], [7, -1, -1])
  assert.deepEqual(nearest(Float64Array.of(3, 1, 2, 1), 3), [1, 3, 2])
})

// Speeds at a recall are read between two measured points, never beyond them.
test('speed at a recall is interpolated, and marked where it is only a bound', () => {
  const sweep = [
    { ef: 16, recall: 0.92, qps: 10_000 },
    { ef: 64, recall: 0.98, qps: 2_500 },
  ]
  assert.deepEqual(speedAt(sweep, 0.9), { qps: 10_000, atLeast: true })
  assert.ok(Math.abs(speedAt(sweep, 0.95).qps - 5_000) < 1e-6)
  assert.equal(speedAt(sweep, 0.99), undefined)
  assert.equal(speedAt([], 0.9), undefined)
})

// Noise that slows both engines of a round must cancel out of their ratio.
test('ratios are taken round by round', () => {
  const point = (qps) => ({ recall: 0.95, qps, p50Us: 1e6 / qps, p99Us: 2e6 / qps, cpuUs: 1 })
  const engine = (name, speeds) =>
    summarise({ name, builds: [], sweep: new Map([[16, speeds.map(point)]]) })
  const ours = engine('ours', [300, 30, 3000])
  const theirs = engine('theirs', [100, 10, 1000])
  assert.equal(ours.at[0.95].qps, 300)
  assert.ok(Math.abs(ours.at[0.95].p50Us - 1e6 / 300) < 1e-6)
  assert.deepEqual(ratioAt(ours, theirs, 0.95), {
    ratio: 3,
    spreadPercent: 0,
    bound: '',
    rounds: 3,
  })
  assert.equal(ratioAt(ours, theirs, 0.9).bound, '~')
  assert.equal(ratioAt(ours, theirs, 0.99), undefined)
})

// An engine that failed to install must be a line of the page, not a crash of the run.
test('an absent engine is summarised and left out of the plot', () => {
  const absent = summarise({ name: 'gone', builds: [], sweep: new Map(), absent: 'no binary' })
  assert.deepEqual(absent.sweep, [])
  const point = { recall: 0.95, qps: 5, p50Us: 1, p99Us: 2, cpuUs: 3 }
  const build = { threads: 1, rate: 10, cpuSeconds: 1, resident: 8, about: { version: '1' } }
  const present = summarise({ name: 'a<b', builds: [build], sweep: new Map([[16, [point]]]) })
  const machine = { cpu: 'c', cores: 1, flags: [], node: 'v', commit: 'd', date: '2026-01-01T' }
  const svg = plot({ set: 's', rows: 1, machine }, [absent, present])
  assert.match(svg, /a&lt;b/)
  assert.doesNotMatch(svg, /gone|NaN/)
})

// Figures in the tables come from these.
test('medians, percentiles and spreads', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.equal(percentile([1, 2, 3, 4], 0.5), 2)
  assert.equal(percentile([1, 2, 3, 4], 0.99), 4)
  assert.equal(spreadPercent([90, 100, 110]), 10)
  assert.deepEqual(
    [...permutation(100, 3)].sort((a, b) => a - b),
    [...Array(100).keys()],
  )
})

// The same table is read on the terminal and rendered on a page.
test('a Markdown table lines up', () => {
  assert.equal(
    markdownTable(
      ['set', 'rate'],
      [
        ['sift', number(12345.6)],
        ['x', '-'],
      ],
    ),
    ['| set  |   rate |', '| ---- | -----: |', '| sift | 12,346 |', '| x    |      - |'].join('\n'),
  )
})
