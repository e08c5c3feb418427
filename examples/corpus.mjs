// Corpus: the Markdown documentation of the installed packages, split into paragraphs.
//
// Why: it is real text, thousands of paragraphs of it, and it lies on every machine that ran `npm
// ci`.
// Invariants:
//   1. The order is fixed: packages, files and paragraphs are taken sorted, never as the disk lists
//      them.
//   2. No text comes twice: packages copy each other's licences and badges.
//   3. At most `limit` paragraphs in all and `perPackage` of one package, so that no long changelog
//      becomes the whole corpus.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'

const FILE_BYTES_MAX = 2 << 20
const CHARS_MAX = 1200

/** The folders of all packages below a node_modules folder, nested ones too, sorted by name. */
export function findPackages(nodeModules) {
  const found = new Map() // Name -> folder: of two versions the outer one is enough.
  const visit = (folder) => {
    for (const entry of list(folder)) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue
      const path = join(folder, entry.name)
      if (entry.name.startsWith('@')) {
        for (const scoped of list(path)) {
          if (scoped.isDirectory()) take(`${entry.name}/${scoped.name}`, join(path, scoped.name))
        }
      } else {
        take(entry.name, path)
      }
    }
  }
  const take = (name, folder) => {
    if (!found.has(name)) found.set(name, folder)
    visit(join(folder, 'node_modules'))
  }
  visit(nodeModules)
  return [...found].map(([name, folder]) => ({ name, folder })).sort(byName)
}

/** The paths of the Markdown files of one package, without those of packages nested in it. */
export function findMarkdown(folder) {
  const files = []
  const visit = (at) => {
    for (const entry of list(at)) {
      const path = join(at, entry.name)
      if (entry.isDirectory() && entry.name !== 'node_modules') visit(path)
      else if (entry.isFile() && /\.(md|markdown)$/i.test(entry.name)) files.push(path)
    }
  }
  visit(folder)
  return files
}

/**
 * Splits Markdown into paragraphs of plain words, each under the last heading above it. Code
 * blocks, tables, HTML and the addresses of links are left out; list items count as paragraphs.
 *
 * @returns {{ heading: string, text: string, words: number }[]}
 */
export function splitMarkdown(markdown, { wordsMin = 6 } = {}) {
  const paragraphs = []
  let heading = ''
  let lines = []
  let fence = ''
  const finish = () => {
    const text = plain(lines.join(' ')).slice(0, CHARS_MAX)
    const words = text.match(/[\p{L}\p{N}]+/gu)?.length ?? 0
    if (words >= wordsMin) paragraphs.push({ heading, text, words })
    lines = []
  }
  for (const line of markdown.replace(/<!--[\s\S]*?-->/g, '').split(/\r?\n/)) {
    const mark = line.match(/^\s*(```+|~~~+)/)?.[1]
    if (fence !== '') {
      if (mark?.startsWith(fence)) fence = ''
    } else if (mark !== undefined) {
      finish()
      fence = mark
    } else if (/^#{1,6}\s/.test(line)) {
      finish()
      heading = plain(line.replace(/^#+\s+|\s+#+\s*$/g, ''))
    } else if (/^\s*$/.test(line) || /^(\s*\||\[[^\]]+\]:\s|[-=*_\s]{3,}$)/.test(line)) {
      finish()
    } else if (/^\s*([-*+]|\d+[.)])\s/.test(line)) {
      finish()
      lines.push(line.replace(/^\s*([-*+]|\d+[.)])\s+/, ''))
    } else {
      lines.push(line)
    }
  }
  finish()
  return paragraphs
}

/**
 * Reads the corpus.
 *
 * @returns {{ package: string, file: string, heading: string, text: string, words: number }[]}
 */
export function readCorpus(nodeModules, { limit = 20_000, perPackage = 1_500 } = {}) {
  const corpus = []
  const seen = new Set()
  for (const { name, folder } of findPackages(nodeModules)) {
    let left = Math.min(perPackage, limit - corpus.length)
    for (const path of findMarkdown(folder)) {
      if (left <= 0 || statSync(path).size > FILE_BYTES_MAX) continue
      for (const paragraph of splitMarkdown(readFileSync(path, 'utf8'))) {
        if (left <= 0) break
        if (seen.has(paragraph.text)) continue
        seen.add(paragraph.text)
        corpus.push({ package: name, file: relative(folder, path), ...paragraph })
        left -= 1
      }
    }
  }
  return corpus
}

/** What is in a folder, sorted; nothing if there is no such folder. */
function list(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort(byName)
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw error
  }
}

function byName(a, b) {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

/** Markdown of one line to the words a reader sees. */
function plain(text) {
  return text
    .replace(/!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])/g, ' ')
    .replace(/\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])/g, '$1')
    .replace(/<https?:[^>]*>|https?:\/\/\S+/g, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/[`*]|&[a-z]+;|(?<!\w)_|_(?!\w)|~~/gi, ' ')
    .replace(/\s+/g, ' ')
    .trim()
}
