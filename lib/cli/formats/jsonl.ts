/**
 * JSON lines: one object a line; blank lines are passed over.
 *
 * Written: {"id", "vector", "metadata"}, with {"$int"} and {"$date"} as wire.ts says.
 */

import { reviveDates } from '../../metadata.js'
import { formatError } from '../exit.js'
import type { Output } from '../output.js'
import { idToJson, jsonReason, parseJson, toJson } from '../wire.js'
import {
  CHUNK_ROWS,
  type Fields,
  type OutRow,
  type RecordChunk,
  type Sink,
  type Source,
} from './format.js'
import { Prefix } from './prefix.js'
import type { Reader } from './reader.js'
import { textBlocks } from './text.js'

export async function openJsonl(reader: Reader): Promise<Source> {
  return {
    name: reader.name,
    format: 'jsonl',
    rows: undefined,
    columns: undefined,
    part: () => reader.part(),
    select: () => {},
    close: () => reader.close(),
    async *chunks(from) {
      const prefix = new Prefix()
      let line = 0
      let row = 0
      for await (const block of textBlocks(reader)) {
        let records: Fields[] = []
        let lines: number[] = []
        let ends: number[] = []
        let sealed = 0
        const take = (): RecordChunk => {
          const [first, rowEnds] = [sealed, ends]
          sealed = rowEnds.at(-1) as number
          const text = block.slice(first, sealed)
          const seal = prefix.addRows(text, (i) => (rowEnds[i] as number) - first)
          const chunk = {
            kind: 'records' as const,
            row: row - records.length,
            records,
            lines,
            seal,
          }
          records = []
          lines = []
          ends = []
          return chunk
        }
        for (let start = 0; start < block.length; ) {
          const found = block.indexOf('\n', start)
          const end = found === -1 ? block.length : found
          const text = block.slice(start, end)
          start = end + 1
          line += 1
          if (text.trim() === '') continue
          if (row++ < from) continue
          records.push(parseLine(reader.name, text, line, row - 1))
          lines.push(line)
          // Without the end of the line, which the last may get when the file grows.
          ends.push(text.endsWith('\r') ? end - 1 : end)
          if (records.length === CHUNK_ROWS) yield take()
        }
        if (records.length > 0) yield take()
        prefix.add(block.slice(sealed))
      }
    },
  }
}

function parseLine(name: string, text: string, line: number, row: number): Fields {
  let value: unknown
  try {
    value = parseJson(text)
    if (text.includes('$date')) reviveDates(value)
  } catch (error) {
    if (error instanceof RangeError) throw formatError(name, `line ${line} is nested too deep`, row)
    throw formatError(name, `line ${line} is not JSON: ${jsonReason(error)}`, row)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw formatError(name, `line ${line} is no JSON object`, row)
  }
  return value as Fields
}

export function jsonlSink(output: Output): Sink {
  return {
    write: (rows) => output.write(rows.map(toLine).join('')),
    finish: async () => {},
  }
}

function toLine({ id, vector, metadata }: OutRow): string {
  const id_ = JSON.stringify(idToJson(id))
  return `{"id":${id_},"vector":${vectorText(vector)},"metadata":${toJson(metadata)}}\n`
}

/**
 * The vector as a JSON array whose numbers read back as the same floats: the shortest decimal of a
 * double that is a float32 is exact. -0 is written as such, which JSON.stringify does not.
 */
export function vectorText(vector: Float32Array): string {
  const parts = new Array<string>(vector.length)
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i] as number
    parts[i] = Object.is(value, -0) ? '-0' : String(value)
  }
  return `[${parts.join(',')}]`
}
