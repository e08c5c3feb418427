/** Options of a client, checked: address, key, time-outs; those of the collection `default`. */

import type { NativeCollectionOptions } from '../../types/native.js'
import { OmenError } from '../errors.js'
import { argumentError, readCollection } from '../options.js'
import { describe, isPlain } from '../text.js'

const TIMEOUT_MS = 30_000
const RETRIES = 4
const RETRIES_MAX = 10
/** Those that the client sets, and those of the connection. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connect-protocol-version',
  'connect-timeout-ms',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

export interface ClientSettings {
  /** Without a slash at its end. */
  readonly base: string
  readonly headers: { readonly [name: string]: string }
  /** undefined: no bound. */
  readonly timeoutMs: number | undefined
  readonly retries: number
  readonly collection: NativeCollectionOptions
}

/** `localhost:8080` means http://localhost:8080. A path is a prefix, as a proxy may have. */
export function readAddress(address: unknown): string {
  const fault = argumentError(
    `an address is like localhost:8080 or https://db.example.com, not ${describe(address)}`,
  )
  if (typeof address !== 'string' || address === '') throw fault
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw fault
  }
  if (!/^https?:$/.test(url.protocol)) throw fault
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw argumentError('an address has no user, no query and no fragment; keys go to `apiKey`')
  }
  return url.origin + url.pathname.replace(/\/+$/, '')
}

export function readClientSettings(address: unknown, options: unknown): ClientSettings {
  const base = readAddress(address)
  if (options !== undefined && !isPlain(options)) {
    throw argumentError(`options are an object, not ${describe(options)}`)
  }
  const { apiKey, timeoutMs, retries, headers, ...collection } = options ?? {}
  return {
    base,
    headers: readHeaders(headers, apiKey),
    timeoutMs: readTimeout(timeoutMs),
    retries: readRetries(retries),
    collection: readCollection(collection, false).native,
  }
}

function readHeaders(headers: unknown, apiKey: unknown): { [name: string]: string } {
  if (headers !== undefined && !isPlain(headers)) {
    throw argumentError(`headers are an object of texts, not ${describe(headers)}`)
  }
  const out: { [name: string]: string } = Object.create(null)
  for (const [name, value] of Object.entries(headers ?? {})) {
    checkHeader(name, value)
    const key = name.toLowerCase()
    if (Object.hasOwn(out, key))
      throw argumentError(`headers: ${key} is there twice; leave one out`)
    out[key] = value as string
  }
  if (apiKey === undefined) return out
  if (Object.hasOwn(out, 'authorization')) {
    throw argumentError(
      'apiKey and the header authorization contradict each other: the key goes as that header. ' +
        'Give one of them',
    )
  }
  // The key is in no message.
  if (typeof apiKey !== 'string' || !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new OmenError('ERR_AUTH', 'apiKey is a text of printable characters without spaces')
  }
  return { ...out, authorization: `Bearer ${apiKey}` }
}

/** What fetch would refuse, and tell as if no server were there. Values are in no message. */
function checkHeader(name: string, value: unknown): void {
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw argumentError(`headers: ${describe(name)} is no name of a header`)
  }
  if (OWN_HEADERS.has(name.toLowerCase()) || name.toLowerCase().startsWith('omendb-')) {
    throw argumentError(`headers: ${name} is of the request itself; leave it out`)
  }
  if (typeof value !== 'string') {
    throw argumentError(`the header ${name} is a text, not ${describe(value)}`)
  }
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw argumentError(`the header ${name} has characters that no header may have`)
  }
}

function readTimeout(value: unknown): number | undefined {
  if (value === undefined) return TIMEOUT_MS
  if (typeof value !== 'number' || !(value >= 0)) {
    throw argumentError(`timeoutMs is a number of milliseconds from 0, not ${describe(value)}`)
  }
  return value === Number.POSITIVE_INFINITY ? undefined : value
}

function readRetries(value: unknown): number {
  if (value === undefined) return RETRIES
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= RETRIES_MAX) {
    return value as number
  }
  throw argumentError(`retries is an integer from 0 to ${RETRIES_MAX}, not ${describe(value)}`)
}
