// The console at `/` in a real browser, as somebody who uses it: what it shows is compared with the
// database beneath it, read in this process.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import http from 'node:http'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { Client, type NewRecord } from 'omendb'
import { createServer, type Server, type ServerOptions } from 'omendb/server'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import {
  launch,
  NO_CHROMIUM,
  pictures,
  root,
  type Watched,
  watchedPage,
} from './browser-support.js'
import { KEYS } from './server-support.js'
import { random } from './support.js'

type Box = { x: number; y: number; width: number; height: number }

const DIMENSIONS = 6
const TITLES = ['Alien', 'Heat', 'Solaris', 'Stalker']

/** Vectors that spread differently along three axes, turned by nothing: their order is known. */
function films(count: number): NewRecord<Record<string, unknown>>[] {
  const next = random(7)
  const wide = [9, 4, 1, 0.5, 0.3, 0.1]
  return Array.from({ length: count }, (_, n) => ({
    id: n,
    vector: Float32Array.from(wide, (w) => w * (next() + next() - 1)),
    metadata: { title: `${TITLES[n % 4]} ${n}`, genre: ['sf', 'crime', 'drama'][n % 3], year: n },
  }))
}

async function serve(t: TestContext, options: ServerOptions = {}): Promise<Server> {
  const server = await createServer({ port: 0, grpcPort: false, logLevel: 'silent', ...options })
  t.after(() => server.close())
  return server
}

/** A server with films, and a client of this process to compare with. */
async function filled(t: TestContext, count = 60) {
  const server = await serve(t)
  const client = new Client(server.url)
  t.after(() => client.close())
  const collection = await client.collection('films', { metric: 'l2' })
  await collection.add(films(count))
  return { server, client, collection }
}

interface Shown extends Watched {
  /** Rows of the results: their cells' texts. */
  rows(): Promise<string[][]>
  search(fields: Record<string, string>): Promise<string>
}

// The page's policy lets nothing be evaluated in it: what is waited for are elements with a text.
const reads = (page: Page, selector: string, pattern: string) =>
  page.waitForSelector(`${selector}:text-matches(${JSON.stringify(pattern)})`)
const drawn = (page: Page) => reads(page, '#projection-note', 'record')

async function show(
  t: TestContext,
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Shown> {
  const watched = await watchedPage(browser, options)
  const { page } = watched
  t.after(() => page.context().close()) // Else it asks on and on.
  await page.goto(url)
  return {
    ...watched,
    rows: async () => {
      const rows = await page.locator('#results tbody tr').all()
      return Promise.all(rows.map((row) => row.locator('td, th').allTextContents()))
    },
    async search(fields) {
      for (const [id, text] of Object.entries(fields)) await page.fill(`#${id}`, text)
      await page.evaluate("document.getElementById('search-message').textContent = ''")
      await page.click('#search button.main')
      await page.waitForSelector('#search-message:not(:empty)')
      return (await page.textContent('#search-message')) ?? ''
    },
  }
}

const text = async (page: Page, selector: string) => (await page.textContent(selector)) ?? ''
const texts = (page: Page, selector: string) => page.locator(selector).allTextContents()

test('the console in a browser', { skip: NO_CHROMIUM, timeout: 180_000 }, async (t) => {
  const browser = await launch(t)
  for (const [name, run] of Object.entries(CASES)) await t.test(name, (t) => run(t, browser))
})

const CASES: Record<string, (t: TestContext, browser: Browser) => Promise<void>> = {
  // Nothing of it comes from elsewhere, and its own policy lets it do all it does.
  async 'it loads, lists collections, and asks nobody else'(t, browser) {
    const { server, client } = await filled(t)
    await client.collection('empty', { dimensions: 3, metric: 'dot', quantization: 'none' })
    const { page, complaints, origins } = await show(t, browser, server.url)
    await drawn(page)
    assert.deepEqual(await texts(page, '#collections button span'), [
      ...['empty', '0 × 3 · dot · none'],
      ...['films', `60 × ${DIMENSIONS} · l2 · sq8`],
    ])
    assert.equal(await text(page, '#collection-name'), 'films')
    const { bytes } = await client.stats()
    const figures = await text(page, '#figures')
    assert.match(figures, /^Records60/)
    assert.ok(figures.includes(`Memory${Math.round(bytes / 1024)} KiB`), figures)
    await page.click('#collections button >> text=empty')
    await reads(page, '#collection-name', '^empty$')
    assert.match(await text(page, '#collection-figures'), /Dimensions3Metricdot/)
    assert.equal(new URL(page.url()).hash, '#empty')
    assert.match(await text(page, '#projection-note'), /No records/)
    assert.deepEqual([...origins], [new URL(server.url).origin])
    assert.deepEqual(complaints, [])
  },

  // The page shows what the database finds, in its order, and each hit leads on.
  async 'searches by id, by vector and with filters are those of the database'(t, browser) {
    const { server, collection } = await filled(t)
    const { page, rows, search, complaints } = await show(t, browser, server.url)
    await drawn(page)
    const expected = async (id: number, options: object) => {
      const record = await collection.get(id, { include: 'vector' })
      const hits = await collection.search(record?.vector as Float32Array, options)
      return hits.map((hit) => [String(hit.id), hit.metadata.title, hit.metadata.genre])
    }
    const shown = async () => (await rows()).map((row) => [row[1], row[3], row[4]])

    assert.match(await search({ 'query-id': '17', k: '5' }), /^5 hits in [\d.]+ ms$/)
    assert.deepEqual(await shown(), await expected(17, { k: 5 }))
    assert.equal(Number((await rows())[0]?.[2]), 0)
    // Numbers stand under each other by their digits.
    const cells = "document.querySelectorAll('#results tbody tr:first-child td')"
    const aligned = await page.evaluate(
      `Array.from(${cells}, (c) => getComputedStyle(c).textAlign)`,
    )
    assert.deepEqual(aligned, ['left', 'right', 'left', 'left', 'right'])

    const filter = { genre: 'sf', year: { $lt: 30 } }
    await search({ 'query-id': '17', filter: JSON.stringify(filter) })
    assert.deepEqual(await shown(), await expected(17, { k: 5, filter }))

    await page.click('#results tbody tr:nth-child(2) button')
    const [, second] = await expected(17, { k: 5, filter })
    await page.waitForSelector(`tr.self button:text-is("${second?.[0]}")`)
    assert.deepEqual(await shown(), await expected(Number(second?.[0]), { k: 5, filter }))

    await page.click('label >> text=Vector')
    const vector = (await collection.get(23, { include: 'vector' }))?.vector as Float32Array
    for (const separator of [', ', '\n', ' ; ']) {
      await search({ filter: '', 'query-vector': Array.from(vector).join(separator) })
      assert.deepEqual(await shown(), await expected(23, { k: 5 }))
    }
    await search({ 'query-vector': JSON.stringify(Array.from(vector)), ef: '100' })
    assert.deepEqual(await shown(), await expected(23, { k: 5 }))
    await page.click('#search button >> text=Explain')
    await reads(page, '#plan dt', '^Plan$')
    assert.match(await text(page, '#plan'), /^Plan[a-z-]+Records that match60Distances\d/)
    assert.deepEqual(complaints, [])
  },

  // Whoever mistypes is told what and where, by the page or with the code of the database.
  async 'wrong input is told'(t, browser) {
    const { server, collection } = await filled(t)
    await collection.add({ id: '7', vector: new Float32Array(DIMENSIONS).fill(50) })
    const { page, rows, search, complaints } = await show(t, browser, server.url)
    await drawn(page)
    assert.match(await search({ 'query-id': '' }), /Type the id/)
    assert.match(await search({ 'query-id': 'nobody' }), /No record .* nobody/)
    assert.match(await search({ 'query-id': '7', k: '0' }), /k is an integer from 1 to 10,000/)
    assert.match(await search({ k: '5', filter: '{year' }), /The filter is no JSON/)
    assert.match(await search({ filter: '[1]' }), /A filter is a JSON object/)
    const wrong = await search({ filter: '{"year": {"$near": 1}}' })
    assert.match(wrong, /^ERR_FILTER: .*year\.\$near.*Correct the filter at the path/)
    assert.match((await page.getAttribute('#search-message', 'class')) ?? '', /wrong/)
    assert.match(await search({ filter: '', ef: '20000' }), /ef is an integer/)
    await search({ ef: '', 'query-id': '7' })
    assert.match((await rows())[0]?.[3] ?? '', /Stalker 7/)
    await search({ 'query-id': '"7"' })
    assert.equal((await rows())[0]?.[3], '') // The text '7', which has no metadata.
    await page.click('label >> text=Vector')
    assert.match(await search({ 'query-vector': '' }), /Paste a vector/)
    assert.match(
      await search({ 'query-vector': '1 2 3' }),
      /has 3 numbers; this collection takes 6/,
    )
    assert.match(await search({ 'query-vector': '[1,2,x,4,5,6]' }), /Number 3 .* "x"/)
    assert.match(await search({ 'query-vector': '1 2 3 4 5 1e39' }), /Number 6/)
    assert.deepEqual(complaints, [])
  },

  // What a database holds is text, whatever it says: nothing of it runs or becomes an element.
  async 'markup in names, ids and metadata is shown as it is'(t, browser) {
    const server = await serve(t)
    const client = new Client(server.url)
    t.after(() => client.close())
    const evil = (n: number) =>
      `<img src=x onerror="window.hurt=${n}"><script>window.hurt=${n}</script>">` +
      `<svg onload=alert(${n})>`
    const collection = await client.collection('films', { metric: 'l2' })
    for (let n = 0; n < 4; n++) {
      const metadata = {
        [`${evil(n)}`.replaceAll('.', '')]: n,
        genre: evil(n % 2),
        deep: { er: evil(n) },
      }
      await collection.add({ id: evil(n), vector: [n, 1, n * n], metadata })
    }
    const { page, rows, search, complaints } = await show(t, browser, server.url)
    await drawn(page)
    await search({ 'query-id': evil(2) })
    assert.equal((await rows())[0]?.[1], evil(2))
    await search({ 'query-id': `${evil(2)}?` })
    await search({ filter: JSON.stringify({ [evil(1)]: { $bad: evil(1) } }), 'query-id': evil(1) })
    await page.selectOption('#colour-field', 'genre')
    await page.focus('#projection')
    for (let n = 0; n < 4; n++) await page.keyboard.press('ArrowRight')
    assert.match(await text(page, '#tip'), /<img src=x/)
    assert.match(await text(page, '#legend'), /<script>/)
    await page.goto(`${server.url}/#${encodeURIComponent(evil(9))}`)
    await drawn(page)
    assert.equal(await page.evaluate('window.hurt'), undefined)
    const foreign = await page.locator('img, script, svg[onload]').count()
    assert.equal(foreign, 2) // The icon and the page's own script.
    assert.deepEqual(complaints, [])
  },

  // The picture is the plane of the first two components: order and shares are computed here anew.
  async 'the projection is the principal components of the sample'(t, browser) {
    const count = 40
    const { server, collection } = await filled(t, count)
    const { page, complaints } = await show(t, browser, server.url)
    await drawn(page)
    const all = await collection.get(
      Array.from({ length: count }, (_, n) => n),
      { include: 'vector' },
    )
    const { shares, order } = referenceOf(all.map((row) => Array.from(row?.vector ?? [])))
    const axes = await text(page, '#axes')
    for (const share of shares) assert.ok(axes.includes(`${(share * 100).toFixed(1)} %`), axes)
    await page.focus('#projection')
    const walked: string[] = []
    for (let n = 0; n < count; n++) {
      await page.keyboard.press('ArrowRight')
      walked.push(await text(page, '#tip b'))
    }
    if (walked[0] !== order[0]) walked.reverse() // Up to its sign.
    assert.deepEqual(walked, order)
    assert.match(await text(page, '#projection-note'), /^All 40 records$/)
    await page.keyboard.press('Enter')
    await page.waitForSelector('tr.self')
    // Nearer, moved, and back: what lies beneath the pointer is what is told.
    const { x, y, width, height } = (await page.locator('#projection').boundingBox()) as Box
    const pointed = async (dx: number) => {
      await page.mouse.move(x + width / 2 + dx, y + height / 2)
      return (await page.isVisible('#tip')) ? text(page, '#tip b') : undefined
    }
    const before = await pointed(0)
    await page.click('#nearer')
    await page.click('#nearer')
    await page.mouse.move(x + width / 2, y + height / 2)
    await page.mouse.down()
    await page.mouse.move(x + width / 2 + 3 * width, y + height / 2, { steps: 3 })
    await page.mouse.up()
    assert.equal(await pointed(0), undefined) // All of it lies outside now.
    await page.click('#whole')
    assert.equal(await pointed(0), before)
    assert.deepEqual(complaints, [])
  },

  // A field with few values has a palette, a number a scale; a category can be seen alone.
  async 'points are coloured by a field, with a legend'(t, browser) {
    const { server } = await filled(t)
    const { page, complaints } = await show(t, browser, server.url)
    await drawn(page)
    const options = await texts(page, '#colour-field option')
    assert.deepEqual(options, ['genre', 'year', 'title', 'no field'])
    const entries = await texts(page, '#legend button')
    assert.deepEqual(entries, ['sf20', 'crime20', 'drama20'])
    const colours = async () =>
      (await page.evaluate(
        "Array.from(document.querySelectorAll('#legend .swatch'), " +
          '(swatch) => getComputedStyle(swatch).backgroundColor)',
      )) as string[]
    assert.equal(new Set(await colours()).size, 3)
    for (const colour of await colours()) assert.ok((await pixelsOf(page, colour)) > 20, colour)
    await page.click('#legend button >> text=crime')
    const [sf, crime] = await colours()
    assert.equal(await pixelsOf(page, sf as string), 0)
    assert.ok((await pixelsOf(page, crime as string)) > 20)
    await page.selectOption('#colour-field', 'year')
    assert.match(await text(page, '#legend'), /^1\D*58$/)
    await page.selectOption('#colour-field', '')
    assert.equal(await text(page, '#legend'), '')
    assert.deepEqual(complaints, [])
  },

  // Far more records than are drawn: every part of the collection has its share.
  async 'a sample is spread over the whole collection'(t, browser) {
    const server = await serve(t)
    const client = new Client(server.url)
    t.after(() => client.close())
    const next = random(3)
    const rows = 12_000
    const vectors = Float32Array.from({ length: rows * 4 }, () => next())
    const metadata = Array.from({ length: rows }, (_, n) => ({ part: Math.floor((n * 6) / rows) }))
    const collection = await client.collection('many', { metric: 'cosine' })
    await collection.addBatch({ vectors, dimensions: 4, metadata })
    const { page } = await show(t, browser, server.url)
    await drawn(page)
    assert.match(await text(page, '#projection-note'), /^2,000 of 12,000 records, drawn by chance/)
    const counts = (await texts(page, '#legend .count')).map(Number)
    assert.equal(counts.length, 6)
    for (const count of counts) assert.ok(count > 250 && count < 420, String(counts))
  },

  // Searches of the page, and those of everybody by the server's histogram, become points in time.
  async 'latency charts have points, and a bench makes some'(t, browser) {
    const { server } = await filled(t)
    const { page, search, complaints } = await show(t, browser, server.url)
    await drawn(page)
    await search({ 'query-id': '3' })
    await page.click('#bench')
    await page.waitForSelector('#chart-page circle >> nth=1')
    await page.waitForSelector('#chart-server circle >> nth=1')
    await page.click('#bench >> text=Stop')
    await reads(page, '#bench-note', 'searches/s')
    const [rate] = /^[\d,]+/.exec(await text(page, '#bench-note')) ?? ['0']
    assert.ok(Number(rate.replaceAll(',', '')) > 0)
    for (const legend of ['#legend-page', '#legend-server'])
      assert.match(await text(page, legend), /p50 [\d.]+ m?s.*p99 [\d.,]+ m?s/)
    await page.screenshot({ path: path.join(pictures, 'wide.png'), fullPage: true })
    assert.deepEqual(complaints, [])
  },

  // The key is asked for, works, and is nowhere but in memory.
  async 'a key is asked for, and kept nowhere'(t, browser) {
    const server = await serve(t, { apiKeys: KEYS })
    const client = new Client(server.url, { apiKey: KEYS.readWrite[0] })
    t.after(() => client.close())
    await (await client.collection('films', { metric: 'l2' })).add(films(20))
    const { page } = await show(t, browser, server.url)
    await page.waitForSelector('#key-dialog[open]')
    assert.equal(await page.locator('#collections button').count(), 0)
    await page.fill('#key', 'not-the-key-0123456789')
    await page.keyboard.press('Enter')
    await reads(page, '#key-message', 'does not know')
    await page.fill('#key', 'with spaces in it')
    await page.keyboard.press('Enter')
    await reads(page, '#key-message', 'ERR_AUTH')
    await page.fill('#key', KEYS.readOnly[0] as string)
    await page.keyboard.press('Enter')
    await drawn(page)
    assert.equal(await page.evaluate("document.getElementById('key-dialog').open"), false)
    assert.equal(await page.inputValue('#key'), '')
    const kept = (await page.evaluate(
      'JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, ' +
        'document.documentElement.outerHTML])',
    )) as string
    assert.ok(!kept.includes(KEYS.readOnly[0] as string))
    await page.reload()
    await page.waitForSelector('#key-dialog[open]')
  },

  // A server that goes away is told of, and the page goes on by itself when it is back.
  async 'a restart of the server is survived'(t, browser) {
    const first = await createServer({ port: 0, grpcPort: false, logLevel: 'silent' })
    t.after(() => first.close())
    const client = new Client(first.url)
    t.after(() => client.close())
    await (await client.collection('films', { metric: 'l2' })).add(films(30))
    const { page, search } = await show(t, browser, first.url)
    await drawn(page)
    await first.close()
    await page.waitForSelector('#trouble:not([hidden])')
    assert.match(await text(page, '#trouble-text'), /ERR_UNAVAILABLE: .*Trying again in \d s/)
    assert.equal(await text(page, '#status'), 'no answer')
    assert.match(await search({ 'query-id': '3' }), /ERR_UNAVAILABLE/)
    await serve(t, { port: Number(new URL(first.url).port) })
    await (await client.collection('films', { metric: 'l2' })).add(films(45))
    await page.waitForSelector('#trouble', { state: 'hidden' })
    await reads(page, '#status', '^connected$')
    await reads(page, '#figures b', '^45$')
    assert.match(await search({ 'query-id': '44' }), /^10 hits/)
  },

  // Without any collection the page says how to make one, and shows it when it is there.
  async 'an empty server'(t, browser) {
    const server = await serve(t)
    const { page, complaints } = await show(t, browser, server.url)
    await page.waitForSelector('#empty:not([hidden])')
    const client = new Client(server.url)
    t.after(() => client.close())
    await client.add({ id: 1, vector: [1, 2] })
    await reads(page, '#collection-name', '^default$')
    await page.waitForSelector('#empty', { state: 'hidden' })
    assert.deepEqual(complaints, [])
  },

  // Nothing is cut off on a phone, light or dark.
  async 'a small screen'(t, browser) {
    const { server } = await filled(t)
    const viewport = { width: 360, height: 740 }
    const { page, search, complaints } = await show(t, browser, server.url, {
      viewport,
      colorScheme: 'dark',
    })
    await drawn(page)
    await search({ 'query-id': '5' })
    const widest = await page.evaluate('document.documentElement.scrollWidth')
    assert.equal(widest, 360)
    const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    assert.equal(ground, 'rgb(14, 17, 20)')
    await page.screenshot({ path: path.join(pictures, 'small.png'), fullPage: true })
    assert.deepEqual(complaints, [])
  },
}

/** Eigenvalues of the covariance by deflation, and the order along the first: slow and plain. */
function referenceOf(rows: number[][]): { shares: number[]; order: string[] } {
  const [first] = rows as [number[]]
  const mean = first.map((_, d) => rows.reduce((sum, row) => sum + row[d], 0) / rows.length)
  const centred = rows.map((row) => row.map((x, d) => x - mean[d]))
  let covariance = first.map((_, i) =>
    first.map((_, j) => centred.reduce((sum, row) => sum + row[i] * row[j], 0)),
  )
  const total = covariance.reduce((sum, row, i) => sum + row[i], 0)
  const axes: number[][] = []
  const shares = [0, 1].map(() => {
    let axis = first.map((_, d) => 1 / (d + 1))
    let value = 0
    for (let i = 0; i < 5000; i++) {
      axis = covariance.map((row) => row.reduce((sum, x, d) => sum + x * axis[d], 0))
      value = Math.hypot(...axis)
      axis = axis.map((x) => x / value)
    }
    axes.push(axis)
    covariance = covariance.map((row, i) => row.map((x, j) => x - value * axis[i] * axis[j]))
    return value / total
  })
  const along = centred.map((row) =>
    row.reduce((sum, x, d) => sum + x * (axes[0] as number[])[d], 0),
  )
  const order = along.map((_, n) => n).sort((a, b) => along[a] - along[b])
  return { shares, order: order.map(String) }
}

/** How many pixels of the canvas have nearly this colour, given as the browser writes it. */
async function pixelsOf(page: Page, colour: string): Promise<number> {
  const wanted = JSON.stringify((colour.match(/\d+/g) ?? []).map(Number))
  // Points let what lies behind them through a little.
  const counted = await page.evaluate(`(() => {
    const canvas = document.getElementById('projection')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    let found = 0
    for (let i = 0; i < data.length; i += 4) {
      const isNear = ${wanted}.every((c, at) => Math.abs(data[i + at] - c) < 6)
      if (isNear && data[i + 3] > 180) found++
    }
    return found
  })()`)
  return counted as number
}

// No browser is needed to see how the files are sent, and to whom.
test('the files of the console: headers, hosts, keys, and none where it is off', async (t) => {
  const server = await serve(t, { apiKeys: KEYS })
  for (const [url, type] of Object.entries({
    '/': 'text/html; charset=utf-8',
    '/console/console.js': 'text/javascript; charset=utf-8',
    '/console/worker.js': 'text/javascript; charset=utf-8',
    '/console/client.js': 'text/javascript; charset=utf-8',
    '/console/console.css': 'text/css; charset=utf-8',
    '/console/icon.svg': 'image/svg+xml',
  })) {
    const response = await fetch(server.url + url)
    const body = await response.text()
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, type], url)
    assert.ok(body.length > 300, url)
    const policy = response.headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/)
    assert.match(policy, /frame-ancestors 'none'; base-uri 'none'; form-action 'none'/)
    assert.doesNotMatch(policy, /unsafe|\*/)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
    assert.equal(response.headers.get('referrer-policy'), 'no-referrer')
    const etag = response.headers.get('etag') as string
    const again = await fetch(server.url + url, { headers: { 'if-none-match': etag } })
    assert.deepEqual([again.status, await again.text()], [304, ''])
    const other = await fetch(server.url + url, { headers: { 'if-none-match': '"other"' } })
    assert.equal((await other.text()).length, body.length)
    const head = await fetch(server.url + url, { method: 'HEAD' })
    assert.equal(head.headers.get('content-length'), String(Buffer.byteLength(body)))
    assert.equal(await statusOf(server.url, url, { host: 'evil.example.com' }), 403)
    assert.equal(await statusOf(server.url, url, { origin: 'https://evil.example.com' }), 403)
    assert.equal((await fetch(server.url + url, { method: 'POST' })).status, 405)
  }
  for (const url of ['/console/', '/console/main.ts', '/console/../package.json', '/console.js'])
    assert.equal(await statusOf(server.url, url, {}), 401, url)
  const main = path.join(root, 'dist/lib/server/main.js')
  const { status, stderr } = spawnSync(process.execPath, [main, '--console=maybe'])
  assert.deepEqual([status, /--console is true or false/.test(String(stderr))], [2, true])
  const off = await serve(t, { console: false })
  for (const url of ['/', '/console/console.js'])
    assert.equal((await fetch(off.url + url)).status, 404)
})

/** By http, which sends what fetch would not. */
function statusOf(base: string, url: string, headers: object): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(base)
    http
      .get({ hostname, port, path: url, headers: { ...headers } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      .on('error', reject)
  })
}
