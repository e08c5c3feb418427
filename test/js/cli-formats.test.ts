// The formats of the command line: what is written reads back bit for bit, and files that are
// broken end with an error, soon, without much memory.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import test from 'node:test'
import fc from 'fast-check'
import { type Id, OmenError } from 'omendb'
import { fresh, fvecs, npy, npyHeader, part } from './cli-support.js'
import { random, runSeed } from './support.js'

interface Row {
  id: Id
  vector: Float32Array
  metadata: Record<string, unknown>
}
interface Rows {
  row: number
  count: number
  dimensions: number
  vectors: Float32Array
  ids?: Id[]
  metadata?: Record<string, unknown>[]
}
interface Source {
  rows?: number
  chunks(from: number): AsyncIterable<unknown>
  close(): Promise<void>
}
const formats = part<{
  openSource(file: string, format: string, delimiter?: string): Promise<{ source: Source }>
  makeSink(
    output: unknown,
    file: string,
    format: string,
    plan: { rows: number; dimensions: number; ids: string },
  ): Promise<{ write(rows: Row[]): Promise<void>; finish(): Promise<void> }>
}>('formats/index.js')
const { toFile } = part<{
  toFile(file: string): Promise<{ finish(): Promise<void>; abandon(): Promise<void> }>
}>('output.js')
const { Columns } = part<{
  Columns: new (source: Source, choice: object) => { map(chunk: unknown): Rows }
}>('import/columns.js')

/** The format of files whose names end so. */
const formatOf = (extension: string) => (extension === 'arrows' ? 'arrow' : extension)

async function write(extension: string, rows: Row[], dimensions: number): Promise<string> {
  const file = fresh(`file.${extension}`)
  const format = formatOf(extension)
  const strings = rows.filter((r) => typeof r.id === 'string').length
  const ids = strings === 0 ? 'integer' : strings === rows.length ? 'string' : 'mixed'
  const output = await toFile(file)
  try {
    const sink = await formats.makeSink(output, file, format, {
      rows: rows.length,
      dimensions,
      ids,
    })
    const step = rows.length > 1000 ? 1000 : 7
    for (let i = 0; i < rows.length; i += step) await sink.write(rows.slice(i, i + step))
    await sink.finish()
    await output.finish()
  } catch (error) {
    await output.abandon()
    throw error
  }
  return file
}

interface Read {
  ids: Id[]
  vectors: Float32Array[]
  metadata: Record<string, unknown>[]
}

async function read(file: string, format: string, from = 0, choice = {}): Promise<Read> {
  const { source } = await formats.openSource(file, format)
  const out: Read = { ids: [], vectors: [], metadata: [] }
  try {
    const columns = new Columns(source, choice)
    for await (const chunk of source.chunks(from)) {
      const rows = columns.map(chunk)
      assert.equal(rows.row, from + out.vectors.length)
      for (let i = 0; i < rows.count; i++) {
        out.vectors.push(rows.vectors.slice(i * rows.dimensions, (i + 1) * rows.dimensions))
      }
      out.ids.push(...(rows.ids ?? []))
      out.metadata.push(...(rows.metadata ?? []))
    }
  } finally {
    await source.close()
  }
  return out
}

const bits = (v: Float32Array): string =>
  Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString('hex')
const normal = (id: Id): Id =>
  typeof id === 'bigint' && id <= Number.MAX_SAFE_INTEGER ? Number(id) : id

const integerId = fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(normal))
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
const stringId = fc.oneof(text, fc.nat().map(String), fc.constantFrom('true', 'a,b', 'a"b', 'a\nb'))
const key = fc.oneof(
  fc.constantFrom('year', '__proto__', 'id', 'vector'),
  fc.string({ minLength: 1, maxLength: 6 }).map((s) => s.replace(/[.$]/g, '_')),
)
const scalar = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((d) => (d === 0 ? 0 : d)),
  fc.string({ unit: 'binary' }),
  fc.boolean(),
  fc.constant(null),
  fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('2200-01-01') }),
)
const metadata = fc.dictionary(
  key,
  fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.dictionary(key, scalar, { maxKeys: 3 })),
  { maxKeys: 4 },
)
const float = fc.float({ noNaN: true, noDefaultInfinity: true })

function tableRows(id: fc.Arbitrary<Id>): fc.Arbitrary<{ rows: Row[]; dimensions: number }> {
  return fc.integer({ min: 1, max: 9 }).chain((dimensions) =>
    fc
      .uniqueArray(
        fc.record({
          id,
          vector: fc
            .array(float, { minLength: dimensions, maxLength: dimensions })
            .map((v) => Float32Array.from(v)),
          metadata,
        }),
        { minLength: 1, maxLength: 30, selector: (r) => r.id },
      )
      .map((rows) => ({ rows, dimensions })),
  )
}

const parameters = { seed: runSeed(5), numRuns: 40 }

for (const format of ['jsonl', 'csv', 'parquet', 'arrow']) {
  for (const [kind, id] of [
    ['integers', integerId],
    ['strings', stringId],
    ['both', fc.oneof(integerId, stringId)],
  ] as const) {
    const isTyped = format === 'parquet' || format === 'arrow'
    if (isTyped && kind === 'both') continue
    test(`${format}: records with ids that are ${kind} read back as they were`, async () => {
      await fc.assert(
        fc.asyncProperty(tableRows(id), async ({ rows, dimensions }) => {
          const file = await write(format, rows, dimensions)
          const from = rows.length > 3 ? 2 : 0
          const found = await read(file, format, from)
          const expected = rows.slice(from)
          assert.deepEqual(
            found.ids.map(normal),
            expected.map((r) => r.id),
          )
          assert.deepEqual(
            found.vectors.map(bits),
            expected.map((r) => bits(r.vector)),
          )
          // By entries: a file gives objects without a prototype here and there.
          const plain = (m: unknown) => JSON.stringify(tagged(m))
          assert.deepEqual(
            found.metadata.map(plain),
            expected.map((r) => plain(r.metadata)),
          )
        }),
        parameters,
      )
    })
  }
}

/** Dates marked, so that JSON tells them from texts; keys in their order. */
function tagged(value: unknown): unknown {
  if (value instanceof Date) return ['date', value.getTime()]
  if (Array.isArray(value)) return ['list', value.map(tagged)]
  if (typeof value !== 'object' || value === null) return value
  return ['object', Object.entries(value).map(([k, v]) => [k, tagged(v)])]
}

for (const format of ['fvecs', 'npy', 'bvecs']) {
  test(`${format}: vectors read back bit for bit, from any row on`, async () => {
    const value = format === 'bvecs' ? fc.integer({ min: 0, max: 255 }) : float
    const rows = fc
      .integer({ min: 1, max: 9 })
      .chain((d) =>
        fc.array(fc.array(value, { minLength: d, maxLength: d }), { minLength: 1, maxLength: 30 }),
      )
    await fc.assert(
      fc.asyncProperty(rows, fc.nat(29), async (given, start) => {
        const vectors = given.map((v) => Float32Array.from(v))
        const out = vectors.map((vector, id) => ({ id, vector, metadata: {} }))
        const file = await write(format, out, vectors[0].length)
        const from = start % vectors.length
        const found = await read(file, format, from)
        assert.deepEqual(found.vectors.map(bits), vectors.slice(from).map(bits))
      }),
      parameters,
    )
  })
}

test('bvecs refuses values that a byte does not hold', async () => {
  for (const value of [0.5, -1, 256, -0]) {
    const rows = [{ id: 0, vector: Float32Array.of(value), metadata: {} }]
    await assert.rejects(write('bvecs', rows, 1), /ERR_UNSUPPORTED.*0 to 255|holds integers/)
  }
})

test('npy: versions 1 to 3, float16 to float64 and bytes, written by hand', async () => {
  const file = fresh('by-hand.npy')
  const check = async (bytes: Buffer, expected: number[][]) => {
    writeFileSync(file, bytes)
    assert.deepEqual(
      (await read(file, 'npy')).vectors.map((v) => Array.from(v)),
      expected,
    )
  }
  const f4 = Buffer.from(Float32Array.of(1, 2, 3, -0.5, 0, 1e-40).buffer)
  const expected = [
    [1, 2, 3],
    [-0.5, 0, Math.fround(1e-40)],
  ]
  for (const v of [1, 2, 3]) await check(npy(npyHeader('<f4', '(2, 3)'), f4, v), expected)
  const f8 = Buffer.from(Float64Array.of(0.1, 2).buffer)
  await check(npy(npyHeader('<f8', '(1, 2)'), f8), [[Math.fround(0.1), 2]])
  const f2 = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff).buffer)
  await check(npy(npyHeader('<f2', '(2, 2)'), f2), [
    [1, -2],
    [2 ** -24, 65504],
  ])
  await check(npy(npyHeader('|u1', '(1, 2)'), Buffer.of(0, 255)), [[0, 255]])
  await check(npy(npyHeader('|i1', '(1, 2)'), Buffer.of(1, 255)), [[1, -1]])
  const refused: [Buffer, RegExp][] = [
    [npy(npyHeader('>f4', '(2, 3)'), f4), /type '>f4'; save/],
    [npy(npyHeader('<i8', '(2, 3)'), f4), /type '<i8'/],
    [npy(npyHeader('<f4', '(2, 3)', 'True'), f4), /Fortran order/],
    [npy(npyHeader('<f4', '(6,)'), f4), /shape \(6\)/],
    [npy(npyHeader('<f4', '(1, 2, 3)'), f4), /shape \(1, 2, 3\)/],
    [npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", f4), /structured/],
    [npy(npyHeader('<f4', '(2, 99999)'), f4), /99999 dimensions/],
    [npy(npyHeader('<f4', '(99999999999999999999, 3)'), f4), /claims/],
    [npy(npyHeader('<f4', '(1000000000000, 3)'), f4), /cut, or damaged/],
    [npy(npyHeader('<f4', '(3, 3)'), f4), /cut, or damaged/],
    [npy('no dict', f4), /header/],
    [npy(npyHeader('<f4', '(2, 3)'), f4, 4), /version 4/],
  ]
  for (const [bytes, message] of refused) {
    writeFileSync(file, bytes)
    await assert.rejects(read(file, 'npy'), (error: unknown) => {
      assert.ok(error instanceof OmenError && error.code === 'ERR_FORMAT', String(error))
      assert.match(error.message, message)
      return true
    })
  }
})

test('fvecs: rows that are ragged, cut, or claim too much', async () => {
  const file = fresh('bad.fvecs')
  const negative = Buffer.alloc(8)
  negative.writeInt32LE(-1)
  const huge = Buffer.alloc(8)
  huge.writeInt32LE(2 ** 31 - 1)
  for (const [bytes, message] of [
    [fvecs([[1, 2], [1, 2, 3], [1]]), /row 1.*3 dimensions, where the first row has 2/],
    [
      fvecs([
        [1, 2],
        [3, 4],
      ]).subarray(0, -1),
      /row 1 is cut/,
    ],
    [negative, /claims -1 dimensions/],
    [huge, /claims 2147483647 dimensions/],
    [Buffer.of(1, 0), /no fvecs file/],
  ] as const) {
    writeFileSync(file, bytes)
    await assert.rejects(read(file, 'fvecs'), message)
  }
})

test('csv: quotes, line ends, kinds of cells', async () => {
  const file = fresh('cells.csv')
  writeFileSync(
    file,
    '\ufeffid,vector,n,s,t,u\r\n"7","[1,2]",1e3,"1",true,\r\n\r\n' +
      '8,"[3,-0]",-0.5,"a ""b""\n,c",007,x y',
  )
  const found = await read(file, 'csv')
  assert.deepEqual(found.ids, ['7', 8])
  assert.deepEqual(
    found.vectors.map(bits),
    [Float32Array.of(1, 2), Float32Array.of(3, -0)].map(bits),
  )
  assert.deepEqual(
    found.metadata.map((m) => ({ ...m })),
    [
      { n: 1000, s: '1', t: true },
      { n: -0.5, s: 'a "b"\n,c', t: '007', u: 'x y' },
    ],
  )
  for (const [content, message] of [
    ['', /is empty/],
    ['a,a\n1,2\n', /'a' is there twice/],
    ['a,,b\n', /no name/],
    ['id,vector\n1\n', /line 2 has 1 cells for 2 columns/],
    ['id,vector\n1,"[1]\n', /a quoted cell does not end/],
    ['id,vector\n1,"[1]"x\n', /text behind a closing quote/],
    ['id,vector\n1,[1]\n', undefined],
    ['id,vector\n1,"[1,null]"\n', /row 0 \(line 2\): element 1 of the vector is null/],
    ['id,vector\n1,abc\n', /no JSON list/],
    [
      'id,vector\n1,[1]\n2,"[1,2]"\n',
      /row 1 \(line 3\): 2 dimensions, where the rows before have 1/,
    ],
    ['id,vector\n,[1]\n', /the id \('id'\) is missing/],
    ['id,w\n1,2\n', /which column is the vector/],
  ] as const) {
    writeFileSync(file, content)
    if (message === undefined) await read(file, 'csv')
    else await assert.rejects(read(file, 'csv'), message, content)
  }
  writeFileSync(file, 'k,v1,v2,w\na,1,2,x\nb,3,4,y\n')
  const spread = await read(file, 'csv', 1, { id: 'k', vector: 'v*', metadata: 'w' })
  assert.deepEqual([spread.ids, Array.from(spread.vectors[0])], [['b'], [3, 4]])
  assert.deepEqual({ ...spread.metadata[0] }, { w: 'y' })
  await assert.rejects(read(file, 'csv', 0, { vector: 'v1,v3' }), /no column 'v3'; it has k, v1/)
})

test('jsonl: faults name the line', async () => {
  const file = fresh('bad.jsonl')
  const good = '{"id":1,"vector":[1]}\n'
  for (const [content, message] of [
    [`${good}\n{"id":2,"vec`, /row 1: line 3 is not JSON/],
    [`${good}[1]\n`, /line 2 is no JSON object/],
    [`${good}{"id":{"$int":"18446744073709551616"},"vector":[1]}`, undefined],
    [`${good}{"id":true,"vector":[1]}`, /ERR_ID|an id is a string/],
    [`${good}{"id":3}`, /the vector \('vector'\) is missing/],
    [`${good}{"id":3,"vector":["1"]}`, /element 0 of the vector is "1"/],
    [`${good}{"id":3,"vector":[]}`, /1 to 16384 dimensions/],
    [`${good}{"id":3,"vector":[1],"metadata":3}`, undefined],
    ['{"id":3,"vector":[1],"metadata":3}', /metadata is an object, not 3/],
    [Buffer.from([...Buffer.from(good), 0x7b, 0xff, 0x7d]), /line 2 is not UTF-8/],
  ] as const) {
    writeFileSync(file, content)
    if (message === undefined)
      await read(file, 'jsonl').catch((e) => assert.ok(e instanceof OmenError))
    else await assert.rejects(read(file, 'jsonl'), message, String(content))
  }
})

// Blocks, chunks and cells end anywhere.
test('long files: more rows than a chunk, more bytes than a block', async () => {
  const rows = Array.from({ length: 9000 }, (_, i) => ({
    id: i,
    vector: Float32Array.of(i, -i),
    metadata: { text: `${i} "\n,é`.repeat(1 + (i % 20)) },
  }))
  for (const format of ['jsonl', 'csv', 'parquet', 'arrow']) {
    const file = await write(format, rows, 2)
    for (const from of [0, 8999]) {
      const found = await read(file, format, from)
      assert.equal(found.ids.length, 9000 - from, format)
      assert.deepEqual(
        found.ids.map(Number),
        rows.slice(from).map((r) => r.id),
      )
      assert.equal(found.metadata.at(-1)?.text, rows.at(-1)?.metadata.text)
    }
  }
})

test('a line or a cell without an end is refused at 16 MiB, not read whole', async () => {
  const file = fresh('endless')
  writeFileSync(file, Buffer.alloc(20 * 2 ** 20, '['))
  await assert.rejects(read(file, 'jsonl'), /line 1 is longer than 16777216 bytes/)
  writeFileSync(file, `id,vector\n1,"${'\n'.repeat(20 * 2 ** 20)}`)
  await assert.rejects(read(file, 'csv'), /line 2: a quoted cell does not end/)
})

// Whatever is in a file, reading it ends with rows or with an OmenError, within bounds.
for (const format of ['fvecs', 'bvecs', 'npy', 'jsonl', 'csv', 'parquet', 'arrow', 'arrows']) {
  test(`${format}: damaged files end with an OmenError or rows, soon`, {
    timeout: 60_000,
  }, async () => {
    const next = random(runSeed(11))
    const isMatrix = ['fvecs', 'bvecs', 'npy'].includes(format)
    const rows = Array.from({ length: 60 }, (_, i) => ({
      id: i,
      vector: Float32Array.from({ length: 6 }, () => Math.floor(next() * 256)),
      metadata: isMatrix ? {} : { i, s: `text ${i}` },
    }))
    const whole = readFileSync(await write(format, rows, 6))
    const file = fresh(`damaged.${format}`)
    let refused = 0
    const runs = 120
    for (let run = 0; run < runs; run++) {
      const bytes = Buffer.from(whole)
      const flips = run % 2 === 0 ? 0 : 1 + Math.floor(next() * 4)
      for (let i = 0; i < flips; i++) {
        // Headers and footers are where sizes are claimed.
        const at = next() < 0.5 ? next() : next() < 0.5 ? next() * 0.1 : 1 - next() * 0.2
        bytes[Math.min(bytes.length - 1, Math.floor(at * bytes.length))] = Math.floor(next() * 256)
      }
      const cut = flips === 0 ? Math.floor(next() * whole.length) : whole.length
      writeFileSync(file, bytes.subarray(0, cut))
      const started = performance.now()
      try {
        await read(file, formatOf(format))
      } catch (error) {
        assert.ok(error instanceof OmenError, `run ${run}: ${(error as Error).stack}`)
        refused += 1
      }
      const ms = performance.now() - started
      assert.ok(ms < 3000, `run ${run} took ${ms} ms`)
    }
    assert.ok(refused > runs / 10, `${refused} of ${runs} were refused`)
    const { rss } = process.memoryUsage()
    assert.ok(rss < 1.5 * 2 ** 30, `${rss} bytes are resident`)
  })
}
