/**
 * Console: the web page at `/` and its files, read once when the server starts, and how they are
 * sent.
 *
 * They are the same for everybody and carry no data, so that no key is asked for; what the page
 * shows it asks for with a key, as every client does. Its policy lets nothing run or be loaded that
 * is not one of these files, and no text become a script.
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { OmenError } from '../errors.js'
import { type AnyRequest, type AnyResponse, exchangeOf } from './exchange.js'

// As seen from lib/server in dist, where the server is one file.
const DIST = path.join(__dirname, '../..')

/** Each path of the console: its file in dist/, and what it is. */
const FILES: readonly (readonly [url: string, file: string, type: string])[] = [
  ['/', 'console/index.html', 'text/html; charset=utf-8'],
  ['/console/console.css', 'console/console.css', 'text/css; charset=utf-8'],
  ['/console/console.js', 'console/console.js', 'text/javascript; charset=utf-8'],
  ['/console/worker.js', 'console/worker.js', 'text/javascript; charset=utf-8'],
  ['/console/client.js', 'client.browser.mjs', 'text/javascript; charset=utf-8'],
  ['/console/icon.svg', 'console/icon.svg', 'image/svg+xml'],
]

const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types omendb',
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // Asked for again each time, and sent when it has changed: the page fits the server it talks to.
  'cache-control': 'no-cache',
}

interface Page {
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string>>
}

export class Console {
  readonly #pages: ReadonlyMap<string, Page>

  /** Throws ERR_NATIVE where the package is not whole. */
  constructor() {
    this.#pages = new Map(FILES.map(([url, file, type]) => [url, readPage(file, type)]))
  }

  get paths(): Iterable<string> {
    return this.#pages.keys()
  }

  /** Answers a request for one of the files; false: it is for another. */
  serve(request: AnyRequest, response: AnyResponse, url: string): boolean {
    const page = this.#pages.get(url)
    if (page === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) return false
    exchangeOf(request).method = 'console'
    request.resume() // A body means nothing here.
    const { body, headers } = page
    const known = request.headers['if-none-match']?.split(/,\s*/)
    if (known?.some((tag) => tag === headers.etag || tag === '*')) {
      response.writeHead(304, headers)
      response.end()
      return true
    }
    response.writeHead(200, { ...headers, 'content-length': body.length })
    if (request.method === 'HEAD') response.end()
    else response.end(body)
    return true
  }
}

function readPage(file: string, type: string): Page {
  let body: Buffer
  try {
    body = readFileSync(path.join(DIST, file))
  } catch (cause) {
    const message = `the console's ${file} is missing in the package; start with --console=false`
    throw new OmenError('ERR_NATIVE', message, { cause })
  }
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
  return { body, headers: { ...HEADERS, 'content-type': type, etag } }
}
