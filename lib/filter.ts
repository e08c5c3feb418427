/**
 * Filters on their way to the engine: one walk that turns a filter object into JSON text.
 *
 * Only what JSON cannot carry is judged here (undefined, functions, NaN, cycles, invalid dates);
 * the language itself is the engine's, which reports faults with the same paths. A Date becomes
 * {"$date": ISO}, and an integer id past 2^53 - 1 {"$int": "..."}.
 */

import { OmenError } from './errors.js'
import { isDataView, isDate } from './kinds.js'
import { describe, isPlain } from './text.js'

// A filter of depth 32 nests at most three levels of JSON per level ({ $and: [{ $not: ... }] }).
const DEPTH_MAX = 100
const CLAUSES_MAX = 1024
// Each object and list leads to a clause, so that more of them are more clauses. Counted because an
// object that is shared by many others multiplies: 20 levels of { $and: [f, f] } are a million.
const NODES_MAX = CLAUSES_MAX * DEPTH_MAX
const VALUES_MAX = 65_536
// Of all lists together. Each takes two bytes of the text's 64 MiB at least.
const VALUES_IN_ALL_MAX = 2 ** 25
const INTEGER_ID_MAX = 2n ** 64n - 1n

/** The filter's JSON text; undefined for none. Throws ERR_FILTER with the path of the fault. */
export function filterToJson(filter: unknown): string | undefined {
  if (filter === undefined) return undefined
  if (!isPlain(filter)) {
    throw fault(
      '',
      `a filter is an object such as { year: { $gte: 1999 } }, not ${describe(filter)}`,
    )
  }
  return new Walk().object(filter, '', false, 0)
}

/** Whether a filter has no condition at all: what `delete` refuses. */
export function isEmptyFilter(filter: unknown): boolean {
  return filter === undefined || (isPlain(filter) && Object.keys(filter).length === 0)
}

function fault(path: string, message: string): OmenError {
  return new OmenError('ERR_FILTER', path === '' ? message : `${path}: ${message}`, {
    details: path === '' ? {} : { path },
  })
}

class Walk {
  #nodes = 0
  #values = 0

  object(object: Record<string, unknown>, path: string, isId: boolean, depth: number): string {
    this.#count(path)
    let text = ''
    for (const key of Object.keys(object)) {
      const at = path === '' ? key : `${path}.${key}`
      const value = this.#value(object[key], at, isId || key === '$id', depth + 1)
      text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${value}`
    }
    return `{${text}}`
  }

  #count(path: string): void {
    if (++this.#nodes <= NODES_MAX) return
    throw fault(shortened(path), `more than ${CLAUSES_MAX} clauses`)
  }

  #value(value: unknown, path: string, isId: boolean, depth: number): string {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return JSON.stringify(value)
      case 'number':
        if (!Number.isFinite(value)) throw fault(path, `${value} is not a number to compare with`)
        return String(value)
      case 'bigint':
        return bigintToJson(value, path, isId)
      case 'undefined':
        throw fault(path, 'the operand is undefined; leave the key out, or use null or $exists')
      case 'object':
        break
      default:
        throw fault(path, `${describe(value)} is not an operand`)
    }
    if (value === null) return 'null'
    if (isDate(value)) {
      if (Number.isNaN(value.getTime())) throw fault(path, 'the date is invalid')
      return `{"$date":"${value.toISOString()}"}`
    }
    if (depth > DEPTH_MAX) throw fault(shortened(path), 'deeper than 32 levels, or circular')
    if (Array.isArray(value)) return this.#list(value, path, isId, depth)
    if (ArrayBuffer.isView(value) && !isDataView(value)) {
      return this.#list(value as unknown as ArrayLike<unknown>, path, isId, depth)
    }
    if (!isPlain(value)) throw fault(path, `${describe(value)} is not an operand`)
    if (isOperand(value)) return JSON.stringify(value)
    return this.object(value, path, isId, depth)
  }

  #list(list: ArrayLike<unknown>, path: string, isId: boolean, depth: number): string {
    if (list.length > VALUES_MAX) {
      throw fault(path, `${list.length} values; at most ${VALUES_MAX} are allowed`)
    }
    this.#count(path)
    let text = ''
    for (let i = 0; i < list.length; i++) {
      if (i > 0) text += ','
      text += this.#value(list[i], `${path}[${i}]`, isId, depth + 1)
      if (++this.#values > VALUES_IN_ALL_MAX) throw fault(path, 'the lists hold too many values')
    }
    return `[${text}]`
  }
}

// { $date: ISO } and { $int: digits }, as JSON has them, are values, of which lists are long.
function isOperand(value: Record<string, unknown>): boolean {
  const keys = Object.keys(value)
  const [key] = keys
  return keys.length === 1 && (key === '$date' || key === '$int') && typeof value[key] === 'string'
}

function bigintToJson(value: bigint, path: string, isId: boolean): string {
  if (!isId) throw fault(path, `metadata holds no bigint; compare with Number(${value}n)`)
  if (value < 0n || value > INTEGER_ID_MAX) throw fault(path, `${value}n is not an id`)
  return value <= Number.MAX_SAFE_INTEGER ? String(value) : `{"$int":"${value}"}`
}

function shortened(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}...` : path
}
