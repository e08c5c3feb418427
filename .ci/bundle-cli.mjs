// Bundles the libraries of the command line into dist/lib/cli/bundled, with their licences.
//
// Why: embedders install node-gyp-build and nothing else. lib/cli/bundled/*.mts re-export what is
// used of a library; here each becomes one file that imports nothing, loaded only by the commands
// that need it. The declarations go, since their imports lead nowhere in the published package.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = path.join(root, 'dist/lib/cli/bundled')

for (const file of readdirSync(folder).filter((f) => f.endsWith('.mjs'))) {
  const { metafile } = await build({
    entryPoints: [path.join(folder, file)],
    outfile: path.join(folder, file),
    allowOverwrite: true,
    absWorkingDir: root,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.3',
    metafile: true,
    logLevel: 'warning',
  })
  const packages = new Set(
    Object.keys(metafile.inputs).flatMap(
      (f) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(f)?.[1] ?? [],
    ),
  )
  const licences = [...packages].sort().map(licence)
  writeFileSync(path.join(folder, file.replace(/\.mjs$/, '.LICENSES.txt')), licences.join('\n'))
  rmSync(path.join(folder, file.replace(/\.mjs$/, '.d.mts')))
}

function licence(name) {
  const home = path.join(root, 'node_modules', name)
  const { version, license } = JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8'))
  const file = readdirSync(home).find((f) => /^licen[cs]e/i.test(f))
  if (file === undefined) throw new Error(`${name} brings no licence text; it cannot be bundled`)
  return `${name} ${version} (${license})\n\n${readFileSync(path.join(home, file), 'utf8')}`
}
