// Recall on real text: the demo's paragraphs, through the public API, with default options.
import assert from 'node:assert/strict'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { DB } from '../../dist/index.mjs'
import { readCorpus } from '../../examples/corpus.mjs'
import { LexicalEmbedder, wordsOf } from '../../examples/lexical-embedder.mjs'

const K = 10
const QUERIES = 400

// As many whatever is installed: recall at one ef falls as rows grow.
const ROWS = 5000
const nodeModules = fileURLToPath(new URL('../../node_modules', import.meta.url))
const paragraphs = readCorpus(nodeModules, { limit: ROWS }).filter(
  ({ text }) => wordsOf(text).length > 0,
)
const embedder = new LexicalEmbedder().fit(paragraphs.map(({ text }) => text))
const vectors = paragraphs.map(({ heading, text }) => embedder.embed(`${heading} ${text}`))
// Paragraphs cut short: near to what is stored, and equal to none of it.
const queries = Array.from({ length: QUERIES }, (_, i) => {
  const { text } = paragraphs[Math.floor((i * paragraphs.length) / QUERIES)]
  return embedder.embed(text.slice(0, Math.max(20, text.length * 0.75)))
})

/** Share of the exact answer's hits that the forced graph finds. A tie in distance counts. */
function recall(collection, options = {}) {
  let found = 0
  let wanted = 0
  for (const query of queries) {
    const exact = collection.searchSync(query, { k: K, ...options, exact: true })
    const graph = collection.searchSync(query, { k: K, ...options, exact: false })
    const furthest = exact.at(-1)?.distance ?? 0
    found += graph.filter(({ distance }) => distance <= furthest + 1e-6).length
    wanted += exact.length
  }
  return found / wanted
}

function build(quantization, rows, metadata) {
  const collection = new DB().collectionSync('docs', { quantization })
  collection.addBatchSync({ vectors: rows, metadata })
  return collection
}

for (const quantization of ['sq8', 'none', 'binary']) {
  test(`${quantization}: recall on real text is at least 0.95, filtered too`, () => {
    const metadata = paragraphs.map(({ package: name }, i) => ({ name, share: (i * 7919) % 1000 }))
    const docs = build(quantization, vectors, metadata)
    assert.ok(vectors.length > 4096, `${vectors.length} paragraphs are too few to train codes`)
    // Below a tenth, a walk of so few rows meets them all.
    for (const below of [1000, 500, 100]) {
      const found = recall(docs, { filter: { share: { $lt: below } } })
      assert.ok(found >= 0.95, `of ${below / 10} % ${found} found`)
    }
  })

  test(`${quantization}: replacing every record leaves recall near a fresh build's`, () => {
    const half = vectors.length >> 1
    const fresh = build(quantization, vectors)
    // Every id first holds another record's vector.
    const docs = build(quantization, [...vectors.slice(half), ...vectors.slice(0, half)])
    for (let first = 0; first < vectors.length; first += 100) {
      const some = vectors.slice(first, first + 100)
      docs.upsertSync({ ids: some.map((_, i) => first + i), vectors: some })
    }
    const [expected, found] = [recall(fresh), recall(docs)]
    // 0.01 is the promise; two builds of the same rows differ by up to 0.005 among themselves.
    assert.ok(found >= expected - 0.015, `${found} after replacing, ${expected} fresh`)
  })
}
