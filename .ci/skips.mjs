// Fails if a log tells of a skipped test that test/skips.json does not declare.
//
//   node .ci/skips.mjs out/ci/*.log
// A declaration: { "test": "name as printed", "why": "..." }.
import { readFileSync } from 'node:fs'

const { skips } = JSON.parse(readFileSync(new URL('../test/skips.json', import.meta.url), 'utf8'))
const declared = new Set(skips.map((s) => s.test))
const undeclared = new Set()
for (const log of process.argv.slice(2)) {
  // "ok - name (3 ms) # SKIP reason" in C++, "ok - name # SKIP reason" in JavaScript.
  const lines = readFileSync(log, 'utf8').matchAll(
    /^ok - (.*?)(?: \(\d+ ms\))? # (?:SKIP|TO[D]O).*$/gm,
  )
  for (const [line, name] of lines) if (!declared.has(name)) undeclared.add(line)
}
for (const line of undeclared)
  console.log(`skipped without being declared in test/skips.json: ${line}`)
process.exit(undeclared.size === 0 ? 0 : 1)
