/**
 * Text in blocks: what jsonl and csv read.
 *
 * Bytes that are not UTF-8 are an error that names the line, never replaced.
 */

import { formatError } from '../exit.js'
import { CHUNK_BYTES } from './format.js'
import type { Reader } from './reader.js'

/** Bytes of one line, at most: more than a record with a vector and 1 MiB of metadata. */
export const LINE_BYTES_MAX = 16 * 2 ** 20

const NEWLINE = 10

/** Blocks of whole lines; the last may lack its newline. */
export async function* textBlocks(reader: Reader): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let carry: Buffer[] = []
  let carried = 0
  let line = 1
  const decode = (bytes: Buffer): string => {
    let text: string
    try {
      text = decoder.decode(bytes)
    } catch {
      throw formatError(reader.name, `line ${line + badLine(bytes)} is not UTF-8`)
    }
    const start = line === 1 && text.charCodeAt(0) === 0xfeff ? 1 : 0
    for (let i = text.indexOf('\n'); i !== -1; i = text.indexOf('\n', i + 1)) line++
    return start === 0 ? text : text.slice(start)
  }
  for (;;) {
    const bytes = await reader.read(CHUNK_BYTES)
    if (bytes.length === 0) break
    const end = bytes.lastIndexOf(NEWLINE) + 1
    if (end > 0) {
      yield decode(
        carried === 0 ? bytes.subarray(0, end) : Buffer.concat([...carry, bytes.subarray(0, end)]),
      )
      carry = []
      carried = 0
    }
    if (end < bytes.length) {
      carry.push(bytes.subarray(end))
      carried += bytes.length - end
      if (carried > LINE_BYTES_MAX) {
        throw formatError(reader.name, `line ${line} is longer than ${LINE_BYTES_MAX} bytes`)
      }
    }
  }
  if (carried > 0) yield decode(Buffer.concat(carry))
}

/** How many lines before the first that is not UTF-8. */
function badLine(bytes: Buffer): number {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for (let start = 0, line = 0; ; line++) {
    const found = bytes.indexOf(NEWLINE, start)
    const end = found === -1 ? bytes.length : found
    try {
      decoder.decode(bytes.subarray(start, end))
    } catch {
      return line
    }
    if (found === -1) return line
    start = end + 1
  }
}
