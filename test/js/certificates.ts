// Certificates for tests of TLS, made here: none lies in the repository that would expire, and no
// program is needed. X.509 version 3, ECDSA over P-256; DER by hand (RFC 5280, section 4.1).
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isIP } from 'node:net'

export interface Certificate {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

interface Authority extends Certificate {
  issue(name: string, options?: Issued): Certificate
}

interface Issued {
  /** Milliseconds since 1970. Default: tomorrow. */
  readonly until?: number
}

const DAY_MS = 86_400_000

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const { length } = body
  const head =
    length < 128
      ? [tag, length]
      : length < 256
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from(head), body])
}

const [INTEGER, BITS, OCTETS, UTF8, TIME, SEQUENCE, SET] = [2, 3, 4, 12, 0x18, 0x30, 0x31]
const sequence = (...parts: Uint8Array[]) => der(SEQUENCE, ...parts)
/** An object identifier, by its encoded bytes. */
const oid = (hex: string) => der(6, Buffer.from(hex, 'hex'))
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'))
const TRUE = Buffer.from([1, 1, 255])

function nameOf(text: string): Buffer {
  return sequence(der(SET, sequence(oid('550403'), der(UTF8, Buffer.from(text)))))
}

function timeOf(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)
  return der(TIME, Buffer.from(`${digits}Z`))
}

/** subjectAltName: a DNS name, or an address of IP version 4. */
function altName(name: string): Buffer {
  const isAddress = isIP(name) === 4
  const bytes = isAddress ? Buffer.from(name.split('.').map(Number)) : Buffer.from(name)
  const general = sequence(der(isAddress ? 0x87 : 0x82, bytes))
  return sequence(oid('551d11'), der(OCTETS, general))
}

const IS_AUTHORITY = sequence(oid('551d13'), TRUE, der(OCTETS, sequence(TRUE)))

interface Contents {
  readonly issuer: string
  readonly subject: string
  readonly until: number
  readonly extension: Buffer
}

let serial = 1

function certificate(contents: Contents, subjectKey: KeyObject, issuerKey: KeyObject): string {
  const { issuer, subject, until, extension } = contents
  const body = sequence(
    der(0xa0, der(INTEGER, Buffer.from([2]))),
    der(INTEGER, Buffer.from([serial++])),
    ECDSA_SHA256,
    nameOf(issuer),
    sequence(timeOf(Date.now() - 30 * DAY_MS), timeOf(until)),
    nameOf(subject),
    subjectKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension)),
  )
  const signature = der(BITS, Buffer.from([0]), sign('sha256', body, issuerKey))
  const lines = sequence(body, ECDSA_SHA256, signature)
    .toString('base64')
    .match(/.{1,64}/g)
  return `-----BEGIN CERTIFICATE-----\n${lines?.join('\n')}\n-----END CERTIFICATE-----\n`
}

function keys(): { publicKey: KeyObject; privateKey: KeyObject; pem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return { publicKey, privateKey, pem: String(privateKey.export({ type: 'pkcs8', format: 'pem' })) }
}

/** A certificate authority of its own. */
export function authority(issuer: string): Authority {
  const own = keys()
  const tomorrow = Date.now() + DAY_MS
  const root = { issuer, subject: issuer, until: tomorrow, extension: IS_AUTHORITY }
  return {
    cert: certificate(root, own.publicKey, own.privateKey),
    key: own.pem,
    issue(name, { until = tomorrow } = {}) {
      const { publicKey, pem } = keys()
      const contents = { issuer, subject: name, until, extension: altName(name) }
      return { cert: certificate(contents, publicKey, own.privateKey), key: pem }
    },
  }
}
