/** The vector of a record: a list of numbers, its JSON text, or a number in each of its columns. */

import { describe } from '../../text.js'
import type { Fields } from '../formats/format.js'
import { DIMENSIONS_MAX } from '../formats/format.js'
import type { Fault } from './columns.js'

/** @returns One to DIMENSIONS_MAX numbers, not yet rounded to float32. */
export function toVector(record: Fields, columns: string[], fault: Fault): ArrayLike<number> {
  const [only] = columns
  const value =
    columns.length === 1 ? parsed(record[only as string], only as string, fault) : undefined
  const list = columns.length === 1 ? value : columns.map((c) => record[c])
  if (columns.length === 1 && typeof value === 'number') return [value]
  const isNumbers = list instanceof Float32Array || list instanceof Float64Array
  if (!isNumbers && !Array.isArray(list)) {
    const found = value === undefined ? 'missing' : `${describe(value)}, and no list of numbers`
    throw fault('ERR_VECTOR', `the vector ('${only}') is ${found}`)
  }
  if (list.length === 0 || list.length > DIMENSIONS_MAX) {
    throw fault(
      'ERR_DIMENSIONS',
      `a vector has 1 to ${DIMENSIONS_MAX} dimensions, not ${list.length}`,
    )
  }
  if (isNumbers) return list
  for (let i = 0; i < list.length; i++) {
    const element = list[i] as unknown
    if (typeof element === 'number') continue
    if (typeof element === 'bigint') list[i] = Number(element)
    else {
      const where = columns.length === 1 ? `element ${i}` : `'${columns[i]}'`
      throw fault('ERR_VECTOR', `${where} of the vector is ${describe(element)}, not a number`)
    }
  }
  return list as number[]
}

function parsed(value: unknown, column: string, fault: Fault): unknown {
  if (typeof value !== 'string') return value ?? undefined
  try {
    return JSON.parse(value)
  } catch {
    throw fault('ERR_VECTOR', `the vector ('${column}') is no JSON list: ${describe(value)}`)
  }
}
