// Checks lib/console and bundles it into dist/console: the page's script, its worker, and what lies
// beside them. The client is no part of it: the page loads dist/client.browser.mjs as it is, which
// the server sends as console/client.js.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const from = path.join(root, 'lib/console')
const to = path.join(root, 'dist/console')

const typescript = createRequire(import.meta.url).resolve('typescript/package.json')
const tsc = path.join(path.dirname(typescript), 'bin/tsc')
const { status } = spawnSync(process.execPath, [tsc, '-p', from], { stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)

mkdirSync(to, { recursive: true })
await build({
  absWorkingDir: root,
  entryPoints: {
    console: path.join(from, 'main.ts'),
    worker: path.join(from, 'worker.ts'),
  },
  outdir: to,
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  logLevel: 'warning',
  plugins: [
    {
      name: 'client',
      setup({ onResolve }) {
        onResolve({ filter: /^omendb\/client$/ }, () => ({ path: './client.js', external: true }))
      },
    },
  ],
})
await build({
  absWorkingDir: root,
  entryPoints: [path.join(from, 'console.css')],
  outdir: to,
  bundle: true,
  minify: true,
  logLevel: 'warning',
})
for (const file of ['index.html', 'icon.svg'])
  copyFileSync(path.join(from, file), path.join(to, file))
