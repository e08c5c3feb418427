// The examples of the pages for users run as they stand. (The README's: readme.test.mjs.)
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'

const root = path.resolve(__dirname, '../..')
const out = path.join(root, 'out/docs-test')
const run = promisify(execFile)

/** The js blocks of a page that import omendb. */
function examples(page: string): string[] {
  const text = readFileSync(path.join(root, page), 'utf8')
  const blocks = [...text.matchAll(/^```(?:js|mjs|javascript)\n([\s\S]*?)^```/gm)].map(
    (m) => m[1] as string,
  )
  return blocks.filter((block) => /from 'omendb'/.test(block))
}

for (const page of ['docs/api.md', 'docs/filters.md', 'docs/errors.md']) {
  test(`the examples of ${page} run`, { timeout: 120_000 }, async () => {
    mkdirSync(out, { recursive: true })
    const blocks = examples(page)
    assert.ok(blocks.length > 0, 'the page has no example')
    for (const [i, block] of blocks.entries()) {
      const file = path.join(out, `${page.replace(/\W/g, '-')}-${i}.mjs`)
      writeFileSync(file, block)
      const { stdout } = await run(process.execPath, [file], { cwd: root, timeout: 60_000 })
      compare(block, stdout)
    }
  })
}

// `console.log(...) // text` promises a line of output, unless it has an ellipsis or a full stop.
function compare(block: string, output: string): void {
  const loops = /^\s+console\.log|for .*console\.log|onProgress/m
  if (loops.test(block)) return
  const promised = [...block.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map((m) => m[1] as string)
  const lines = output
    .replace(/\n\s+|\n(?=[\]}])/g, ' ')
    .trim()
    .split('\n')
  assert.equal(lines.length, promised.length, output)
  for (const [i, text] of promised.entries()) {
    const exact = text.replace(/: it matches.*$/, '')
    if (/\.\.\.|\.$/.test(exact)) continue
    const plain = (s: string) => s.replace(/["'\s]|Float32Array(\(\d+\))?/g, '')
    assert.equal(plain(lines[i] as string), plain(exact), `line ${i + 1} of\n${output}`)
  }
}
