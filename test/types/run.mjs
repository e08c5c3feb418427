// npm run test:types: compiles usage.ts against the packed declarations, as users' projects would.
//
// The matrix: the oldest TypeScript that is supported and the newest; CommonJS, ESM and bundler
// resolution; declarations checked too (skipLibCheck: false). The old compiler comes from npm.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const out = path.join(root, 'out/types')
const oldest = '5.4.5'

const npm = (args) => execFileSync('npm', args, { cwd: root, encoding: 'utf8' })
const compilers = { newest: path.join(root, 'node_modules/typescript/bin/tsc') }
compilers[oldest] = path.join(out, `typescript-${oldest}/node_modules/typescript/bin/tsc`)
if (!existsSync(compilers[oldest])) {
  const prefix = path.join(out, `typescript-${oldest}`)
  mkdirSync(prefix, { recursive: true })
  npm(['install', '--prefix', prefix, '--ignore-scripts', '--no-audit', `typescript@${oldest}`])
}

// The package as users get it, without the binary: types need none.
const installed = path.join(out, 'node_modules/omendb')
rmSync(installed, { recursive: true, force: true })
mkdirSync(installed, { recursive: true })
const listed = JSON.parse(npm(['pack', '--ignore-scripts', '--json', '--pack-destination', out]))
const [{ filename }] = Array.isArray(listed) ? listed : Object.values(listed)
execFileSync('tar', ['-xzf', path.join(out, filename), '-C', installed, '--strip-components=1'])
rmSync(path.join(out, filename))

const projects = {
  'CommonJS, node16': { file: 'usage.cts', options: { module: 'node16' } },
  'ESM, node16': { file: 'usage.mts', options: { module: 'node16' } },
  bundler: { file: 'usage.ts', options: { module: 'esnext', moduleResolution: 'bundler' } },
}
let failed = 0
let passed = 0
for (const [project, { file, options }] of Object.entries(projects)) {
  copyFileSync(path.join(root, 'test/types/usage.ts'), path.join(out, file))
  const compilerOptions = {
    ...options,
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  }
  const config = path.join(out, 'tsconfig.json')
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }))
  for (const [version, tsc] of Object.entries(compilers)) {
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', config], {
      encoding: 'utf8',
    })
    console.log(`${status === 0 ? 'ok' : 'not ok'} - ${project}, TypeScript ${version}`)
    if (status === 0) passed += 1
    else {
      failed += 1
      console.log(stdout)
    }
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
