/**
 * Settings: the options of a server, checked and with their defaults.
 *
 * One check for all that give options (createServer, flags, environment, file), so that each fault
 * has one message. It is safe by default: what opens the server to others must be said.
 */

import { isIP } from 'node:net'
import type {
  LogLevel,
  LogTarget,
  ServerLimits,
  ServerOptions,
  TlsFiles,
} from '../../types/server.js'
import { argumentError } from '../options.js'
import { describe, isPlain } from '../text.js'

export type Limits = { readonly [K in keyof ServerLimits]-?: number }

export interface Settings {
  readonly data: string | undefined
  readonly host: string
  readonly port: number
  readonly grpcPort: number | false
  readonly readWriteKeys: readonly string[]
  readonly readOnlyKeys: readonly string[]
  readonly tls: TlsFiles | undefined
  readonly insecure: boolean
  readonly corsOrigins: readonly string[]
  readonly allowedHosts: readonly string[]
  readonly console: boolean
  readonly limits: Limits
  readonly durability: 'sync' | 'periodic' | 'os' | undefined
  readonly residency: 'memory' | 'mapped' | undefined
  readonly readOnly: boolean
  readonly maxMemoryBytes: number | undefined
  readonly backupDirectory: string | undefined
  readonly log: LogTarget | undefined
  readonly logLevel: LogLevel
}

/** Each limit with its default and the most that it may be. */
export const LIMITS: { readonly [K in keyof ServerLimits]-?: readonly [number, number] } = {
  bodyBytes: [32 * 2 ** 20, 2 ** 30],
  uploadBytes: [2 ** 30, 2 ** 40],
  batchRows: [1_000_000, 2 ** 31],
  batchQueries: [10_000, 2 ** 31],
  batchHits: [1_000_000, 2 ** 31],
  k: [10_000, 10_000],
  ef: [10_000, 10_000],
  jsonDepth: [100, 1000],
  concurrency: [512, 2 ** 20],
  connections: [1024, 2 ** 20],
  timeoutMs: [60_000, 2 ** 31 - 1],
  headersTimeoutMs: [10_000, 2 ** 31 - 1],
  requestTimeoutMs: [300_000, 2 ** 31 - 1],
  drainMs: [10_000, 2 ** 31 - 1],
}

const LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
const DURABILITIES = ['sync', 'periodic', 'os'] as const
const RESIDENCIES = ['memory', 'mapped'] as const
const KEYS_MAX = 2
const KEY = /^[\x21-\x7e]{16,256}$/

/** Reads one object of options; `take` gives each value once, and the rest is unknown. */
class Reader {
  readonly #given: Record<string, unknown>
  readonly #path: string
  readonly #taken = new Set<string>()

  constructor(given: unknown, path: string) {
    if (given !== undefined && !isPlain(given)) {
      const what = path === '' ? 'the options of a server' : path.slice(0, -1)
      throw argumentError(`${what} are an object, not ${describe(given)}`)
    }
    this.#given = given ?? {}
    this.#path = path
  }

  take(key: string): unknown {
    this.#taken.add(key)
    return this.#given[key]
  }

  integer(key: string, min: number, max: number): number | undefined {
    const value = this.take(key)
    if (value === undefined) return undefined
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number
    }
    throw this.fault(key, `an integer from ${min} to ${max}`, value)
  }

  text(key: string): string | undefined {
    const value = this.take(key)
    if (value === undefined) return undefined
    if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
    throw this.fault(key, 'a text that is not empty', value)
  }

  flag(key: string, otherwise = false): boolean {
    const value = this.take(key)
    if (value === undefined || typeof value === 'boolean') return value ?? otherwise
    throw this.fault(key, 'true or false', value)
  }

  oneOf<T extends string>(key: string, values: readonly T[]): T | undefined {
    const value = this.take(key)
    if (value === undefined || values.includes(value as T)) return value as T | undefined
    throw this.fault(key, `one of ${values.join(', ')}`, value)
  }

  list(key: string): string[] {
    const value = this.take(key)
    if (value === undefined) return []
    if (Array.isArray(value) && value.every((v) => typeof v === 'string' && v !== '')) {
      return [...value]
    }
    throw this.fault(key, 'a list of texts', value)
  }

  within(key: string): Reader {
    return new Reader(this.take(key), `${this.#path}${key}.`)
  }

  /** Throws if an option is left that nobody has taken. */
  end(): void {
    for (const key of Object.keys(this.#given)) {
      if (!this.#taken.has(key) && this.#given[key] !== undefined) {
        throw argumentError(`unknown option ${JSON.stringify(this.#path + key)} of the server`)
      }
    }
  }

  fault(key: string, wanted: string, value: unknown) {
    return argumentError(`${this.#path}${key} is ${wanted}, not ${describe(value)}`)
  }
}

export function readSettings(options: ServerOptions | undefined): Settings {
  const reader = new Reader(options, '')
  const settings: Settings = {
    data: reader.text('data'),
    host: reader.text('host') ?? '127.0.0.1',
    port: reader.integer('port', 0, 65_535) ?? 8080,
    grpcPort: readGrpcPort(reader),
    ...readKeys(reader.within('apiKeys')),
    tls: readTls(reader),
    insecure: reader.flag('insecure'),
    corsOrigins: reader.list('corsOrigins').map(checkOrigin),
    allowedHosts: reader.list('allowedHosts').map(checkHost),
    console: reader.flag('console', true),
    limits: readLimits(reader.within('limits')),
    durability: reader.oneOf('durability', DURABILITIES),
    residency: reader.oneOf('residency', RESIDENCIES),
    readOnly: reader.flag('readOnly'),
    maxMemoryBytes: reader.integer('maxMemoryBytes', 1, Number.MAX_SAFE_INTEGER),
    backupDirectory: reader.text('backupDirectory'),
    log: readLog(reader),
    logLevel: reader.oneOf('logLevel', LEVELS) ?? 'info',
  }
  reader.end()
  checkExposure(settings)
  if (settings.readOnly && settings.data === undefined) {
    throw argumentError(
      'readOnly (--read-only) needs `data` (--data): a database in memory begins empty',
    )
  }
  return settings
}

function readGrpcPort(reader: Reader): number | false {
  if (reader.take('grpcPort') === false) return false
  return reader.integer('grpcPort', 0, 65_535) ?? 9090
}

function readKeys(reader: Reader): { readWriteKeys: string[]; readOnlyKeys: string[] } {
  const keys = { readWriteKeys: reader.list('readWrite'), readOnlyKeys: reader.list('readOnly') }
  reader.end()
  const all = [...keys.readWriteKeys, ...keys.readOnlyKeys]
  // Messages name no key: they end in logs.
  if (keys.readWriteKeys.length > KEYS_MAX || keys.readOnlyKeys.length > KEYS_MAX) {
    throw argumentError(`apiKeys: at most ${KEYS_MAX} keys of a kind`)
  }
  if (!all.every((key) => KEY.test(key))) {
    throw argumentError('apiKeys: a key has 16 to 256 printable characters without spaces')
  }
  if (new Set(all).size < all.length) throw argumentError('apiKeys: a key is given twice')
  return keys
}

function readTls(reader: Reader): TlsFiles | undefined {
  if (reader.take('tls') === undefined) return undefined
  const tls = reader.within('tls')
  const cert = tls.text('cert')
  const key = tls.text('key')
  tls.end()
  if (cert === undefined || key === undefined) {
    throw argumentError('tls needs both `cert` and `key`, files in PEM form')
  }
  return { cert, key }
}

function readLog(reader: Reader): LogTarget | undefined {
  const log = reader.take('log') as LogTarget | undefined
  if (log === undefined || typeof log?.write === 'function') return log
  throw reader.fault('log', 'an object with `write`, such as process.stdout', log)
}

function readLimits(reader: Reader): Limits {
  const limits: Record<string, number> = {}
  for (const [key, [otherwise, max]] of Object.entries(LIMITS)) {
    limits[key] = reader.integer(key, 1, max) ?? otherwise
  }
  reader.end()
  return limits as Limits
}

function checkOrigin(origin: string): string {
  if (URL.canParse(origin) && new URL(origin).origin === origin) return origin
  throw argumentError(
    `corsOrigins: an origin is like https://example.com, without a path, not ${describe(origin)}`,
  )
}

const HOST = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/

/** As the gate compares it: in small letters, an address of IPv6 without brackets. */
function checkHost(given: string): string {
  const name = given.toLowerCase()
  const host = isIP(name.slice(1, -1)) === 6 && name.startsWith('[') ? name.slice(1, -1) : name
  if (isIP(host) !== 0 || (HOST.test(host) && !/^[\d.]+$/.test(host))) return host
  throw argumentError(
    'allowedHosts (--allowed-host): a name is like db.example.com or 10.0.0.1, without scheme, ' +
      `port and path, not ${describe(given)}`,
  )
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function checkExposure({ host, insecure, tls, readWriteKeys, readOnlyKeys }: Settings): void {
  if (isLoopback(host) || insecure) return
  const hasKey = readWriteKeys.length + readOnlyKeys.length > 0
  if (hasKey && tls !== undefined) return
  const missing = hasKey
    ? 'no TLS'
    : tls === undefined
      ? 'neither an API key nor TLS'
      : 'no API key'
  throw argumentError(
    `the host ${host} is reachable by others, and the server has ${missing}: ` +
      'give it, bind 127.0.0.1, or set `insecure` (--insecure) where a proxy sees to it',
  )
}
