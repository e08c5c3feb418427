// The column of vectors that is written by hand: whatever the dimensions, over several pages and
// row groups, compressed or not, a reader of Parquet finds the very numbers.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { gunzipSync } from 'node:zlib'
import { makeSink } from '../../dist/lib/cli/formats/index.js'
import { repetitionLevels } from '../../dist/lib/cli/formats/parquet-vectors.js'
import { toFile } from '../../dist/lib/cli/output.js'
import { random, runSeed } from './support.js'

/** Levels as a reader unpacks them: groups of eight bits, the lowest first. */
function unpacked(bytes: Buffer, count: number): number[] {
  let at = 0
  let head = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number
    head += (byte & 127) * 2 ** shift
    if (byte < 128) break
  }
  assert.equal(head % 2, 1, 'not bit-packed')
  assert.equal(Math.floor(head / 2), bytes.length - at, 'groups and bytes differ')
  return Array.from({ length: count }, (_, i) => ((bytes[at + (i >> 3)] as number) >> (i & 7)) & 1)
}

test('repetition levels are 0 where a vector begins', () => {
  for (const dimensions of [1, 2, 3, 7, 8, 9, 16, 130])
    for (const rows of [1, 2, 5, 64, 1000]) {
      const levels = unpacked(repetitionLevels(rows, dimensions), rows * dimensions)
      const wanted = levels.map((_, i) => (i % dimensions === 0 ? 0 : 1))
      assert.deepEqual(levels, wanted, `${rows} x ${dimensions}`)
    }
})

test('vectors come back from Parquet bit for bit', { timeout: 60_000 }, async (t) => {
  const made = mkdtempSync(path.join(tmpdir(), 'omendb-parquet-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  const { parquetReadObjects, parquetMetadata } = await import('hyparquet')
  const next = random(runSeed(3))
  const codecs = new Set<string>()
  for (const [dimensions, rows, isRound] of [
    [1, 1000, true],
    [7, 3000, false],
    [8, 1, false],
    [700, 1500, false],
    [1030, 3000, true],
  ] as const) {
    // Integers shrink, random numbers do not; some are what only their bits tell apart.
    const value = () => (isRound ? Math.floor(next() * 4) : next() - 0.5)
    const all = Array.from({ length: rows }, (_, id) => {
      const vector = Float32Array.from({ length: dimensions }, value)
      if (id % 100 === 0) vector[dimensions - 1] = id % 200 === 0 ? -0 : 1e-42
      return { id, vector, metadata: id % 3 === 0 ? { n: id } : {} }
    })
    const file = path.join(made, `${dimensions}.parquet`)
    const output = await toFile(file)
    const plan = { rows, dimensions, ids: 'integer' } as const
    const sink = await makeSink(output, file, 'parquet', plan, undefined)
    for (let from = 0; from < rows; from += 256) await sink.write(all.slice(from, from + 256))
    await sink.finish()
    await output.finish()
    const bytes = readFileSync(file)
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    for (const { columns } of parquetMetadata(buffer as ArrayBuffer).row_groups)
      codecs.add(String(columns[1]?.meta_data?.codec))
    const compressors = { GZIP: (input: Uint8Array) => new Uint8Array(gunzipSync(input)) }
    const found = await parquetReadObjects({ file: buffer as ArrayBuffer, compressors })
    assert.equal(found.length, rows)
    for (const [i, row] of found.entries()) {
      const { id, vector, metadata } = all[i] as (typeof all)[number]
      assert.equal(row.id, BigInt(id))
      assert.deepEqual(Float32Array.from(row.vector), vector)
      assert.equal(row.metadata, JSON.stringify(metadata))
    }
  }
  assert.deepEqual([...codecs].sort(), ['GZIP', 'UNCOMPRESSED'])
})
