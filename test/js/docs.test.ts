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
const compared = { blocks: 0, lines: 0 }

/** The js blocks of a page that import omendb. */
function examples(page: string): string[] {
  const text = readFileSync(path.join(root, page), 'utf8')
  const blocks = [...text.matchAll(/^```(?:js|mjs|javascript)\n([\s\S]*?)^```/gm)].map(
    (m) => m[1] as string,
  )
  return blocks.filter((block) => /from 'omendb'/.test(block))
}

for (const page of [
  'docs/api.md',
  'docs/filters.md',
  'docs/errors.md',
  'docs/durability.md',
  'docs/server.md',
  'docs/client.md',
]) {
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

// A comparison that finds nothing to compare would pass for ever.
test('the examples promise output, and it was compared', () => {
  assert.ok(compared.blocks >= 8 && compared.lines >= 20, JSON.stringify(compared))
})

/**
 * `console.log(...) // text` promises a line of output; `...` in it stands for anything, and a text
 * that ends in a full stop is a remark. Where every line is printed once, every line is promised;
 * where a loop prints, the promised lines come in their order among the others.
 */
function compare(block: string, output: string): void {
  const loops = /^[ \t]+console\.log|for [^\n]*console\.log|onProgress/m.test(block)
  const promised = [...block.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map((m) => m[1] as string)
  const lines = output
    .replace(/\n\s+|\n(?=[\]}])/g, ' ')
    .trim()
    .split('\n')
  if (!loops) assert.equal(lines.length, promised.length, output)
  let next = 0
  for (const [i, text] of promised.entries()) {
    if (text.endsWith('.')) continue
    const expected = pattern(text)
    const at = loops ? lines.findIndex((l, j) => j >= next && expected.test(plain(l))) : i
    assert.match(plain(lines[at] ?? ''), expected, `"${text}" is not what was printed:\n${output}`)
    next = at + 1
    compared.lines += 1
  }
  if (promised.length > 0) compared.blocks += 1
}

// What console.log writes in one way and a page in another: quotes, spaces, the type of an array.
function plain(line: string): string {
  return line.replace(/["'\s]|Float32Array(\(\d+\))?/g, '')
}

/** The promised line, without an explanation after a colon: `// 0: nothing was stored`. */
function pattern(text: string): RegExp {
  const value = plain(text.replace(/(?<=[\]\d]): [a-z].*$/, ''))
  const parts = value.split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}
