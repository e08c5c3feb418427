// Bundles what the package uses and its users shall not install, into the files of dist/ that tsc
// emitted; and the client as one file for browsers.
//
// Why in place: modules outside of a bundle stay what they are, so that there is one OmenError and
// one loader of the addon, whoever imports. Licences of what was bundled go into one file.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = path.join(root, 'dist')
const lib = path.join(dist, 'lib')
const inputs = new Set()

/** Leaves imports of files outside of `rooms` to be required when the program runs. */
function ownRooms(rooms) {
  return {
    name: 'own-rooms',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\.?\// }, ({ path: specifier, resolveDir, importer }) => {
        if (importer.includes('node_modules')) return undefined
        const file = path.resolve(resolveDir, specifier)
        if (rooms.some((room) => file.startsWith(path.join(lib, room) + path.sep))) return undefined
        // Written as seen from the bundle, which lies in lib/server or lib/wire.
        const from = path.join(lib, rooms[0])
        return { path: path.relative(from, file).split(path.sep).join('/'), external: true }
      })
    },
  }
}

const common = {
  bundle: true,
  target: 'es2022',
  legalComments: 'none',
  allowOverwrite: true,
  metafile: true,
  logLevel: 'warning',
  absWorkingDir: root,
}

async function run(options) {
  const { metafile } = await build({ ...common, ...options })
  for (const input of Object.keys(metafile.inputs)) inputs.add(input)
}

const server = { platform: 'node', format: 'cjs', plugins: [ownRooms(['server', 'wire/gen'])] }
// Fastify's way to be called without a network, which nobody does here.
const external = ['light-my-request']
const core = path.join(lib, 'server/core.js')
await run({ ...server, external, entryPoints: [core], outfile: core })
// From the sources: what is ESM there is left out where it is not used, half of the whole.
await run({
  entryPoints: [path.join(root, 'lib/client/index.ts')],
  outfile: path.join(dist, 'client.browser.mjs'),
  platform: 'browser',
  format: 'esm',
  minify: true,
})
await run({
  entryPoints: [path.join(lib, 'wire/protocol.js')],
  outfile: path.join(lib, 'wire/protocol.js'),
  platform: 'neutral',
  mainFields: ['main'],
  conditions: ['require'],
  format: 'cjs',
})

// What is in the bundles is nowhere else.
for (const file of readdirSync(path.join(lib, 'wire/gen'), { recursive: true })) {
  // Declarations stay for the project's own tests; the package leaves them out.
  if (file.endsWith('.js')) rmSync(path.join(lib, 'wire/gen', file))
}
for (const file of readdirSync(path.join(lib, 'server'), { recursive: true })) {
  const kept = ['core.js', 'index.js', 'index.d.ts', 'main.js']
  if (!kept.includes(file)) rmSync(path.join(lib, 'server', file), { recursive: true, force: true })
}

const packages = new Map()
for (const input of inputs) {
  const [, folder] = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input) ?? []
  if (folder === undefined) continue
  const { name, version, license } = JSON.parse(
    readFileSync(path.join(root, folder, 'package.json'), 'utf8'),
  )
  const file = readdirSync(path.join(root, folder)).find((f) => /^(licen[cs]e|copying)/i.test(f))
  const text = file
    ? readFileSync(path.join(root, folder, file), 'utf8').trim()
    : `License: ${license}`
  packages.set(`${name} ${version} (${license})`, text)
}
const notice = [...packages]
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([name, text]) => `${name}\n\n${text}\n`)
writeFileSync(
  path.join(dist, 'THIRD-PARTY-LICENSES.txt'),
  ['What dist/ holds of others, and under which licences.\n', ...notice].join(
    `\n${'-'.repeat(80)}\n\n`,
  ),
)
