// Demo: search the documentation of the installed packages by words.
//
// Run `npm run demo` in a checkout after `npm ci`. It reads the Markdown files under node_modules,
// turns their paragraphs into vectors, stores them in several batches with their metadata, searches
// with and without filters, deletes a package and adds it again, and measures itself: how many of
// the ten nearest paragraphs the graph finds (recall), against the exact scan.
//
// Exit code: 0 if everything was as expected and recall is at least 0.95; 1 otherwise.

import { fileURLToPath } from 'node:url'
import { DB } from 'omendb'
import { readCorpus } from './corpus.mjs'
import { LexicalEmbedder, wordsOf } from './lexical-embedder.mjs'
import { clip, formatTable, progressBar } from './table.mjs'

const NODE_MODULES = fileURLToPath(new URL('../node_modules', import.meta.url))
const PARAGRAPHS_MIN = 1_000 // Fewer, and the numbers below would mean nothing.
const BATCH_ROWS = 1_000
const QUERIES = 200
const RECALL_MIN = 0.95
const K = 10
const BYTES_SHOWN = ['vectors', 'codes', 'graph', 'ids', 'metadata', 'columns']
// No filter reads the text, so it needs no column. Without a schema every field would have one.
const SCHEMA = {
  package: 'string',
  file: 'string',
  heading: 'string',
  words: 'number',
  text: { type: 'string', index: false },
}

const failures = []

/** Notes what is not as it should be; the exit code follows. */
function expect(condition, message) {
  if (!condition) failures.push(message)
}

/** Reads and embeds the corpus: rows with id, vector and metadata, and the embedder for queries. */
function prepare() {
  const started = performance.now()
  // Without a word there is no direction, and cosine refuses zero vectors.
  const corpus = readCorpus(NODE_MODULES).filter(({ text }) => wordsOf(text).length > 0)
  if (corpus.length < PARAGRAPHS_MIN) {
    throw new Error(`${corpus.length} paragraphs under ${NODE_MODULES}: run "npm ci" first`)
  }
  const embedder = new LexicalEmbedder().fit(corpus.map((paragraph) => paragraph.text))
  const bar = progressBar('embedding', corpus.length)
  const counts = new Map()
  const rows = corpus.map((paragraph, index) => {
    const number = (counts.get(paragraph.package) ?? 0) + 1
    counts.set(paragraph.package, number)
    bar.show(index + 1)
    return {
      id: `${paragraph.package}#${number}`,
      vector: embedder.embed(`${paragraph.heading} ${paragraph.text}`),
      metadata: paragraph,
    }
  })
  const seconds = (performance.now() - started) / 1000
  bar.finish(`paragraphs of ${counts.size} packages, ${seconds.toFixed(1)} s`)
  return { rows, embedder, counts }
}

/** Adds rows batch after batch; returns the milliseconds spent in OmenDB. */
async function addAll(docs, rows, label) {
  const bar = progressBar(label, rows.length)
  let spent = 0
  for (let from = 0; from < rows.length; from += BATCH_ROWS) {
    const batch = rows.slice(from, from + BATCH_ROWS)
    const started = performance.now()
    const ids = await docs.add(batch, { onProgress: ({ done }) => bar.show(from + done) })
    spent += performance.now() - started
    expect(ids.length === batch.length, `a batch of ${batch.length} returned ${ids.length} ids`)
    bar.show(from + batch.length)
  }
  const batches = Math.ceil(rows.length / BATCH_ROWS)
  const rate = Math.round((1000 * rows.length) / spent)
  bar.finish(`in ${batches} ${batches === 1 ? 'batch' : 'batches'}, ${rate.toLocaleString('en')}/s`)
  return spent
}

function printHits(title, hits, plan) {
  console.log(`\n${title}`)
  if (plan !== undefined) {
    const share = (100 * plan.selectivity).toPrecision(3)
    console.log(`plan: ${plan.plan}, ${share} % pass, ${plan.rowsScored} rows scored`)
  }
  const rows = hits.map(({ distance, metadata }) => [
    distance.toFixed(3),
    clip(metadata.package, 22),
    clip(metadata.heading, 26),
    metadata.words,
    clip(metadata.text, 56),
  ])
  console.log(formatTable(['distance', 'package', 'heading', 'words', 'text'], rows))
}

/** Searches in words, then with filters on package and length. */
async function searchInWords(docs, embedder, counts) {
  for (const words of ['read a file asynchronously', 'install a native addon', 'sort the keys']) {
    const hits = await docs.search(embedder.embed(words), { k: 4 })
    expect(hits.length === 4, `"${words}" found ${hits.length} paragraphs, not 4`)
    expect(isSorted(hits), `the hits of "${words}" are not nearest first`)
    printHits(`"${words}"`, hits)
  }
  const [largest] = [...counts].sort((a, b) => b[1] - a[1])[0]
  const filter = { package: largest, words: { $gte: 20 } }
  const query = embedder.embed('options and their default values')
  const hits = await docs.search(query, { k: 4, filter })
  const plan = await docs.explain(query, { k: 4, filter })
  expect(
    hits.every(({ metadata }) => metadata.package === largest && metadata.words >= 20),
    'a hit does not pass the filter',
  )
  const matching = await docs.count(filter)
  expect(hits.length === Math.min(4, matching), `${hits.length} hits of ${matching} that match`)
  printHits(`"options and their default values", filter ${JSON.stringify(filter)}`, hits, plan)
}

/** Deletes a package, checks that it is gone, and adds it again. */
async function replacePackage(docs, rows, counts) {
  const [name, count] = [...counts].sort((a, b) => b[1] - a[1])[Math.min(1, counts.size - 1)]
  const own = rows.filter(({ metadata }) => metadata.package === name)
  const deleted = await docs.delete({ filter: { package: name } })
  expect(deleted === count, `deleted ${deleted} paragraphs of ${name}, not ${count}`)
  expect((await docs.count()) === rows.length - count, 'the count after the deletion is wrong')
  const hits = await docs.search(own[0].vector, { k: K })
  expect(
    hits.every(({ metadata }) => metadata.package !== name),
    `a deleted paragraph of ${name} was found`,
  )
  console.log(`\ndeleted    ${name}: ${deleted} paragraphs`)
  await addAll(docs, own, 're-adding')
  const [first] = await docs.search(own[0].vector, { k: 1 })
  expect(first?.id === own[0].id, `the re-added ${own[0].id} is not the nearest to itself`)
  expect((await docs.count()) === rows.length, 'the count after adding again is wrong')
}

/** Every other word of paragraphs spread over the corpus: real words, equal to no stored text. */
function makeQueries(rows, embedder) {
  const step = rows.length / QUERIES
  return Array.from({ length: QUERIES }, (_, i) => {
    const { text } = rows[Math.floor(i * step)].metadata
    const words = wordsOf(text).filter((_word, position) => position % 2 === 0)
    return embedder.embed(words.join(' '))
  })
}

/** Recall of the forced graph and the latency of each way to answer. */
function measure(docs, queries) {
  const timed = (options) => {
    const times = []
    const answers = queries.map((query) => {
      const started = performance.now()
      const hits = docs.searchSync(query, { k: K, include: 'none', ...options })
      times.push(performance.now() - started)
      return hits
    })
    times.sort((a, b) => a - b)
    return { answers, times }
  }
  timed({}) // Warm up.
  const ways = { exact: timed({ exact: true }), graph: timed({ exact: false }), planned: timed({}) }
  for (const way of Object.values(ways)) {
    let found = 0
    for (const [i, hits] of way.answers.entries()) {
      const farthest = ways.exact.answers[i].at(-1).distance
      // Ties are equal answers; the slack is the rounding of one float32 sum.
      found += hits.filter(({ distance }) => distance <= farthest + 1e-6).length
    }
    way.recall = found / (K * queries.length)
  }
  return ways
}

function printMeasures(ways, { addRate, stats, count, plan }) {
  const at = (times, share) => times[Math.min(times.length - 1, Math.floor(share * times.length))]
  const micros = (ms) => Math.round(1000 * ms).toLocaleString('en')
  const row = (name, { times, recall }) => {
    const total = times.reduce((sum, time) => sum + time, 0)
    const rate = Math.round((1000 * times.length) / total).toLocaleString('en')
    return [name, recall.toFixed(4), rate, micros(at(times, 0.5)), micros(at(times, 0.99))]
  }
  const header = ['search, one at a time', `recall@${K}`, 'queries/s', 'p50 us', 'p99 us']
  const rows = [
    row('exact scan (exact: true)', ways.exact),
    row('graph (exact: false)', ways.graph),
    row(`planner's choice: ${plan.plan}`, ways.planned),
  ]
  const bytes = stats.bytes.total
  const facts = [
    ['paragraphs', count.toLocaleString('en')],
    ['added per second', Math.round(addRate).toLocaleString('en')],
    ['bytes per vector, all', Math.round(bytes / count).toLocaleString('en')],
    ...BYTES_SHOWN.map((use) => [
      `  ${use}`,
      Math.round(stats.bytes[use] / count).toLocaleString('en'),
    ]),
    ['codec, metric', `${stats.quantization}, ${stats.metric}`],
  ]
  console.log(`\n${formatTable(header, rows)}\n\n${formatTable(['collection', ''], facts)}`)
}

function isSorted(hits) {
  return hits.every((hit, i) => i === 0 || hits[i - 1].distance <= hit.distance)
}

async function main() {
  const { rows, embedder, counts } = prepare()
  const db = new DB()
  const docs = await db.collection('docs', {
    dimensions: embedder.dimensions,
    metric: 'cosine',
    schema: SCHEMA,
  })
  const spent = await addAll(docs, rows, 'adding')
  expect((await docs.count()) === rows.length, 'the collection does not hold every paragraph')
  await searchInWords(docs, embedder, counts)
  await replacePackage(docs, rows, counts)

  const queries = makeQueries(rows, embedder)
  const ways = measure(docs, queries)
  printMeasures(ways, {
    addRate: (1000 * rows.length) / spent,
    stats: await docs.stats(),
    count: rows.length,
    plan: await docs.explain(queries[0], { k: K }),
  })
  for (const [name, { recall }] of Object.entries(ways)) {
    expect(recall >= RECALL_MIN, `recall of ${name} is ${recall.toFixed(4)}, below ${RECALL_MIN}`)
  }
  await db.close()
  for (const failure of failures) console.error(`unexpected: ${failure}`)
  if (failures.length > 0) process.exitCode = 1
}

await main()
