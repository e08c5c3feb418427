/**
 * Why a server could not be reached: what `fetch` tells, in words that say what to do.
 *
 * Browsers tell nothing; Node has the code of the socket or of TLS beneath the error of fetch.
 */

import { OmenError } from '../errors.js'

interface Fault {
  readonly message?: string
  readonly code?: string
  readonly cause?: unknown
}

function beneath(error: unknown): Fault {
  const { cause } = error as Fault
  return (typeof cause === 'object' && cause !== null ? cause : error) as Fault
}

// As OpenSSL and node:tls name what is wrong with a certificate.
const CERTIFICATE = /CERT|UNABLE_TO_(GET_ISSUER|VERIFY)|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH/
const TLS = /^(EPROTO$|ERR_SSL_|ERR_TLS_)/
const CLOSED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

// No connection came about.
const UNCONNECTED = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/

/** Whether nothing of the call can have reached a server. */
export function wasNotSent(error: unknown): boolean {
  if (!(error instanceof OmenError) || error.cause === undefined) return false
  return UNCONNECTED.test(beneath(error.cause).code ?? '')
}

// What answers speaks no HTTP/1.1, as the gRPC port does not.
const FOREIGN = /^HPE_/

// As fetch says them, which gives them no code.
const REDIRECT = 'unexpected redirect'
const BAD_PORT = 'bad port'

/** What is no better a moment later. */
function isLasting({ code, message }: Fault): boolean {
  if (message === REDIRECT || message === BAD_PORT) return true
  return code !== undefined && (CERTIFICATE.test(code) || TLS.test(code) || FOREIGN.test(code))
}

/**
 * @param base  The address that was asked.
 * @param wasReached  Whether it ever answered.
 */
export function unreachable(base: string, wasReached: boolean, cause: unknown): OmenError {
  const { code, message } = beneath(cause)
  const told = message || (cause as Fault).message || String(cause)
  // OpenSSL tells where in its sources, Node ends with a list of names, which may be empty.
  const reason = told.replace(/^.*:SSL routines:[^:]*:([^:]+):.*$/s, '$1').replace(/[:.\s]+$/, '')
  return new OmenError('ERR_UNAVAILABLE', `cannot reach ${base}: ${reason}${hint()}`, { cause })

  function hint(): string {
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
      return '; the certificate is for another host: use an address that it names'
    }
    if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
      return '; renew the certificate of the server, or set the clock'
    }
    if (code !== undefined && CERTIFICATE.test(code)) {
      return '; if it is of a CA of your own, give its file in NODE_EXTRA_CA_CERTS'
    }
    if (code !== undefined && TLS.test(code)) {
      return '; if the server has no TLS, its address begins with http://'
    }
    if (code !== undefined && FOREIGN.test(code)) {
      return '; if this is the gRPC port of the server, give that of HTTP (8080 by default)'
    }
    if (message === REDIRECT) return '; give the address that it redirects to'
    if (message === BAD_PORT) return '; fetch refuses this port: let the server listen at another'
    if (!wasReached && base.startsWith('http:') && CLOSED.has(code ?? '')) {
      return '; if the server has TLS, its address begins with https://'
    }
    return ''
  }
}

const strangers = new WeakSet<OmenError>()

/**
 * Something else answers at `base`, and will a moment later too.
 *
 * @param what  By what it shows: `its answer is of content type text/html`.
 */
export function stranger(base: string, what: string): OmenError {
  const message = `no OmenDB server answers at ${base}: ${what}; check the address`
  const error = new OmenError('ERR_UNAVAILABLE', message)
  strangers.add(error)
  return error
}

/** Whether a call may succeed if it is repeated in a moment. */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof OmenError)) return false
  if (strangers.has(error)) return false
  if (error.code === 'ERR_BUSY') return true
  return error.code === 'ERR_UNAVAILABLE' && !(error.cause && isLasting(beneath(error.cause)))
}
