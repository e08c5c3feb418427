// Lexical embedder: text to 256 floats by hashed words. For demonstration only.
//
// Why: the demo must turn text into vectors on any machine, with no model to download. This
// embedder compares spelling, not meaning: it finds "installing" from "install", and never "car"
// from "automobile". For real use take a trained model; with transformers.js (`npm i
// @huggingface/transformers`) the two functions below become
//
//   import { pipeline } from '@huggingface/transformers'
//   const model = await pipeline('feature-extraction', 'Xenova/all-MiniLM-L6-v2')
//   const embed = async (text) =>
//     (await model(text, { pooling: 'mean', normalize: true })).data   // Float32Array(384)
//
// and a collection of 384 dimensions takes its vectors as it takes these.
//
// How: words and the character n-grams inside them are features. A feature counts 1 + ln(tf), times
// its inverse document frequency in the corpus (sublinear tf-idf, Manning et al., "Introduction to
// Information Retrieval", chapter 6). Each feature owns a vector of random signs, drawn from its
// hash; a text is the weighted sum, scaled to length 1. Random projection keeps angles up to noise
// of about 1 / sqrt(dimensions) (Achlioptas 2003).
//
// Invariants:
//   1. The same seed, corpus and text give the same floats, in every process.
//   2. A vector has length 1, or is all zeros when the text holds no letter and no digit.

const WORD = /[\p{L}\p{N}]+/gu
const BUCKETS = 1 << 18 // Document frequencies are kept per hash bucket: 1 MiB for any corpus.
const WORD_CHARS_MAX = 32 // Longer runs are hashes and base64, whose n-grams are noise.
const NGRAMS = [3, 4]
const NGRAM_WEIGHT = 0.35 // The n-grams of a word together weigh about as much as the word.

/** FNV-1a over UTF-16 code units, from a start value that separates the kinds of feature. */
function hash(text, start) {
  let h = start
  for (let i = 0; i < text.length; ++i) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}

/** Mixes 32 bits so that every input bit moves every output bit (the finalizer of MurmurHash3). */
function mix(bits) {
  let h = bits | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** The words of a text, in lower case; `camelCase` counts as its parts too. */
export function wordsOf(text) {
  const words = []
  for (const run of text.normalize('NFKC').match(WORD) ?? []) {
    if (run.length > WORD_CHARS_MAX) continue
    words.push(run.toLowerCase())
    const parts = run.split(/(?<=\p{Ll})(?=\p{Lu})/u)
    if (parts.length > 1) for (const part of parts) words.push(part.toLowerCase())
  }
  return words
}

/** The features of a text: hash -> { count, weight of its kind }. */
function featuresOf(text) {
  const features = new Map()
  const count = (key, weight) => {
    const feature = features.get(key)
    if (feature === undefined) features.set(key, { count: 1, weight })
    else feature.count += 1
  }
  for (const word of wordsOf(text)) {
    count(hash(word, 0x811c9dc5), 1)
    const marked = `<${word}>`
    for (const n of NGRAMS) {
      for (let i = 0; i + n <= marked.length; ++i) {
        count(hash(marked.slice(i, i + n), 0x9747b28c), NGRAM_WEIGHT)
      }
    }
  }
  return features
}

export class LexicalEmbedder {
  #frequencies = new Uint32Array(BUCKETS)
  #documents = 0
  #seed

  /**
   * @param options.dimensions  Floats per vector: a multiple of 32. Default 256.
   * @param options.seed        Chooses the random signs. Default 1.
   * @throws {RangeError} dimensions that are not a positive multiple of 32.
   */
  constructor({ dimensions = 256, seed = 1 } = {}) {
    if (!Number.isInteger(dimensions) || dimensions <= 0 || dimensions % 32 !== 0) {
      throw new RangeError(`dimensions must be a positive multiple of 32, not ${dimensions}`)
    }
    this.dimensions = dimensions
    this.#seed = seed
  }

  /** Counts in how many of `texts` each feature occurs: rare features then weigh more. */
  fit(texts) {
    for (const text of texts) {
      this.#documents += 1
      for (const key of featuresOf(text).keys()) this.#frequencies[key % BUCKETS] += 1
    }
    return this
  }

  /**
   * Turns a text into a vector.
   *
   * @param text  Any string.
   * @param into  Where to write, `dimensions` floats; a new array if left out.
   * @returns `into`: length 1, or zeros when the text has no words.
   */
  embed(text, into = new Float32Array(this.dimensions)) {
    into.fill(0)
    for (const [key, { count, weight }] of featuresOf(text)) {
      this.#addSigns(into, key, weight * (1 + Math.log(count)) * this.#idf(key))
    }
    let squares = 0
    for (const x of into) squares += x * x
    if (squares > 0) {
      const scale = 1 / Math.sqrt(squares)
      for (let i = 0; i < into.length; ++i) into[i] *= scale
    }
    return into
  }

  /** Inverse document frequency; 1 for every feature before `fit`. */
  #idf(key) {
    if (this.#documents === 0) return 1
    return Math.log(1 + this.#documents / (1 + this.#frequencies[key % BUCKETS]))
  }

  /** Adds `weight` times the feature's sign vector: 32 signs from each mixed word. */
  #addSigns(into, key, weight) {
    for (let base = 0; base < into.length; base += 32) {
      let signs = mix(key + Math.imul(this.#seed + base, 0x9e3779b1))
      for (let i = base; i < base + 32; ++i) {
        into[i] += signs & 1 ? weight : -weight
        signs >>>= 1
      }
    }
  }
}
