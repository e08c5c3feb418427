// Every type of a column of Arrow and Parquet is imported as what it is, or refused by the column's
// name with what to do: never called damage, never silently something else. A column that nobody
// wants may be of any type.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as arrow from 'apache-arrow'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'

const home = mkdtempSync(path.join(tmpdir(), 'omendb-types-'))
after(() => rmSync(home, { recursive: true, force: true }))
const cli = fileURLToPath(new URL('../../dist/lib/cli/', import.meta.url))
const require = createRequire(import.meta.url)
const { openSource } = require(path.join(cli, 'formats/index.js'))
const { Columns } = require(path.join(cli, 'import/columns.js'))

let files = 0
/** What an import makes of a file: metadata of its rows, as they go to the database. */
async function read(bytes, format, choice = {}) {
  const file = path.join(home, `${++files}.${format}`)
  writeFileSync(file, bytes)
  const { source } = await openSource(file, format)
  try {
    const columns = new Columns(source, { id: 'none', vector: 'vector', metadata: 'x', ...choice })
    const rows = []
    for await (const chunk of source.chunks(0)) rows.push(columns.map(chunk))
    return rows.flatMap(
      ({ metadata, count }) => metadata?.map((m) => m.x) ?? new Array(count).fill(undefined),
    )
  } finally {
    await source.close()
  }
}

const json = (value) => JSON.parse(JSON.stringify(value))

async function refused(bytes, format, pattern, choice) {
  await assert.rejects(read(bytes, format, choice), (error) => {
    assert.equal(error.code, 'ERR_UNSUPPORTED', error.message)
    assert.match(error.message, pattern)
    return true
  })
}

const field = (name, type) => new arrow.Field(name, type, true)
const text = new arrow.Utf8()
const int = new arrow.Int32()
const binary = new arrow.Binary()
const struct = (type) => new arrow.Struct([field('a', type)])
const list = (type) => new arrow.List(field('item', type))
const map = (key, value) =>
  new arrow.Map_(
    new arrow.Field(
      'entries',
      new arrow.Struct([new arrow.Field('key', key, false), field('value', value)]),
      false,
    ),
  )
const vectorType = new arrow.FixedSizeList(2, field('item', new arrow.Float32()))

/** Two rows: a vector, and the column x. */
function arrowFile(column, form = 'file') {
  const two = [
    [1, 2],
    [3, 4],
  ]
  const vector = arrow.vectorFromArray(two, vectorType)
  return Buffer.from(arrow.tableToIPC(new arrow.Table({ vector, x: column }), form))
}

const bytes = [new Uint8Array([255, 1]), new Uint8Array([65, 66])]
const day = new Date('2020-01-01')
const time = new Date('1960-01-01T00:00:00.123Z')

const taken = [
  [new arrow.Null(), [null, null]],
  [new arrow.Bool(), [true, null]],
  [new arrow.Int8(), [-1, 2]],
  [new arrow.Uint32(), [4294967295, null]],
  [new arrow.Int64(), [-5n, 5n], [-5, 5]],
  [new arrow.Uint64(), [2n ** 53n - 1n, 0n], [2 ** 53 - 1, 0]],
  [new arrow.Float16(), [1.5, -2]],
  [new arrow.Float32(), [1.5, null]],
  [new arrow.Float64(), [0.1, null]],
  [text, ['a \ufffd b', null]],
  [new arrow.LargeUtf8(), ['a', null]],
  [new arrow.DateDay(), [day, null]],
  [new arrow.DateMillisecond(), [time, null]],
  [new arrow.TimestampSecond(), [day, null]],
  [new arrow.TimestampMillisecond(), [time, null]],
  [new arrow.TimestampMicrosecond(), [time, null]],
  [new arrow.TimestampNanosecond('UTC'), [time, null]],
  [new arrow.Dictionary(text, new arrow.Int8()), ['a', 'b']],
  [new arrow.Dictionary(new arrow.DateDay(), new arrow.Int8()), [day, day]],
  [list(new arrow.Int64()), [[5n, null], null], [[5, null], null]],
  [list(struct(int)), [[{ a: 1 }], null]],
  [struct(list(text)), [{ a: ['b'] }, { a: null }]],
  [
    map(text, int),
    [new Map([['a', 1]]), new Map([['__proto__', 2]])],
    [{ a: 1 }, JSON.parse('{"__proto__":2}')],
  ],
]
for (const [type, values, wanted = values] of taken) {
  test(`Arrow's ${type} is imported`, async () => {
    for (const form of ['file', 'stream']) {
      const found = await read(arrowFile(arrow.vectorFromArray(values, type), form), 'arrow')
      assert.deepEqual(json(found), json(wanted))
      for (const [i, value] of wanted.entries()) {
        assert.equal(found[i] instanceof Date, value instanceof Date)
      }
    }
  })
}

function union(Union) {
  const type = new Union([0, 1], [field('i', int), field('s', text)])
  const children = [
    arrow.vectorFromArray([1, 2], int).data[0],
    arrow.vectorFromArray(['a', 'b'], text).data[0],
  ]
  const [typeIds, valueOffsets] = [new Int8Array([0, 1]), new Int32Array([0, 1])]
  return new arrow.Vector([arrow.makeData({ type, length: 2, typeIds, children, valueOffsets })])
}

const views = () => {
  const data = { type: new arrow.BinaryView(), length: 2, views: new Uint8Array(32) }
  return new arrow.Vector([arrow.makeData({ ...data, variadicBuffers: [] })])
}
const words = (n) => [new Uint32Array(n).fill(1), new Uint32Array(n)]
const of = (type, values) => arrow.vectorFromArray(values, type)

// All of these were "no Arrow file, or a damaged one", wanted or not.
for (const column of [
  of(binary, bytes),
  of(new arrow.LargeBinary(), bytes),
  of(new arrow.FixedSizeBinary(2), bytes),
  views(),
  of(new arrow.Decimal(2, 10, 128), words(4)),
  of(new arrow.Decimal(2, 10, 256), words(8)),
  of(new arrow.TimeSecond(), [1, 2]),
  of(new arrow.TimeMillisecond(), [1, 2]),
  of(new arrow.TimeMicrosecond(), [1n, 2n]),
  of(new arrow.TimeNanosecond(), [1n, 2n]),
  of(new arrow.DurationSecond(), [1n, 2n]),
  of(new arrow.DurationNanosecond(), [1n, 2n]),
  of(new arrow.IntervalDayTime(), [new Int32Array(2), new Int32Array(2)]),
  of(new arrow.IntervalYearMonth(), [new Int32Array(2), new Int32Array(2)]),
  of(new arrow.IntervalMonthDayNano(), [new Int32Array(4), new Int32Array(4)]),
  union(arrow.SparseUnion),
  union(arrow.DenseUnion),
  of(new arrow.Dictionary(binary, new arrow.Int8()), bytes),
  of(
    list(binary),
    bytes.map((b) => [b]),
  ),
  of(
    struct(binary),
    bytes.map((a) => ({ a })),
  ),
  of(map(text, binary), [new Map([['a', bytes[0]]]), new Map()]),
  of(map(int, int), [new Map([[1, 1]]), new Map()]),
]) {
  test(`Arrow's ${column.type} is refused by name, and passed over if unwanted`, async () => {
    for (const form of ['file', 'stream']) {
      const file = arrowFile(column, form)
      const why =
        /: the column 'x' has the type .*, which records cannot hold; leave it out: --meta/
      await refused(file, 'arrow', why)
      await refused(file, 'arrow', why, { metadata: undefined, vector: undefined })
      assert.equal((await read(file, 'arrow', { metadata: 'none' })).length, 2)
      // Not chosen, but neither is the vector: nothing can be left out before the first rows.
      assert.equal((await read(file, 'arrow', { metadata: 'none', vector: undefined })).length, 2)
      await refused(file, 'arrow', /'x' has the type .*; write lists of floats/, { vector: 'x' })
      await refused(file, 'arrow', /'x' has the type .*choose another with --id/, { id: 'x' })
    }
  })
}

// The library names them by a number, as if the file were damaged.
test('types of Arrow that the library does not know are told by the column', async () => {
  const file = arrowFile(of(text, ['a', 'b']), 'stream')
  const kinds = []
  // The type of a column is one byte of the schema, 5 for texts.
  for (let at = 0; at < 400; at++) {
    if (file[at] !== 5) continue
    for (const kind of [22, 25, 26, 99]) {
      const patched = Buffer.from(file)
      patched[at] = kind
      const error = await read(patched, 'arrow').catch((e) => e)
      if (error.code !== 'ERR_UNSUPPORTED') continue
      assert.match(error.message, /the column 'x' has the Arrow type (\w+|number 99), which is not/)
      kinds.push(kind)
    }
  }
  assert.deepEqual(kinds, [22, 25, 26, 99])
})

// The library puts U+FFFD in the place of what is not UTF-8.
test('a text of Arrow that is not UTF-8 is refused', async () => {
  const data = { length: 2, valueOffsets: new Int32Array([0, 1, 2]) }
  const bad = arrow.makeData({ ...data, type: text, data: new Uint8Array([65, 255]) })
  const within = arrow.makeData({ type: struct(text), length: 2, children: [bad] })
  for (const each of [bad, within]) {
    await assert.rejects(read(arrowFile(new arrow.Vector([each])), 'arrow'), {
      code: 'ERR_FORMAT',
      message: /a text in the column 'x' is not UTF-8/,
    })
  }
})

// The library throws, which was told as damage.
test('a time of Arrow past what numbers tell is refused by row', async () => {
  const type = new arrow.TimestampSecond()
  const data = new BigInt64Array([5n, 2n ** 60n])
  const file = arrowFile(new arrow.Vector([arrow.makeData({ type, length: 2, data })]))
  await assert.rejects(read(file, 'arrow'), { code: 'ERR_METADATA', message: /row 1: x: 1152921/ })
  assert.equal((await read(file, 'arrow', { metadata: 'none', vector: undefined })).length, 2)
})

/** As a writer makes it, and with `mend` changed where the library's would not write it so. */
async function parquetFile(below, data, mend = () => {}) {
  const writer = new ByteWriter()
  const schema = [
    { name: 'root', num_children: 2 },
    { name: 'vector', type: 'BYTE_ARRAY', converted_type: 'JSON', repetition_type: 'OPTIONAL' },
    ...below,
  ]
  const file = new ParquetWriter({ writer, schema })
  const vector = [
    [1, 2],
    [3, 4],
  ]
  await file.write({
    columnData: [
      { name: 'vector', data: vector },
      { name: 'x', data },
    ],
    columnIndex: false,
    statistics: false,
  })
  mend(schema[2], file.row_groups[0].columns[1].meta_data)
  await file.finish()
  return Buffer.from(writer.getBytes())
}

const leaf = (type, more = {}) => [{ name: 'x', repetition_type: 'OPTIONAL', type, ...more }]
const logical = (type, more = {}) => ({ logical_type: { type, ...more } })
const fixed = (type_length, more = {}) => leaf('FIXED_LEN_BYTE_ARRAY', { type_length, ...more })
const timestamp = (unit) => logical('TIMESTAMP', { isAdjustedToUTC: true, unit })
const says = (more) => (element) => Object.assign(element, more)
const integer = (bitWidth, isSigned) => logical('INTEGER', { bitWidth, isSigned })
const uuid = '01010101-0101-0101-0101-010101010101'
const inList = (element) => [
  { name: 'x', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { ...leaf('BYTE_ARRAY')[0], name: 'element', ...element },
]

// [what it is, schema, values, what they are, how the schema says more than the writer would]
const parquetTaken = [
  ['BOOLEAN', leaf('BOOLEAN'), [true, null]],
  ['INT32', leaf('INT32'), [-1, null]],
  ['UINT_32', leaf('INT32'), [-1, 1], [2 ** 32 - 1, 1], says({ converted_type: 'UINT_32' })],
  ['a logical UINT_32', leaf('INT32'), [-1, 1], [2 ** 32 - 1, 1], says(integer(32, false))],
  ['a logical INT_8', leaf('INT32'), [-1, 1], [-1, 1], says(integer(8, true))],
  ['INT64', leaf('INT64'), [-5n, null], [-5, null]],
  ['FLOAT', leaf('FLOAT'), [1.5, null]],
  ['DOUBLE', leaf('DOUBLE'), [0.1, null]],
  ['FLOAT16', fixed(2, logical('FLOAT16')), [1.5, -2]],
  ['UTF8', leaf('BYTE_ARRAY', { converted_type: 'UTF8' }), ['a', null]],
  ['a logical STRING', leaf('BYTE_ARRAY', logical('STRING')), ['a', null]],
  ['a logical ENUM', leaf('BYTE_ARRAY', logical('ENUM')), ['a', null]],
  ['bytes that are text', leaf('BYTE_ARRAY'), [new Uint8Array([65]), null], ['A', null]],
  ['JSON', leaf('BYTE_ARRAY', { converted_type: 'JSON' }), [{ a: [1] }, null]],
  ['a logical JSON', leaf('BYTE_ARRAY', logical('JSON')), ['{"a":[1]}', null], [{ a: [1] }, null]],
  ['UUID', fixed(16, logical('UUID')), [new Uint8Array(16).fill(1), null], [uuid, null]],
  ['DATE', leaf('INT32', { converted_type: 'DATE' }), [day, null]],
  ['a logical DATE', leaf('INT32'), [18262, null], [day, null], says(logical('DATE'))],
  ['TIMESTAMP_MILLIS', leaf('INT64', { converted_type: 'TIMESTAMP_MILLIS' }), [time, null]],
  ['TIMESTAMP_MICROS', leaf('INT64', { converted_type: 'TIMESTAMP_MICROS' }), [time, null]],
  ['a logical TIMESTAMP', leaf('INT64', timestamp('MILLIS')), [5n, null], [new Date(5), null]],
  ['nanoseconds', leaf('INT64', timestamp('NANOS')), [5000000n, null], [new Date(5), null]],
  [
    'INT96',
    fixed(12),
    [new Uint8Array([64, 75, 76, 0, 0, 0, 0, 0, 0x8c, 0x3d, 0x25, 0]), null],
    [new Date(5), null],
    (element, column) => {
      element.type = 'INT96'
      column.type = 'INT96'
      delete column.statistics
    },
  ],
  [
    'a logical DECIMAL',
    leaf('INT32'),
    [123, null],
    [1.23, null],
    says({ scale: 2, precision: 9, ...logical('DECIMAL', { scale: 2, precision: 9 }) }),
  ],
  ['a LIST', inList({ type: 'INT32' }), [[1, null], null]],
  [
    'a logical LIST',
    inList({ type: 'INT32' }),
    [[1, null], null],
    [[1, null], null],
    (element) => {
      delete element.converted_type
      Object.assign(element, logical('LIST'))
    },
  ],
]
for (const [name, schema, values, wanted = values, mend] of parquetTaken) {
  test(`${name} of Parquet is imported`, async () => {
    const found = await read(await parquetFile(schema, values, mend), 'parquet')
    assert.deepEqual(json(found), json(wanted))
    for (const [i, value] of wanted.entries()) {
      assert.equal(found[i] instanceof Date, value instanceof Date)
    }
  })
}

const variant = (value) => ({ metadata: new Uint8Array([1, 0, 0]), value })
const parquetRefused = [
  ['bytes of a fixed number', fixed(2), bytes],
  ['INTERVAL', fixed(12, { converted_type: 'INTERVAL' }), [new Uint8Array(12), null]],
  ['BSON', leaf('BYTE_ARRAY', { converted_type: 'BSON' }), bytes],
  ['a logical BSON', leaf('BYTE_ARRAY', logical('BSON')), bytes],
  ['TIME_MILLIS', leaf('INT32', { converted_type: 'TIME_MILLIS' }), [5, null]],
  ['TIME_MICROS', leaf('INT64', { converted_type: 'TIME_MICROS' }), [5n, null]],
  [
    'nanoseconds of a day',
    leaf('INT64'),
    [5n, null],
    says(logical('TIME', { isAdjustedToUTC: true, unit: 'NANOS' })),
  ],
  ['decimals in a list', inList({ type: 'INT32', converted_type: 'DECIMAL' }), [[1], null]],
  ['bytes in a list', inList({ type: 'FIXED_LEN_BYTE_ARRAY', type_length: 2 }), [bytes, null]],
  [
    'VARIANT',
    [
      { name: 'x', repetition_type: 'OPTIONAL', num_children: 2, ...logical('VARIANT') },
      { name: 'metadata', type: 'BYTE_ARRAY', repetition_type: 'REQUIRED' },
      { name: 'value', type: 'BYTE_ARRAY', repetition_type: 'REQUIRED' },
    ],
    [variant(bytes[0]), variant(bytes[1])],
  ],
]
for (const [name, schema, values, mend] of parquetRefused) {
  test(`${name} of Parquet: refused by name, and passed over if it is not wanted`, async () => {
    const file = await parquetFile(schema, values, mend)
    await refused(file, 'parquet', /'x' has the type .*, which records cannot hold; leave it out/)
    assert.equal((await read(file, 'parquet', { metadata: 'none', vector: undefined })).length, 2)
  })
}

// Only the values tell. They were called damage, whether anybody wanted the column or not.
test('bytes of Parquet that are no text, and JSON that is none, are told if wanted', async () => {
  const cases = [
    [leaf('BYTE_ARRAY'), bytes, /row 0: x holds bytes, which metadata cannot; leave it out/],
    [leaf('BYTE_ARRAY', { converted_type: 'UTF8' }), bytes, /row 0: x holds bytes/],
    [leaf('BYTE_ARRAY', logical('JSON')), ['{', null], /row 0: x: the column is JSON, and this is/],
    [leaf('BYTE_ARRAY', logical('JSON')), ['{"a":9007199254740993}', null], /x.a: .*past 2\^53/],
  ]
  for (const [schema, values, message] of cases) {
    const file = await parquetFile(schema, values)
    await assert.rejects(read(file, 'parquet'), { code: 'ERR_METADATA', message })
    assert.equal((await read(file, 'parquet', { metadata: 'none', vector: undefined })).length, 2)
  }
})

// The second was never read.
test('a column that is there twice is refused', async () => {
  const ints = () => arrow.makeData({ type: int, length: 1, data: new Int32Array(1) })
  const fields = [field('x', int), field('x', int)]
  const both = { type: new arrow.Struct(fields), length: 1, children: [ints(), ints()] }
  const schema = new arrow.Schema(fields)
  const batch = new arrow.RecordBatch(schema, arrow.makeData(both))
  const file = Buffer.from(arrow.tableToIPC(new arrow.Table([batch])))
  const wanted = { code: 'ERR_FORMAT', message: /the column 'x' is there twice/ }
  await assert.rejects(read(file, 'arrow'), wanted)
})
