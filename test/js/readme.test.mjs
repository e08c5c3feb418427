// README.md and docs/: what they show works, and what they point to is there.
//
// Why: the first thing a user does is to copy the example. It runs here as it stands, and must
// print what the page says it prints.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MARKER = '<!-- example: run by test/js/readme.test.mjs -->'
const read = (file) => readFileSync(join(ROOT, file), 'utf8')

/** The first block fenced as `language` in the text. */
function fenced(text, language) {
  const found = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text)
  assert.ok(found, `a block of ${language}`)
  return found[1]
}

// What installs, builds and runs leave behind, which has pages of its own.
const BUILT = ['node_modules', 'out', 'build', 'dist', 'prebuilds']
const NOT_OURS = new Set([...BUILT, '.git', '.data', 'results'])

/** Markdown pages of the project below a directory. Found without git: an archive has none. */
function pages(directory = '') {
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const file = join(directory, entry.name)
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : pages(file)
    return entry.isFile() && entry.name.endsWith('.md') ? [file.split(sep).join('/')] : []
  })
}

/** Headings as the anchors that GitHub makes of them. */
function anchorsOf(text) {
  const headings = text.replace(/```[\s\S]*?```/g, '').matchAll(/^#+ (.+)$/gm)
  return [...headings].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

// The example is short, complete, and prints what the page says.
test('the example of README.md runs', () => {
  const page = read('README.md')
  const at = page.indexOf(MARKER)
  assert.ok(at >= 0, `README.md marks its example by ${MARKER}`)
  const example = fenced(page.slice(at), 'js')
  const lines = example
    .trim()
    .split('\n')
    .filter((line) => line !== '')
  assert.ok(lines.length <= 12, `the example has ${lines.length} lines`)
  // Below the checkout, so that 'omendb' is the checkout.
  const directory = join(ROOT, 'out/readme')
  mkdirSync(directory, { recursive: true })
  const file = join(directory, 'example.mjs')
  writeFileSync(file, example)
  const printed = execFileSync(process.execPath, [file], { encoding: 'utf8', timeout: 60_000 })
  assert.equal(printed, fenced(page.slice(at), 'text'))
})

// A page that points nowhere sends its reader away.
test('links of the pages lead to files and headings that exist', () => {
  const broken = []
  for (const page of pages()) {
    const text = read(page)
      .replace(/```[\s\S]*?```/g, '')
      .replace(/`[^`\n]*`/g, '')
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path, anchor] = target.split('#')
      const file = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path)
      const isThere = existsSync(file) && !relative(ROOT, file).startsWith('..')
      if (!isThere) broken.push(`${page}: ${target}`)
      else if (anchor && !anchorsOf(readFileSync(file, 'utf8')).includes(anchor))
        broken.push(`${page}: ${target} has no such heading`)
    }
  }
  assert.deepEqual(broken, [])
})

// Decisions are found by number, and say what was weighed.
test('every decision note has its parts and stands in the list', () => {
  const list = read('docs/decisions/README.md')
  const notes = pages().filter((file) => /^docs\/decisions\/\d{4}-/.test(file))
  assert.ok(notes.length > 0)
  notes.sort().forEach((note, i) => {
    const name = note.slice('docs/decisions/'.length)
    assert.equal(Number(name.slice(0, 4)), i + 1, `${name}: numbers follow one another`)
    assert.ok(list.includes(`](${name})`), `${name} is in docs/decisions/README.md`)
    for (const part of ['Context', 'Decision', 'Rejected', 'Measured'])
      assert.match(read(note), new RegExp(`^## ${part}$`, 'm'), `${name} has "${part}"`)
  })
})
