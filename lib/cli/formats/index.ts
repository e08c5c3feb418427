/** The formats by name: opening a file for reading, making one for writing. */

import { UsageError } from '../exit.js'
import type { Output } from '../output.js'
import { arrowSink, openArrow } from './arrow.js'
import { csvSink, delimiterOf, openCsv } from './csv.js'
import {
  FORMATS,
  type FormatName,
  formatOf,
  type Sink,
  type SinkPlan,
  type Source,
} from './format.js'
import { jsonlSink, openJsonl } from './jsonl.js'
import { npySink, openNpy } from './npy.js'
import { openParquet, parquetSink } from './parquet.js'
import { Reader } from './reader.js'
import { openVecs, vecsSink } from './vecs.js'

/** The first bytes of a source, by which it is known again. */
export const HEAD_BYTES = 65_536

/** The format that is meant: as given, or as the file's name tells. */
export function chooseFormat(file: string, given: FormatName | undefined): FormatName {
  const format = given ?? formatOf(file)
  if (format !== undefined) return format
  const of = file === '-' ? 'standard input or output' : file
  throw new UsageError(`what is the format of ${of}? --format is one of ${FORMATS.join(', ')}`)
}

export interface Opened {
  source: Source
  /** The first HEAD_BYTES of the file, or all of it. */
  head: Buffer
  /** A file that can be read once more, and no pipe. */
  isFile: boolean
}

/** @param delimiter  Of CSV, as it was given. */
export async function openSource(
  file: string,
  format: FormatName,
  delimiter?: string,
): Promise<Opened> {
  const reader = await Reader.open(file)
  try {
    const head = Buffer.from(await reader.peek(HEAD_BYTES))
    const isFile = reader.size !== undefined
    return { source: await openFormat(reader, file, format, delimiter), head, isFile }
  } catch (error) {
    await reader.close()
    throw error
  }
}

function openFormat(
  reader: Reader,
  file: string,
  format: FormatName,
  delimiter: string | undefined,
): Promise<Source> {
  switch (format) {
    case 'fvecs':
    case 'bvecs':
      return openVecs(reader, format)
    case 'npy':
      return openNpy(reader)
    case 'jsonl':
      return openJsonl(reader)
    case 'csv':
      return openCsv(reader, delimiterOf(delimiter, file))
    case 'parquet':
      return openParquet(reader)
    case 'arrow':
      return openArrow(reader, file)
  }
}

/** @param file  Whose name tells what the format leaves open: tabs, an Arrow stream. */
export async function makeSink(
  output: Output,
  file: string,
  format: FormatName,
  plan: SinkPlan,
  delimiter?: string,
): Promise<Sink> {
  switch (format) {
    case 'fvecs':
    case 'bvecs':
      return vecsSink(output, format)
    case 'npy':
      return npySink(output, plan)
    case 'jsonl':
      return jsonlSink(output)
    case 'csv':
      return csvSink(output, delimiterOf(delimiter, file))
    case 'parquet':
      return parquetSink(output, plan)
    case 'arrow':
      return arrowSink(output, plan, file === '-' || file.endsWith('.arrows'))
  }
}
