/**
 * Ids and values as JSON: an integer past 2^53 - 1 is {"$int": "..."}, a Date {"$date": ISO}, as
 * everywhere in OmenDB.
 */

import type { Id } from '../../types/values.js'
import { UsageError } from './exit.js'

const INTEGER = /^(0|[1-9]\d{0,19})$/

export function idToJson(id: Id): unknown {
  return typeof id === 'bigint' ? { $int: String(id) } : id
}

/** The id in parsed JSON; what is none is left for the database to refuse. */
export function idFromJson(value: unknown): Id {
  const text = (value as { $int?: unknown } | null)?.$int
  if (typeof value === 'object' && typeof text === 'string' && INTEGER.test(text)) {
    return BigInt(text)
  }
  return value as Id
}

/** An id given on the command line: an integer, or text; text that looks like one in quotes. */
export function idFromArgument(text: string): Id {
  if (INTEGER.test(text)) return BigInt(text)
  if (!/^".*"$/s.test(text)) return text
  try {
    return JSON.parse(text) as string
  } catch {
    throw new UsageError(`--id ${text} is no JSON string, as its quotes say`)
  }
}

// Outside of strings these stand before a number; behind them: more digits than are always exact.
const LONG_INTEGER = /(?:^|[[,:\s-])\d{16}/
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g

/** As JSON.parse, but for integers past 2^53 - 1: they are bigints, not rounded numbers. */
export function parseJson(text: string): unknown {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text)
  JSON.parse(text) // What is wrong with it is told of the text as it was.
  let mark = 'integer:'
  while (text.includes(mark)) mark = `-${mark}`
  const marked = text.replace(TOKEN, (token) => {
    const isLong = /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token))
    return isLong ? `"${mark}${token}"` : token
  })
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  )
}

/** Why a text is no JSON: what V8 says quotes the text, which may be long. */
export function jsonReason(error: unknown): string {
  return (error as Error).message.split(/, (?:\.\.\.)?"/)[0] as string
}

/** The JSON text of a value whose Dates must come back as Dates. */
export function toJson(value: unknown): string {
  return JSON.stringify(tagged(value))
}

// JSON.stringify calls Date.toJSON before its replacer sees the Date.
function tagged(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return { $date: value.toISOString() }
  if (Array.isArray(value)) return value.map(tagged)
  // Defined, not assigned: an own property may be called __proto__.
  const out = Object.create(null) as Record<string, unknown>
  for (const [key, inner] of Object.entries(value)) out[key] = tagged(inner)
  return out
}

/** {"error":{"code","message","row","path"}}: what --json writes to stderr. */
export function errorToJson(error: { code: string; message: string; details?: object }): string {
  const { code, message, details } = error
  return JSON.stringify({ error: { code, message, ...details } }, (_, value) =>
    typeof value === 'bigint' ? idToJson(value) : value,
  )
}
