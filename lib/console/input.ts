/** What is typed into the page: ids, vectors, filters, each with a message where it is none. */

import type { Filter, Id, Metadata } from 'omendb/client'

/** Told to whoever typed. */
export class InputError extends Error {}

/**
 * Ids that a text may mean, the likelier first: digits are an integer, or else a text; quotes make
 * it a text for certain.
 */
export function readId(text: string): Id[] {
  const trimmed = text.trim()
  if (trimmed === '') throw new InputError('Type the id of a record.')
  if (/^".*"$/s.test(trimmed)) {
    try {
      return [JSON.parse(trimmed) as string]
    } catch {
      return [trimmed]
    }
  }
  if (!/^\d{1,20}$/.test(trimmed)) return [trimmed]
  const integer = BigInt(trimmed)
  if (integer >= 2n ** 64n) return [trimmed]
  return [integer <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(integer) : integer, trimmed]
}

/** Numbers as a JSON array, or with spaces, commas or semicolons between them. */
export function readVector(text: string, dimensions: number): Float32Array {
  const inner = text.trim().replace(/^\[(.*)\]$/s, '$1')
  const parts = inner.split(/[\s,;]+/).filter((part) => part !== '')
  if (parts.length === 0) throw new InputError('Paste a vector: numbers, or a JSON array of them.')
  const vector = Float32Array.from(parts, Number)
  const wrong = parts.findIndex((_, i) => !Number.isFinite(vector[i]))
  if (wrong >= 0) {
    const shown = (parts[wrong] as string).slice(0, 40)
    throw new InputError(`Number ${wrong + 1} of the vector is "${shown}", no finite number.`)
  }
  if (dimensions > 0 && parts.length !== dimensions) {
    const given = `The vector has ${parts.length} ${parts.length === 1 ? 'number' : 'numbers'}`
    throw new InputError(`${given}; this collection takes ${dimensions}.`)
  }
  return vector
}

/** undefined where there is none. What a filter may say is the database's to judge. */
export function readFilter(text: string): Filter<Metadata> | undefined {
  if (text.trim() === '') return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new InputError(`The filter is no JSON: ${(error as Error).message}`)
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
    return parsed as Filter<Metadata>
  }
  throw new InputError('A filter is a JSON object, like {"year": {"$gte": 1999}}.')
}

/** undefined where nothing was typed. */
export function readInteger(text: string, name: string, max: number): number | undefined {
  if (text.trim() === '') return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new InputError(`${name} is an integer from 1 to ${max.toLocaleString('en')}.`)
}
