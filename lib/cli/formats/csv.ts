/**
 * CSV (RFC 4180) and TSV, with a line of column names first.
 *
 * A quoted cell is a string. An unquoted one is a number if it is written as JSON writes one, true
 * or false, missing if empty, and a string otherwise. So ids and texts keep their kind through a
 * file that this writes, although CSV itself has no types.
 */

import { OmenError } from '../../errors.js'
import { formatError } from '../exit.js'
import type { Output } from '../output.js'
import { toJson } from '../wire.js'
import {
  CHUNK_ROWS,
  type Chunk,
  type Fields,
  type OutRow,
  refuseRepeated,
  type Sink,
  type Source,
} from './format.js'
import { vectorText } from './jsonl.js'
import { Prefix } from './prefix.js'
import type { Reader } from './reader.js'
import { LINE_BYTES_MAX, textBlocks } from './text.js'

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/
const INTEGER = /^-?(0|[1-9]\d*)$/

type Cell = string | number | bigint | boolean | undefined

interface Line {
  cells: Cell[]
  line: number
  /** Where it ends in the text of its block, without the end of the line. */
  end: number
}

/** Whole lines and the text that they are made of. */
interface Block {
  lines: Line[]
  text: string
}

export async function openCsv(reader: Reader, delimiter: string): Promise<Source> {
  const blocks = csvBlocks(reader, delimiter)
  const first: Block | undefined = (await blocks.next()).value ?? undefined
  const head = first?.lines.shift()
  if (head === undefined) {
    throw formatError(reader.name, 'it is empty; the first line of a CSV names its columns')
  }
  const names = head.cells.map((cell: Cell) => String(cell ?? ''))
  checkNames(reader.name, names)
  return {
    name: reader.name,
    format: 'csv',
    rows: undefined,
    columns: names,
    part: () => reader.part(),
    select: () => {},
    close: () => reader.close(),
    async *chunks(from) {
      const prefix = new Prefix()
      let row = 0
      let block: Block | undefined = first
      while (block !== undefined) {
        const { text } = block
        let records: Fields[] = []
        let taken: Line[] = []
        let sealed = 0
        const take = (): Chunk => {
          const [start, lines] = [sealed, taken]
          sealed = (lines.at(-1) as Line).end
          const chunk = {
            kind: 'records' as const,
            row: row - records.length,
            records,
            lines: lines.map(({ line }) => line),
            seal: prefix.addRows(text.slice(start, sealed), (i) => (lines[i] as Line).end - start),
          }
          records = []
          taken = []
          return chunk
        }
        for (const line of block.lines) {
          if (row++ < from) continue
          if (line.cells.length !== names.length) {
            const found = `${line.cells.length} cells for ${names.length} columns`
            throw formatError(reader.name, `line ${line.line} has ${found}`, row - 1)
          }
          records.push(toFields(names, line.cells))
          taken.push(line)
          if (records.length === CHUNK_ROWS) yield take()
        }
        if (records.length > 0) yield take()
        prefix.add(text.slice(sealed))
        block = (await blocks.next()).value ?? undefined
      }
    },
  }
}

function checkNames(file: string, names: string[]): void {
  const [only] = names as [string]
  if (names.some((name) => name.includes('\r') && !name.includes('\n'))) {
    throw formatError(file, 'its lines end with CR alone; write them with LF or CRLF')
  }
  const other = names.length === 1 ? /[;\t|]/.exec(only)?.[0] : undefined
  if (other !== undefined) {
    const flag = other === '\t' ? 'tab' : `'${other}'`
    throw formatError(file, `its first line is one column, '${only}'; use --delimiter ${flag}`)
  }
  refuseRepeated(file, names)
  if (names.includes('')) throw formatError(file, 'a column has no name')
}

function toFields(names: string[], cells: Cell[]): Fields {
  // Without a prototype: a column may be called __proto__.
  const fields = Object.create(null) as Fields
  for (let i = 0; i < names.length; i++) {
    if (cells[i] !== undefined) fields[names[i] as string] = cells[i]
  }
  return fields
}

/** Lines of cells, as many at a time as a block of text has; blank lines are passed over. */
async function* csvBlocks(reader: Reader, delimiter: string): AsyncGenerator<Block> {
  let line = 1
  let text = ''
  /** Of `text`: begins what no line has. */
  let at = 0
  const take = (): Block | undefined => {
    const lines: Line[] = []
    for (;;) {
      const found = scan(text, at, delimiter, reader.name, line)
      if (found === undefined) break
      const { cells, newlines, end } = found
      const stop = text[end - 2] === '\r' ? end - 2 : end - 1
      if (cells.length > 1 || cells[0] !== undefined) lines.push({ cells, line, end: stop })
      line += newlines
      at = end
    }
    if (lines.length === 0) return undefined
    const block = { lines, text: text.slice(0, at) }
    text = text.slice(at)
    at = 0
    return block
  }
  for await (const block of textBlocks(reader)) {
    text += block
    const whole = take()
    if (whole !== undefined) yield whole
    if (text.length - at > LINE_BYTES_MAX) {
      throw formatError(reader.name, `line ${line}: a quoted cell does not end`)
    }
  }
  if (text.length === at) return
  text += '\n'
  const whole = take()
  if (text.length > at) throw formatError(reader.name, `line ${line}: a quoted cell does not end`)
  if (whole !== undefined) yield whole
}

interface Scanned {
  cells: Cell[]
  end: number
  newlines: number
}

/** One line of cells from `start` on; undefined if the text ends within it. */
function scan(
  text: string,
  start: number,
  delimiter: string,
  file: string,
  line: number,
): Scanned | undefined {
  const lineEnd = text.indexOf('\n', start)
  if (lineEnd === -1) return undefined
  const cells: Cell[] = []
  let newlines = 1
  let at = start
  let end = lineEnd
  for (;;) {
    if (text[at] === '"') {
      const close = closingQuote(text, at + 1)
      if (close === -1) return undefined
      const quoted = text.slice(at + 1, close)
      cells.push(quoted.includes('"') ? quoted.replaceAll('""', '"') : quoted)
      for (let i = quoted.indexOf('\n'); i !== -1; i = quoted.indexOf('\n', i + 1)) newlines++
      at = close + 1
      if (text[at] === '\r' && text[at + 1] === '\n') at++
      if (at >= text.length) return undefined
      if (text[at] !== delimiter && text[at] !== '\n') {
        throw formatError(file, `line ${line}: text behind a closing quote`)
      }
      if (close > end) end = text.indexOf('\n', close)
      if (end === -1) return undefined
    } else {
      const comma = text.indexOf(delimiter, at)
      const stop = comma === -1 || comma > end ? end : comma
      cells.push(typed(text.slice(at, stop === end && text[end - 1] === '\r' ? end - 1 : stop)))
      at = Math.max(stop, at)
    }
    if (text[at] === '\n') return { cells, end: at + 1, newlines }
    at++
  }
}

function closingQuote(text: string, from: number): number {
  for (let at = from; ; at += 2) {
    at = text.indexOf('"', at)
    if (at === -1 || text[at + 1] !== '"') return at
  }
}

function typed(text: string): Cell {
  if (text === '') return undefined
  const first = text.charCodeAt(0)
  if ((first >= 48 && first <= 57) || first === 45) {
    if (!NUMBER.test(text)) return text
    const value = Number(text)
    if (INTEGER.test(text) && !Number.isSafeInteger(value)) return BigInt(text)
    return value
  }
  if (text === 'true') return true
  if (text === 'false') return false
  return text
}

export function csvSink(output: Output, delimiter: string): Sink {
  let isBegun = false
  const begin = async () => {
    if (!isBegun) await output.write(`id${delimiter}vector${delimiter}metadata\n`)
    isBegun = true
  }
  return {
    async write(rows) {
      await begin()
      await output.write(rows.map((row) => toLine(row, delimiter)).join(''))
    },
    finish: begin,
  }
}

function toLine({ id, vector, metadata }: OutRow, delimiter: string): string {
  const cells = [
    typeof id === 'string' ? quote(id) : String(id),
    quote(vectorText(vector)),
    quote(toJson(metadata)),
  ]
  return `${cells.join(delimiter)}\n`
}

const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`

/** The delimiter that --delimiter gives, or the file's name. */
export function delimiterOf(given: string | undefined, file: string): string {
  if (given === undefined) return /\.tsv$/i.test(file) ? '\t' : ','
  const text = given === '\\t' || given === 'tab' ? '\t' : given
  if (text.length !== 1 || /["\r\n]/.test(text)) {
    throw new OmenError('ERR_ARGUMENT', `--delimiter is one character, not '${given}'`)
  }
  return text
}
