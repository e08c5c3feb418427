// What tests in a real browser share: Chromium, pages that must stay silent, and what is
// bundled for them.
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { build } from 'esbuild'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

export const root = path.resolve(__dirname, '../..')
/** Pictures of the pages, to be looked at. */
export const pictures = path.join(root, 'out/console')
mkdirSync(pictures, { recursive: true })

/** Chromium's command: that of the environment, which must be there, or one on the path. */
export const CHROMIUM = process.env.CHROMIUM || findChromium()
export const NO_CHROMIUM =
  CHROMIUM === undefined ? 'Chromium is not installed (CHROMIUM names its command)' : false

function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  const folders = (process.env.PATH ?? '').split(path.delimiter)
  return folders.flatMap((d) => names.map((n) => path.join(d, n))).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return existsSync(file)
  } catch {
    return false
  }
}

/** A browser that closes with the test. */
export async function launch(t: TestContext): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM as string,
    args: ['--disable-gpu', '--force-color-profile=srgb'],
  })
  t.after(() => browser.close())
  return browser
}

/** Chromium's notes on calls that tests make wrong, and on how they look at a canvas. */
const EXPECTED = /^Failed to load resource: .* status of 400 |^Canvas2D: Multiple readback/

export interface Watched {
  readonly page: Page
  /** What the page has complained of: its console, exceptions, violations of its policy. */
  readonly complaints: string[]
  /** Origins that the page has asked. */
  readonly origins: Set<string>
}

/** A page of its own context, watched from its start. */
export async function watchedPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const complaints: string[] = []
  const origins = new Set<string>()
  page.on('console', (message) => {
    const isWrong = ['error', 'warning'].includes(message.type())
    if (isWrong && !EXPECTED.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url())
    if (protocol !== 'data:' && protocol !== 'blob:') origins.add(origin)
  })
  return { page, complaints, origins }
}

const source = (file: string) => path.join(root, 'test/js', file)

/** The suite of the interface for a page, over the very file that browsers load. */
export async function bundledSuite(): Promise<string> {
  const alias = {
    'node:assert/strict': source('browser/assert.ts'),
    'node:test': source('browser/test.ts'),
    omendb: path.join(root, 'dist/client.browser.mjs'),
  }
  const { outputFiles } = await build({
    stdin: {
      contents: `import './interface.test.ts'\nimport { Client, OmenError } from 'omendb'
        Object.assign(globalThis, { Client, OmenError })`,
      resolveDir: path.join(root, 'test/js'),
    },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    ignoreAnnotations: true, // The package has no side effects; the suite is one.
    define: { process: '{"env":{}}' },
    plugins: [
      {
        name: 'suite',
        setup({ onResolve }) {
          onResolve({ filter: /server-support\.js$/ }, () => ({
            path: source('browser/server-support.ts'),
          }))
          onResolve({ filter: /^(node:|omendb$)/ }, ({ path: name }) => ({
            path: alias[name as keyof typeof alias],
          }))
        },
      },
    ],
  })
  return outputFiles?.[0]?.text as string
}

/** The origin of an empty page that loads `script`; it ends with the test. */
export async function servePage(t: TestContext, script: string): Promise<string> {
  const server = http.createServer((request, response) => {
    const isScript = request.url === '/script.mjs'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8')
    response.end(
      isScript
        ? script
        : '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/script.mjs">' +
            '</script>',
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
