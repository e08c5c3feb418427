// The demo's embedder and corpus: deterministic, normalised, and near for texts that share words.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { findPackages, readCorpus, splitMarkdown } from '../../examples/corpus.mjs'
import { LexicalEmbedder, wordsOf } from '../../examples/lexical-embedder.mjs'
import { formatTable, progressBar } from '../../examples/table.mjs'

const TEXTS = [
  'Reads a file from the disk and returns its content.',
  'Reading files from disk, asynchronously.',
  'Sorts the keys of an object in alphabetical order.',
  'The colour of the button when the pointer is over it.',
]

function dot(a, b) {
  return a.reduce((sum, x, i) => sum + x * b[i], 0)
}

// Two processes must agree on every vector, or a stored collection could not be searched later.
test('the same seed, corpus and text give the same floats', () => {
  const one = new LexicalEmbedder().fit(TEXTS)
  const two = new LexicalEmbedder().fit(TEXTS)
  for (const text of TEXTS) assert.deepEqual(one.embed(text), two.embed(text))
  assert.notDeepEqual(one.embed(TEXTS[0]), new LexicalEmbedder({ seed: 2 }).embed(TEXTS[0]))
})

// A change of the hash or the weights would silently change what the demo measures.
test('the vector of a fixed text is fixed', () => {
  const vector = new LexicalEmbedder().embed('vector database')
  const signs = Array.from(vector.subarray(0, 32), (x) => (x > 0 ? '+' : '-')).join('')
  assert.equal(signs, '+-++--++-+----+-++++-++-++-+-+-+')
})

// Cosine refuses zero vectors, so only a text without words may give one.
test('a vector has length 1, or is zero when there are no words', () => {
  const embedder = new LexicalEmbedder({ dimensions: 64 }).fit(TEXTS)
  for (const text of [...TEXTS, 'x', '数据库', 'naïve café', `${'a'.repeat(5000)} b`]) {
    const vector = embedder.embed(text)
    assert.equal(vector.length, 64)
    assert.ok(Math.abs(dot(vector, vector) - 1) < 1e-5, text)
  }
  for (const text of ['', ' \n', '-- !!', 'z'.repeat(5000)]) {
    assert.ok(
      embedder.embed(text).every((x) => x === 0),
      text.slice(0, 9),
    )
  }
})

// The point of the embedder: shared words and word stems bring texts together.
test('related texts are nearer than unrelated ones', () => {
  const embedder = new LexicalEmbedder().fit(TEXTS)
  const [read, reading, sorts, colour] = TEXTS.map((text) => embedder.embed(text))
  assert.ok(dot(read, reading) > dot(read, sorts) + 0.1)
  assert.ok(dot(read, reading) > dot(read, colour) + 0.1)
  const query = embedder.embed('alphabetically sorted object')
  for (const other of [read, reading, colour]) assert.ok(dot(query, sorts) > dot(query, other))
})

// Embedding into a caller's array must not depend on what was in it.
test('embed overwrites the array it is given', () => {
  const embedder = new LexicalEmbedder()
  const into = new Float32Array(256).fill(7)
  assert.equal(embedder.embed(TEXTS[0], into), into)
  assert.deepEqual(into, embedder.embed(TEXTS[0]))
})

// A wrong size must fail where it is given, not as garbage signs later.
test('dimensions that are no positive multiple of 32 are refused', () => {
  for (const dimensions of [0, -32, 33, 1.5, NaN]) {
    assert.throws(() => new LexicalEmbedder({ dimensions }), RangeError)
  }
})

// Identifiers are the words of technical text.
test('words are lower-cased, normalised and split at camelCase', () => {
  assert.deepEqual(wordsOf('createReadStream ﬁne!'), [
    'createreadstream',
    'create',
    'read',
    'stream',
    'fine',
  ])
})

// What a reader would not call a paragraph must not become one.
test('Markdown is split into paragraphs under their headings', () => {
  const paragraphs = splitMarkdown(
    [
      '# The `name` of it',
      '![badge](https://x.org/b.svg) <br> one two three',
      'four [five](http://a.b) six',
      '',
      '```js',
      'const code = is not taken as a paragraph of words',
      '```',
      '| a table | is | not | a | paragraph | either |',
      '## Second ##',
      '- first item with as many words as needed',
      '- second item, with snake_case words and **bold** ones',
      '',
      'too short',
    ].join('\n'),
  )
  assert.deepEqual(paragraphs, [
    { heading: 'The name of it', text: 'one two three four five six', words: 6 },
    { heading: 'Second', text: 'first item with as many words as needed', words: 8 },
    { heading: 'Second', text: 'second item, with snake_case words and bold ones', words: 9 },
  ])
})

// The corpus must be the same on every run, hold no text twice, and stay within its bounds.
test('the corpus is sorted, free of duplicates and bounded', () => {
  const root = mkdtempSync(join(tmpdir(), 'omendb-corpus-'))
  try {
    const write = (path, text) => {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
    }
    write('b/README.md', 'one two three four five six\n\nseven eight nine ten eleven twelve')
    write('@scope/a/docs/x.md', 'one two three four five six')
    write('b/node_modules/c/README.md', 'of a nested package these are words')
    write('b/node_modules/@scope/a/README.md', 'the outer version of a package is enough')
    write('.bin/README.md', 'hidden folders hold no packages at all here')
    assert.deepEqual(
      findPackages(root).map(({ name }) => name),
      ['@scope/a', 'b', 'c'],
    )
    const corpus = readCorpus(root)
    assert.deepEqual(
      corpus.map((paragraph) => [paragraph.package, paragraph.text.slice(0, 11)]),
      [
        ['@scope/a', 'one two thr'],
        ['b', 'seven eight'],
        ['c', 'of a nested'],
      ],
    )
    assert.equal(readCorpus(root, { limit: 2 }).length, 2)
    assert.deepEqual(readCorpus(join(root, 'nowhere')), [])
  } finally {
    rmSync(root, { recursive: true })
  }
})

// In a log a progress bar must be one line; only a terminal is redrawn.
test('a progress bar writes one line where there is no terminal', () => {
  const lines = []
  const bar = progressBar('adding', 10, { isTTY: false, write: (text) => lines.push(text) })
  for (let done = 0; done <= 10; ++done) bar.show(done)
  bar.finish('done')
  assert.equal(lines.length, 1)
  assert.match(lines[0], /^adding .*10\/10 done\n$/)
})

// Numbers are compared by their right edge, words by their left.
test('a table aligns numbers right and words left', () => {
  assert.equal(
    formatTable(
      ['name', 'n'],
      [
        ['a', 10],
        ['long', 5],
      ],
    ),
    ['name   n', '----  --', 'a     10', 'long   5'].join('\n'),
  )
})
