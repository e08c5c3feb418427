// Writes the package's entry files beside what tsc emitted, one set for each public subpath.
//
// Why: there is one implementation, CommonJS in dist/lib. The ESM facade re-exports its objects,
// so that an OmenError from `require` is `instanceof` the imported one, and each module system gets
// declarations of its own kind. A subpath is public when package.json exports it; nothing else
// knows the list.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

for (const [subpath, conditions] of Object.entries(exports)) {
  if (typeof conditions === 'string') continue // ./package.json
  const name = subpath === '.' ? 'index' : subpath.slice(2)
  const from = `./lib/${subpath === '.' ? 'index' : `${name}/index`}.js`
  const names = Object.keys(require(path.join(root, 'dist', from))).filter(
    (n) => n !== '__esModule',
  )
  const note = `// Written by .ci/facade.mjs.\n`
  const types = `${note}export * from '${from}'\n`
  const files = {
    [`${name}.cjs`]: `${note}'use strict'\nmodule.exports = require('${from}')\n`,
    [`${name}.mjs`]: `${note}import api from '${from}'\n${names
      .map((n) => `export const ${n} = api.${n}\n`)
      .join('')}`,
    [`${name}.d.cts`]: types,
    [`${name}.d.mts`]: types,
  }
  for (const [file, text] of Object.entries(files))
    writeFileSync(path.join(root, 'dist', file), text)
}
