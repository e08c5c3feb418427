/**
 * Options of every call: read once, checked, and put into the form that native code takes.
 *
 * Native code checks the same bounds again; the checks here exist for their messages. An unknown
 * option is an error: a misspelt `filter` must not search everything.
 */

import type {
  NativeCollectionOptions,
  NativeDiskOptions,
  NativeInclude,
  NativeMode,
} from '../types/native.js'
import type { AbortSignalLike, Progress } from '../types/values.js'
import { OmenError } from './errors.js'
import { filterToJson } from './filter.js'
import { describe, isPlain } from './text.js'

export const DIMENSIONS_MAX = 16_384
const HITS_MAX = 10_000
const EF_MAX = 10_000
const EF_DEFAULT = 64

export function argumentError(message: string): OmenError {
  return new OmenError('ERR_ARGUMENT', message)
}

function integer(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw argumentError(`${name} is an integer from ${min} to ${max}, not ${describe(value)}`)
  }
  return value
}

function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean')
    throw argumentError(`${name} is a boolean, not ${describe(value)}`)
  return value
}

function optionsObject(options: unknown): Record<string, unknown> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw argumentError(`options are an object, not ${describe(options)}`)
  }
  return options as Record<string, unknown>
}

function unknownOption(key: string): OmenError {
  return argumentError(`unknown option ${JSON.stringify(key)}: this call has none of that name`)
}

/** What limits and watches one asynchronous call. */
export interface CallSettings {
  signal: AbortSignalLike | undefined
  timeoutMs: number | undefined
  onProgress: ((progress: Progress) => void) | undefined
}

function signalOf(value: unknown): AbortSignalLike {
  const signal = value as Partial<AbortSignalLike> | null
  if (
    typeof signal !== 'object' ||
    typeof signal?.addEventListener !== 'function' ||
    typeof signal.removeEventListener !== 'function'
  ) {
    throw argumentError(`signal is an AbortSignal, not ${describe(value)}`)
  }
  return signal as AbortSignalLike
}

/** Infinity is kept: a Client takes its own time where none is given. */
function timeoutOf(value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw argumentError(`timeoutMs is a number of milliseconds from 0, not ${describe(value)}`)
  }
  return value
}

const NO_SETTINGS: CallSettings = Object.freeze({
  signal: undefined,
  timeoutMs: undefined,
  onProgress: undefined,
})

/** Options of writes and other calls without parameters of their own. */
export function readCall(options: unknown): CallSettings {
  if (options === undefined) return NO_SETTINGS
  const given = optionsObject(options)
  const settings = { ...NO_SETTINGS }
  for (const key in given) {
    const value = given[key]
    if (value === undefined) continue
    if (key === 'signal') settings.signal = signalOf(value)
    else if (key === 'timeoutMs') settings.timeoutMs = timeoutOf(value)
    else if (key === 'onProgress' && typeof value === 'function') {
      settings.onProgress = value as (progress: Progress) => void
    } else if (key === 'onProgress') {
      throw argumentError(`onProgress is a function, not ${describe(value)}`)
    } else throw unknownOption(key)
  }
  return settings
}

/** Arguments of one search, as native code takes them. */
export interface SearchCall {
  k: number
  ef: number
  mode: NativeMode
  maxDistance: number
  filter: string | undefined
  include: NativeInclude
  signal: AbortSignalLike | undefined
  timeoutMs: number | undefined
}

/** What a search takes beside the options that all searches have: bits. */
export type SearchForm = number
export const TAKES_INCLUDE = 1
export const TAKES_SIGNAL = 2

/** A SearchCall with the defaults of a search without options. */
export function searchCall(): SearchCall {
  return {
    k: 10,
    ef: EF_DEFAULT,
    mode: 0,
    maxDistance: Number.POSITIVE_INFINITY,
    filter: undefined,
    include: 1,
    signal: undefined,
    timeoutMs: undefined,
  }
}

/**
 * Reads search options into `call`, all fields of it. The caller's getters may run a search of
 * their own meanwhile: nothing is written before everything was read.
 */
export function readSearch(options: unknown, call: SearchCall, form: SearchForm): void {
  let k = 10
  let ef = 0
  let mode: NativeMode = 0
  let maxDistance = Number.POSITIVE_INFINITY
  let filter: string | undefined
  let include: NativeInclude = 1
  let signal: AbortSignalLike | undefined
  let timeoutMs: number | undefined
  if (options !== undefined) {
    const given = optionsObject(options)
    for (const key in given) {
      const value = given[key]
      if (value === undefined) continue
      if (key === 'k') k = integer(value, 'k', 1, HITS_MAX)
      else if (key === 'ef') ef = integer(value, 'ef', 1, EF_MAX)
      else if (key === 'filter') filter = filterToJson(value)
      else if (key === 'exact') mode = boolean(value, 'exact') ? 1 : 2
      else if (key === 'maxDistance') maxDistance = distanceOf(value)
      else if (key === 'include' && (form & TAKES_INCLUDE) !== 0) include = includeOf(value)
      else if (key === 'signal' && (form & TAKES_SIGNAL) !== 0) signal = signalOf(value)
      else if (key === 'timeoutMs' && (form & TAKES_SIGNAL) !== 0) timeoutMs = timeoutOf(value)
      else throw unknownOption(key)
    }
  }
  call.k = k
  call.ef = Math.max(ef === 0 ? EF_DEFAULT : ef, k)
  call.mode = mode
  call.maxDistance = maxDistance
  call.filter = filter
  call.include = include
  call.signal = signal
  call.timeoutMs = timeoutMs
}

function distanceOf(value: unknown): number {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw argumentError(`maxDistance is a number, not ${describe(value)}`)
  }
  return value
}

function includeOf(value: unknown): NativeInclude {
  if (value === 'metadata') return 1
  if (value === 'none') return 0
  if (value === 'vector') return 2
  if (Array.isArray(value)) {
    let bits = 0
    for (const part of value) {
      if (part === 'metadata') bits |= 1
      else if (part === 'vector') bits |= 2
      else throw argumentError(`include lists 'metadata' and 'vector', not ${describe(part)}`)
    }
    return bits as NativeInclude
  }
  throw argumentError(
    `include is 'metadata', 'vector', ['metadata', 'vector'] or 'none', not ${describe(value)}`,
  )
}

/** Arguments of get, scroll, records and count. */
export interface ReadCall {
  include: NativeInclude
  limit: number
  filter: string | undefined
  cursor: string | undefined
  signal: AbortSignalLike | undefined
  timeoutMs: number | undefined
}

/** @param sizeName  The option that gives `limit`, if the call has one. */
function readRead(options: unknown, names: readonly string[], sizeName: string): ReadCall {
  const call: ReadCall = {
    include: 1,
    limit: 0,
    filter: undefined,
    cursor: undefined,
    signal: undefined,
    timeoutMs: undefined,
  }
  if (options === undefined) return call
  const given = optionsObject(options)
  for (const key in given) {
    const value = given[key]
    if (value === undefined) continue
    if (!names.includes(key)) throw unknownOption(key)
    if (key === 'include') call.include = includeOf(value)
    else if (key === 'filter') call.filter = filterToJson(value)
    else if (key === sizeName) call.limit = integer(value, key, 1, HITS_MAX)
    else if (key === 'signal') call.signal = signalOf(value)
    else if (key === 'timeoutMs') call.timeoutMs = timeoutOf(value)
    else if (typeof value === 'string') call.cursor = value
    else throw argumentError(`cursor is the \`next\` of a page, not ${describe(value)}`)
  }
  return call
}

const ASYNC_NAMES = ['signal', 'timeoutMs']

/** @param isSync  A Sync call has neither signal nor timeoutMs. */
export function readGet(options: unknown, isSync = false): ReadCall {
  return readRead(options, ['include', ...(isSync ? [] : ASYNC_NAMES)], '')
}

export function readScroll(options: unknown, isSync = false): ReadCall {
  const names = ['include', 'filter', 'limit', 'cursor', ...(isSync ? [] : ASYNC_NAMES)]
  const call = readRead(options, names, 'limit')
  if (call.limit === 0) throw argumentError('scroll needs `limit`, an integer from 1 to 10000')
  return call
}

export function readRecords(options: unknown): ReadCall {
  const names = ['include', 'filter', 'batchSize', ...ASYNC_NAMES]
  const call = readRead(options, names, 'batchSize')
  if (call.limit === 0) call.limit = 256
  return call
}

const METRICS = ['cosine', 'l2', 'dot']
const LAYOUTS = ['compact', 'fast']
const QUANTIZATIONS = ['sq8', 'none', 'binary']

function oneOf(value: unknown, name: string, values: readonly string[]): string {
  if (typeof value !== 'string' || !values.includes(value)) {
    throw argumentError(`${name} is one of ${values.join(', ')}, not ${describe(value)}`)
  }
  return value
}

// Native code checks paths and types; here is refused what JSON.stringify would drop or throw at.
function schemaToJson(schema: unknown): string {
  if (!isPlain(schema)) {
    throw argumentError(`schema is an object of types by path, not ${describe(schema)}`)
  }
  const out: Record<string, unknown> = {}
  for (const [path, field] of Object.entries(schema)) {
    if (field === undefined) continue
    if (typeof field !== 'string' && !isPlain(field)) throw schemaFault(path, field)
    if (path.split('.').includes('')) {
      throw argumentError(`schema: ${describe(path)} is no path; between dots there are names`)
    }
    if (isPlain(field)) {
      for (const value of Object.values(field)) {
        if (!['string', 'boolean', 'undefined'].includes(typeof value))
          throw schemaFault(path, value)
      }
    }
    Object.defineProperty(out, path, { value: field, enumerable: true })
  }
  return JSON.stringify(out)
}

function schemaFault(path: string, value: unknown): OmenError {
  return argumentError(
    `schema: ${path} has a type, or { type, index? }, and neither is ${describe(value)}`,
  )
}

/** Reads one option of a collection into `out`. Returns whether it is one. */
function readCollectionOption(key: string, value: unknown, out: NativeCollectionOptions): boolean {
  switch (key) {
    case 'dimensions':
      out.dimensions = integer(value, key, 1, DIMENSIONS_MAX)
      return true
    case 'metric':
      out.metric = oneOf(value, key, METRICS) as 'cosine' | 'l2' | 'dot'
      return true
    case 'quantization':
      out.quantization = oneOf(value, key, QUANTIZATIONS) as 'sq8' | 'none' | 'binary'
      return true
    case 'layout':
      out.layout = oneOf(value, key, LAYOUTS) as 'compact' | 'fast'
      return true
    case 'm':
      out.m = integer(value, key, 2, 64)
      return true
    case 'efConstruction':
      out.efConstruction = integer(value, key, 1, 2000)
      return true
    case 'keepVectors':
      out.keepVectors = boolean(value, key)
      return true
    case 'schema':
      out.schema = schemaToJson(value)
      return true
    default:
      return false
  }
}

/** Options of `collection()`; `createIfMissing` only where that is allowed. */
export function readCollection(
  options: unknown,
  mayOpen: boolean,
  isSync = true,
): { native: NativeCollectionOptions; createIfMissing: boolean; settings: CallSettings } {
  const out: NativeCollectionOptions = {}
  let createIfMissing = true
  const settings = { ...NO_SETTINGS }
  if (options !== undefined) {
    const given = optionsObject(options)
    for (const key in given) {
      const value = given[key]
      if (value === undefined) continue
      if (mayOpen && key === 'createIfMissing') createIfMissing = boolean(value, key)
      else if (!isSync && key === 'signal') settings.signal = signalOf(value)
      else if (!isSync && key === 'timeoutMs') settings.timeoutMs = timeoutOf(value)
      else if (!readCollectionOption(key, value, out)) throw unknownOption(key)
    }
  }
  return { native: out, createIfMissing, settings }
}

/** Options of `new DB()`: the database's, and those of its default collection. */
export function readMemory(options: unknown): {
  name: string | undefined
  maxMemoryBytes: number | undefined
  seed: number | undefined
  collection: NativeCollectionOptions
} {
  const collection: NativeCollectionOptions = {}
  let name: string | undefined
  let maxMemoryBytes: number | undefined
  let seed: number | undefined
  if (typeof options === 'string') {
    throw argumentError('new DB() takes options and lives in memory; a path goes to DB.open()')
  }
  const given = options === undefined ? {} : optionsObject(options)
  for (const key in given) {
    const value = given[key]
    if (value === undefined) continue
    if (key === 'name') {
      if (typeof value !== 'string' || value === '') {
        throw argumentError(`name is a string that is not empty, not ${describe(value)}`)
      }
      name = value
    } else if (key === 'maxMemoryBytes') {
      maxMemoryBytes = integer(value, key, 1, Number.MAX_SAFE_INTEGER)
    } else if (key === 'seed') seed = integer(value, key, 0, Number.MAX_SAFE_INTEGER)
    else if (!readCollectionOption(key, value, collection)) throw unknownOption(key)
  }
  return { name, maxMemoryBytes, seed, collection }
}

const DURABILITIES = ['sync', 'periodic', 'os']
const RESIDENCIES = ['memory', 'mapped']

/** Options of `DB.open()`: the database's, and those of its default collection. */
export function readOpen(
  options: unknown,
  isSync: boolean,
): {
  database: NativeDiskOptions
  collection: NativeCollectionOptions
  settings: CallSettings
} {
  const database: NativeDiskOptions = {}
  const collection: NativeCollectionOptions = {}
  const given = options === undefined ? {} : optionsObject(options)
  let settings = NO_SETTINGS
  for (const key in given) {
    const value = given[key]
    if (value === undefined) continue
    if (key === 'durability') {
      database.durability = oneOf(value, key, DURABILITIES) as 'sync' | 'periodic' | 'os'
    } else if (key === 'residency') {
      database.residency = oneOf(value, key, RESIDENCIES) as 'memory' | 'mapped'
    } else if (key === 'readOnly' || key === 'createIfMissing') database[key] = boolean(value, key)
    else if (key === 'maxMemoryBytes') {
      database.maxMemoryBytes = integer(value, key, 1, Number.MAX_SAFE_INTEGER)
    } else if (key === 'checkpointBytes') {
      database.checkpointBytes = integer(value, key, 1, Number.MAX_SAFE_INTEGER)
    } else if (key === 'seed') database.seed = integer(value, key, 0, Number.MAX_SAFE_INTEGER)
    else if (key === 'onProgress' && !isSync) settings = readCall({ onProgress: value })
    else if (!readCollectionOption(key, value, collection)) throw unknownOption(key)
  }
  return { database, collection, settings }
}

/** A collection's name. */
export function collectionName(name: unknown): string {
  if (typeof name !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw argumentError(`a collection's name is 1 to 64 of A-Z a-z 0-9 _ -, not ${describe(name)}`)
  }
  return name
}
