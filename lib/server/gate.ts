/**
 * Gate: what every request passes on every port before its route is known or its body is read.
 *
 * In this order: is it addressed to this server (a page elsewhere may have its name resolve here),
 * may this web page ask, who asks, is there room. Paths in OPEN and those of the console carry no
 * data, and need no key.
 */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { OmenError } from '../errors.js'
import type { Access } from './caller.js'
import { isLoopback, type Settings } from './settings.js'

// Health of gRPC as well: Kubernetes asks without a key. Its Watch would hold a place for ever.
const OPEN = ['/healthz', '/readyz', '/grpc.health.v1.Health/Check']
const NO_KEY = 'none'
const REQUEST_ID = /^[A-Za-z0-9_-]{1,64}$/

/** Who passed. */
export interface Pass {
  readonly access: Access
  readonly keyName: string
  readonly requestId: string | undefined
  readonly instance: string | undefined
}

/** ERR_FORBIDDEN for another reason than the key: no other key would help. */
export class AddressError extends OmenError {
  constructor(
    message: string,
    readonly advice: string,
  ) {
    super('ERR_FORBIDDEN', message)
  }
}

interface Key {
  readonly name: string
  readonly access: Access
  readonly digest: Buffer
}

// Of equal length whatever was given, so that the comparison tells nothing of it.
function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

export class Gate {
  readonly #keys: Key[]
  readonly #open: ReadonlySet<string>
  readonly #hosts: Set<string>
  readonly #anyHost: boolean
  readonly #origins: ReadonlySet<string>
  readonly #concurrency: number
  #running = 0
  #isDraining = false

  /** @param pages  Paths of the console. */
  constructor(settings: Settings, pages: Iterable<string>) {
    this.#open = new Set([...OPEN, ...pages])
    const keysOf = (keys: readonly string[], name: string, access: Access): Key[] =>
      keys.map((key, i) => ({ name: `${name}[${i}]`, access, digest: digestOf(key) }))
    this.#keys = [
      ...keysOf(settings.readWriteKeys, 'readWrite', 'write'),
      ...keysOf(settings.readOnlyKeys, 'readOnly', 'read'),
    ]
    const { host, allowedHosts } = settings
    this.#hosts = new Set(['localhost', '127.0.0.1', '::1', host.toLowerCase(), ...allowedHosts])
    // Bound to all addresses without names of its own, a server cannot know how it is addressed;
    // then it has keys, or was told to be insecure.
    this.#anyHost = !isLoopback(host) && allowedHosts.length === 0
    this.#origins = new Set(settings.corsOrigins)
    this.#concurrency = settings.limits.concurrency
  }

  /** Lets no further request in. */
  drain(): void {
    this.#isDraining = true
  }

  get running(): number {
    return this.#running
  }

  /** Whether answers to this page may be read by it. */
  allowsOrigin(origin: string | undefined): boolean {
    return origin !== undefined && this.#origins.has(origin)
  }

  /**
   * Judges a request. @param authority  `Host`, or `:authority`.
   * @throws {OmenError} ERR_FORBIDDEN, ERR_AUTH, ERR_ARGUMENT.
   */
  check(path: string, authority: string | undefined, headers: IncomingHttpHeaders): Pass {
    this.#checkHost(authority)
    this.#checkOrigin(headers.origin, authority)
    const key = this.#open.has(path) ? undefined : this.#checkKey(headers.authorization)
    const requestId = oneHeader(headers, 'omendb-request-id')
    if (requestId !== undefined && !REQUEST_ID.test(requestId)) {
      throw new OmenError('ERR_ARGUMENT', 'omendb-request-id is 1 to 64 of A-Z a-z 0-9 _ -')
    }
    return {
      access: key?.access ?? 'write',
      keyName: key?.name ?? NO_KEY,
      requestId,
      instance: oneHeader(headers, 'omendb-instance'),
    }
  }

  /** Whether who passed has a key, or none is asked for. */
  isKnown({ keyName }: Pass): boolean {
    return this.#keys.length === 0 || keyName !== NO_KEY
  }

  #checkHost(authority: string | undefined): void {
    if (this.#anyHost) return
    const name = hostName(authority)
    if (name !== undefined && this.#hosts.has(name)) return
    throw new AddressError(
      'the request is addressed to another host; --allowed-host allows further names',
      'Use a name of the server that it knows.',
    )
  }

  #checkOrigin(origin: string | undefined, authority: string | undefined): void {
    if (origin === undefined || this.#origins.has(origin)) return
    const isOwn = origin === `http://${authority}` || origin === `https://${authority}`
    if (isOwn) return
    throw new AddressError(
      'web pages of this origin may not ask; --cors-origin allows further ones',
      'Ask from an origin that the server allows.',
    )
  }

  #checkKey(authorization: string | undefined): Key | undefined {
    if (this.#keys.length === 0) return undefined
    const [, given] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    const digest = digestOf(given ?? '')
    // All are compared, so that the time tells nothing.
    let found: Key | undefined
    for (const key of this.#keys) if (timingSafeEqual(key.digest, digest)) found = key
    if (given !== undefined && found !== undefined) return found
    const reason = given === undefined ? 'an API key is needed' : 'the API key is not known here'
    throw new OmenError('ERR_AUTH', `${reason}; send it as \`authorization: Bearer KEY\``)
  }

  /**
   * Lets a request in, until the function that is returned is called. Throws ERR_BUSY,
   * ERR_UNAVAILABLE.
   */
  enter(): () => void {
    if (this.#isDraining) {
      throw new OmenError('ERR_UNAVAILABLE', 'the server is shutting down; retry later')
    }
    if (this.#running >= this.#concurrency) {
      throw new OmenError('ERR_BUSY', `${this.#running} requests are at work; retry in a moment`)
    }
    this.#running++
    let isIn = true
    return () => {
      if (isIn) this.#running--
      isIn = false
    }
  }
}

function oneHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(',') : value
}

/** The name without its port: `[::1]:8080` and `localhost:8080`. */
function hostName(authority: string | undefined): string | undefined {
  const [, six, four] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(authority ?? '') ?? []
  return (six ?? four)?.toLowerCase()
}
