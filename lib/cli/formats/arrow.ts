/**
 * Arrow IPC, files and streams, by apache-arrow: an optional peer, since it is larger than omendb.
 *
 * Read by record batches, also compressed ones (arrow-codecs.ts). Written: `id` (Uint64 or Utf8),
 * `vector` (FixedSizeList of Float32) and `metadata` (Utf8, JSON text), in batches of BATCH_ROWS; a
 * file, or a stream for standard output.
 */

import { type FileHandle, open } from 'node:fs/promises'
import type * as Arrow from 'apache-arrow'
import { OmenError } from '../../errors.js'
import { formatError, systemError } from '../exit.js'
import type { Output } from '../output.js'
import { toJson } from '../wire.js'
import { registerCodecs } from './arrow-codecs.js'
import { arrowMessages, isArrowFile, verifyArrowFile } from './arrow-messages.js'
import { hasBadText, mayHaveBadText, readerOf, refusedArrowColumns } from './arrow-types.js'
import {
  type Fields,
  type OutRow,
  refuseRepeated,
  type Sink,
  type SinkPlan,
  type Source,
  Unreadable,
} from './format.js'
import { mixedIds } from './parquet.js'
import { RangePrefix, type Seal } from './prefix.js'
import type { Reader } from './reader.js'

const BATCH_ROWS = 4096

type Library = typeof Arrow

async function load(): Promise<Library> {
  try {
    return await import('apache-arrow')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    throw new OmenError(
      'ERR_UNSUPPORTED',
      'Arrow files need the package apache-arrow, which is not installed: npm install apache-arrow',
      { cause: error },
    )
  }
}

export async function openArrow(reader: Reader, file: string): Promise<Source> {
  const arrow = await load()
  await registerCodecs(arrow)
  const { name } = reader
  const guard = async <T>(work: () => Promise<T> | T): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (error instanceof OmenError) throw error
      throw formatError(name, `no Arrow file, or a damaged one: ${(error as Error).message}`)
    }
  }
  let handle: FileHandle | undefined
  const close = async () => {
    await handle?.close().catch(() => {}) // The library may have closed it.
    await reader.close()
  }
  try {
    const isFile = await isArrowFile(reader)
    if (isFile && reader.size === undefined) {
      throw new OmenError(
        'ERR_UNSUPPORTED',
        `${name}: an Arrow file is read by ranges; give the file, or a stream`,
      )
    }
    let ends: number[] = []
    if (isFile) {
      ends = await guard(() => verifyArrowFile(reader))
      handle = await open(file, 'r').catch((error: unknown) => {
        throw systemError(error, file)
      })
    }
    const seals: Seal[] = []
    const batches = await guard(async () => {
      const opened =
        handle === undefined
          ? await arrow.RecordBatchReader.from(arrowMessages(reader, seals))
          : await arrow.RecordBatchReader.from(handle)
      return opened.open({ autoDestroy: false })
    })
    const schema = batches.schema as Arrow.Schema | undefined
    if (schema === undefined) throw formatError(name, 'no Arrow file: it has no schema')
    const names = schema.fields.map((f) => f.name)
    refuseRepeated(name, names)
    const refused = refusedArrowColumns(arrow, schema)
    let wanted = names.filter((n) => !refused.has(n))
    const total = (batches as { numRecordBatches?: number }).numRecordBatches
    let taken = 0
    return {
      name,
      format: 'arrow',
      rows: undefined,
      columns: names,
      refused,
      part: () => (total === undefined ? reader.part() : taken / Math.max(1, total)),
      select: (columns) => {
        wanted = wanted.filter((n) => columns.includes(n))
      },
      close,
      async *chunks(from) {
        const prefix = new RangePrefix(reader, '')
        const next = () => guard<IteratorResult<Arrow.RecordBatch>>(async () => batches.next())
        let row = 0
        for (let step = await next(); !step.done; step = await next()) {
          const batch = step.value
          const end = ends[taken]
          const seal = end === undefined ? (seals[taken] as Seal) : () => prefix.upTo(end)
          taken += 1
          const start = Math.max(0, from - row)
          for (let at = start; at < batch.numRows; at += BATCH_ROWS) {
            const part = batch.slice(at, Math.min(at + BATCH_ROWS, batch.numRows))
            const records = await guard(() => toRecords(arrow, part, wanted, name))
            yield { kind: 'records', row: row + at, records, seal }
          }
          row += batch.numRows
        }
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

function toRecords(
  arrow: Library,
  batch: Arrow.RecordBatch,
  names: string[],
  file: string,
): Fields[] {
  const records = Array.from({ length: batch.numRows }, () => Object.create(null) as Fields)
  for (const name of names) {
    const index = batch.schema.fields.findIndex((f) => f.name === name)
    const column = batch.getChildAt(index)
    const type = batch.schema.fields[index]?.type
    if (column === null || type === undefined) throw new Error(`the column '${name}' is missing`)
    const read = readerOf(arrow, type)
    let isSuspect = false
    for (let i = 0; i < records.length; i++) {
      const found = valueAt(column, i)
      const isAsItIs = found === null || found === undefined || found instanceof Unreadable
      const value = isAsItIs ? (found ?? null) : read(found)
      isSuspect ||= mayHaveBadText(value)
      ;(records[i] as Fields)[name] = value
    }
    if (isSuspect && column.data.some((data) => hasBadText(arrow, data))) {
      throw formatError(file, `a text in the column '${name}' is not UTF-8`)
    }
  }
  return records
}

/** Seconds past 2^53 are no damage, but the library throws. */
function valueAt(column: Arrow.Vector, row: number): unknown {
  try {
    return column.get(row)
  } catch (error) {
    return new Unreadable((error as Error).message)
  }
}

export async function arrowSink(output: Output, plan: SinkPlan, isStream: boolean): Promise<Sink> {
  if (plan.ids === 'mixed') throw mixedIds('Arrow')
  const arrow = await load()
  const idType = plan.ids === 'integer' ? new arrow.Uint64() : new arrow.Utf8()
  const element = new arrow.Field('item', new arrow.Float32(), false)
  const schema = new arrow.Schema([
    new arrow.Field('id', idType, false),
    new arrow.Field('vector', new arrow.FixedSizeList(plan.dimensions, element), false),
    new arrow.Field('metadata', new arrow.Utf8(), false),
  ])
  const Writer = isStream ? arrow.RecordBatchStreamWriter : arrow.RecordBatchFileWriter
  const writer = new Writer()
  writer.reset(undefined, schema)
  // The writer puts what it makes into a queue; it is taken out after each batch, so that the
  // queue stays as small as a batch.
  const bytes = writer[Symbol.asyncIterator]()
  let next = bytes.next()
  const drain = async (isLast: boolean) => {
    for (;;) {
      const step = isLast ? await next : await Promise.race([next, new Promise<undefined>(later)])
      if (step === undefined || step.done === true) return
      await output.write(step.value)
      next = bytes.next()
    }
  }
  return {
    async write(rows) {
      for (let i = 0; i < rows.length; i += BATCH_ROWS) {
        writer.write(toBatch(arrow, schema, rows.slice(i, i + BATCH_ROWS), plan))
        await drain(false)
      }
    },
    async finish() {
      writer.finish()
      await drain(true)
    },
  }
}

const later = (resolve: (value: undefined) => void) => setImmediate(() => resolve(undefined))

function toBatch(arrow: Library, schema: Arrow.Schema, rows: OutRow[], plan: SinkPlan) {
  const [id, vector, metadata] = schema.fields.map((f) => f.type) as [
    Arrow.DataType,
    Arrow.FixedSizeList<Arrow.Float32>,
    Arrow.Utf8,
  ]
  const flat = new Float32Array(rows.length * plan.dimensions)
  for (const [i, row] of rows.entries()) flat.set(row.vector, i * plan.dimensions)
  const ids =
    plan.ids === 'integer'
      ? arrow.makeData({
          type: id as Arrow.Uint64,
          data: BigUint64Array.from(rows, (r) => BigInt(r.id)),
        })
      : textData(
          arrow,
          id as Arrow.Utf8,
          rows.map((r) => String(r.id)),
        )
  const child = arrow.makeData({ type: new arrow.Float32(), data: flat })
  const struct = arrow.makeData({
    type: new arrow.Struct(schema.fields),
    length: rows.length,
    children: [
      ids,
      arrow.makeData({ type: vector, length: rows.length, child }),
      textData(
        arrow,
        metadata,
        rows.map((r) => toJson(r.metadata)),
      ),
    ],
  })
  return new arrow.RecordBatch(schema, struct as Arrow.Data<Arrow.Struct>)
}

function textData(arrow: Library, type: Arrow.Utf8, texts: string[]): Arrow.Data<Arrow.Utf8> {
  const parts = texts.map((t) => Buffer.from(t))
  const valueOffsets = new Int32Array(parts.length + 1)
  parts.forEach((part, i) => {
    valueOffsets[i + 1] = (valueOffsets[i] as number) + part.length
  })
  return arrow.makeData({ type, length: parts.length, valueOffsets, data: Buffer.concat(parts) })
}
