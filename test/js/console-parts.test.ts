// Parts of the console's page that need no browser: components, quantiles, what is typed.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test, { before } from 'node:test'
import { build } from 'esbuild'
import { flatVectors, random } from './support.js'

const root = path.resolve(__dirname, '../..')

interface Parts {
  principalComponents(
    vectors: Float32Array,
    dimensions: number,
  ): { points: Float32Array; shares: number[]; axes: Float64Array; mean: Float64Array }
  projected(components: object, vector: Float32Array): number[]
  readId(text: string): unknown[]
  readVector(text: string, dimensions: number): Float32Array
  readMetrics(text: string): { name: string; labels: Record<string, string>; value: number }[]
  quantileOf(histogram: Map<number, number>, quantile: number): number | undefined
  quantileOfTimes(times: number[], quantile: number): number | undefined
  searchHistogram(points: object[]): Map<number, number>
  since(now: Map<number, number>, before: Map<number, number>): Map<number, number>
  fieldsOf(metadata: object[]): string[]
  colouringOf(metadata: object[], path?: string): { colours: string[]; categories?: object[] }
  shownNumber(value: number): string
  shownBytes(value: number): string
}
let parts: Parts

before(async () => {
  const names = ['pca', 'input', 'prometheus', 'colours', 'format']
  const outfile = path.join(root, 'out/js-test/console-parts.cjs')
  await build({
    stdin: {
      contents: names.map((name) => `export * from './${name}.ts'`).join('\n'),
      resolveDir: path.join(root, 'lib/console'),
    },
    bundle: true,
    format: 'cjs',
    outfile,
    logLevel: 'error',
  })
  parts = require(outfile)
})

/** The largest two eigenvalues of a symmetric matrix, with vectors, by power and deflation. */
function eigen(matrix: number[][]): { value: number; vector: number[] }[] {
  let rest = matrix
  return [0, 1].map(() => {
    let vector = rest.map((_, i) => Math.sin(i + 1))
    let value = 0
    for (let i = 0; i < 3000; i++) {
      const next = rest.map((row) => row.reduce((sum, x, j) => sum + x * vector[j], 0))
      value = Math.hypot(...next)
      vector = next.map((x) => x / (value || 1))
    }
    rest = rest.map((row, i) => row.map((x, j) => x - value * vector[i] * vector[j]))
    return { value, vector }
  })
}

// Whatever the shape: few rows of many dimensions, many rows of few, and more rows than that.
test('components are those of the matrix of all inner products', () => {
  for (const [rows, dimensions] of [
    [30, 3000],
    [200, 3],
    [60, 60],
    [5, 2],
    [40, 1],
  ] as const) {
    const vectors = flatVectors(rows, dimensions, rows + dimensions)
    // Two directions stand out, so that which they are is no matter of chance.
    for (let r = 0; r < rows; r++)
      for (let d = 0; d < dimensions; d++)
        vectors[r * dimensions + d] +=
          8 * Math.sin(r * 1.7) * Math.cos(d) + 4 * Math.cos(r * 0.9) * Math.sin(2 * d)
    const { points, shares, axes, mean } = parts.principalComponents(vectors, dimensions)
    const centred = Array.from({ length: rows }, (_, r) =>
      Array.from({ length: dimensions }, (_, d) => vectors[r * dimensions + d] - mean[d]),
    )
    const gram = centred.map((a) => centred.map((b) => a.reduce((s, x, d) => s + x * b[d], 0)))
    const total = gram.reduce((sum, row, i) => sum + row[i], 0)
    const wanted = eigen(gram)
    for (let k = 0; k < Math.min(2, dimensions); k++) {
      const { value, vector } = wanted[k] as { value: number; vector: number[] }
      assert.ok(Math.abs(shares[k] - value / total) < 1e-6, `${rows} x ${dimensions}, share ${k}`)
      const sign = Math.sign(vector.reduce((sum, x, r) => sum + x * points[2 * r + k], 0))
      for (let r = 0; r < rows; r++) {
        const reference = sign * Math.sqrt(value) * vector[r]
        const off = Math.abs(points[2 * r + k] - reference) / Math.sqrt(value)
        assert.ok(off < 1e-4, `${rows} x ${dimensions}, row ${r}, component ${k}: off by ${off}`)
      }
    }
    const first = axes.subarray(0, dimensions)
    assert.ok(Math.abs(Math.hypot(...first) - 1) < 1e-9)
    const [x, y] = parts.projected({ axes, mean }, vectors.subarray(0, dimensions))
    assert.ok(Math.abs(x - points[0]) < 1e-3 && Math.abs(y - points[1]) < 1e-3)
  }
})

// Nothing to see is no reason to fail or to show NaN.
test('components of samples without two directions', () => {
  const cases: [Float32Array, number][] = [
    [new Float32Array([1, 2, 3]), 3],
    [new Float32Array(20).fill(7), 4],
    [new Float32Array(0), 5],
    [Float32Array.from({ length: 30 }, (_, i) => Math.floor(i / 3)), 3],
    [new Float32Array([3e38, -3e38, 3e38, 1]), 2],
  ]
  for (const [vectors, dimensions] of cases) {
    const { points, shares } = parts.principalComponents(vectors, dimensions)
    assert.equal(points.length, (2 * vectors.length) / dimensions)
    assert.ok(
      [...shares].every((share) => share >= 0 && share <= 1 + 1e-9),
      String(shares),
    )
    assert.ok(!points.some(Number.isNaN), String(points))
  }
})

// The quantile of a histogram lies in the bucket of the true one.
test('quantiles of histograms and of times', () => {
  const bounds = [0.001, 0.01, 0.1, 1, Number.POSITIVE_INFINITY]
  const next = random(5)
  const times = Array.from({ length: 1000 }, () => 10 ** (-4 + 3.9 * next()))
  const histogram = new Map(bounds.map((b) => [b, times.filter((t) => t <= b).length]))
  for (const q of [0.01, 0.5, 0.9, 0.99]) {
    const exact = parts.quantileOfTimes(times, q) as number
    const rough = (parts.quantileOf(histogram, q) as number) / 1000
    const bucket = bounds.findIndex((b) => exact <= b)
    assert.ok(rough <= bounds[bucket] && rough >= (bounds[bucket - 1] ?? 0), `${q}: ${rough}`)
  }
  assert.equal(parts.quantileOf(new Map(), 0.5), undefined)
  assert.equal(parts.quantileOfTimes([], 0.5), undefined)
  assert.equal(
    parts.quantileOf(
      new Map([
        [0.1, 0],
        [Number.POSITIVE_INFINITY, 4],
      ]),
      0.5,
    ),
    100,
  )
})

// Labels may hold what the format must quote; a server that was started anew counts from 0.
test('metrics are read, searches of all transports summed', () => {
  const bucket = 'omendb_request_seconds_bucket'
  const text = `# HELP a b
omendb_rows{collection="a\\"b\\\\c\\nd"} 5
${bucket}{le="0.1",transport="rest",method="POST /v1/collections/:name/search"} 2
${bucket}{le="+Inf",transport="rest",method="POST /v1/collections/:name/search"} 3
${bucket}{le="0.1",transport="connect",method="Search"} 4
${bucket}{le="+Inf",transport="connect",method="Search"} 4
${bucket}{le="+Inf",transport="connect",method="Write"} 100
`
  const points = parts.readMetrics(text)
  assert.equal(points[0]?.labels.collection, 'a"b\\c\nd')
  const histogram = parts.searchHistogram(points)
  assert.deepEqual(
    [...histogram],
    [
      [0.1, 6],
      [Number.POSITIVE_INFINITY, 7],
    ],
  )
  const before = new Map([...histogram].map(([bound, count]) => [bound, count - 1]))
  assert.deepEqual([...parts.since(histogram, before).values()], [1, 1])
  assert.deepEqual([...parts.since(before, histogram).values()], [...before.values()])
})

test('ids and vectors are read as they are typed', () => {
  assert.deepEqual(parts.readId(' 17 '), [17, '17'])
  assert.deepEqual(parts.readId('"17"'), ['17'])
  assert.deepEqual(parts.readId('18446744073709551615'), [2n ** 64n - 1n, '18446744073709551615'])
  assert.deepEqual(parts.readId('18446744073709551616'), ['18446744073709551616'])
  assert.deepEqual(parts.readId('a b'), ['a b'])
  assert.deepEqual(parts.readId('"a"b"'), ['"a"b"'])
  assert.deepEqual([...parts.readVector('[1, -2.5e0,3]', 3)], [1, -2.5, 3])
  assert.deepEqual([...parts.readVector('1\t2;3\n', 0)], [1, 2, 3])
  for (const wrong of ['', '[]', '1 2 NaN', '1,,0x', 'Infinity 1 2', '1 2 3 4'])
    assert.throws(() => parts.readVector(wrong, 3), /vector/i)
})

test('the field that tells the most colours first; others share a grey', () => {
  const metadata = Array.from({ length: 60 }, (_, n) => ({
    key: `k${n}`,
    deep: { group: n % 3 },
    tags: [`t${n % 20}`, 'x'],
    at: new Date(n * 1e9),
  }))
  assert.deepEqual(parts.fieldsOf(metadata), ['deep.group', 'at', 'tags', 'key'])
  assert.equal(parts.colouringOf(metadata, 'tags').categories?.length, 11)
  assert.equal(new Set(parts.colouringOf(metadata, 'deep.group').colours).size, 3)
  assert.ok(new Set(parts.colouringOf(metadata, 'at').colours).size > 30)
  assert.equal(new Set(parts.colouringOf([{}, { a: null }], 'a').colours).size, 1)
})

test('figures keep the digits that matter', () => {
  const numbers = [0, 1.26e6, 0.123456, 12345.6, 1e-7, -3.24681, 5e12].map(parts.shownNumber)
  const wanted = ['0', '1,260,000', '0.123', '12,346', '1.00e-7', '-3.25', '5.00e+12']
  assert.deepEqual(numbers, wanted)
  const bytes = [0, 900, 2048, 15 * 2 ** 20, 3.5 * 2 ** 40].map(parts.shownBytes)
  assert.deepEqual(bytes, ['0 B', '900 B', '2.0 KiB', '15 MiB', '3.5 TiB'])
})

// What users install and load: a few small files, whatever the console comes to hold.
test('the page stays small', () => {
  const files = ['index.html', 'console.js', 'worker.js', 'console.css', 'icon.svg']
  const sizes = files.map((f) => readFileSync(path.join(root, 'dist/console', f)).length)
  const client = readFileSync(path.join(root, 'dist/client.browser.mjs')).length
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 100_000, String(sizes))
  assert.ok(client < 150_000, String(client))
})
