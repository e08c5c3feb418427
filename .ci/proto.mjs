// Writes lib/wire/gen from proto/ by buf and protoc-gen-es.
//
//   node .ci/proto.mjs [--check]
// The files are committed, so that a checkout builds without buf; --check fails if they are not
// what proto/ says.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const committed = path.join(root, 'lib/wire/gen')
const bin = path.join(root, 'node_modules/.bin')
const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}` }

function generate(out) {
  const plugin = { local: 'protoc-gen-es', out, opt: ['target=ts', 'import_extension=js'] }
  const template = JSON.stringify({ version: 'v2', plugins: [plugin] })
  const args = ['generate', 'proto', '--template', template]
  execFileSync(path.join(bin, 'buf'), args, { cwd: root, env, stdio: 'inherit' })
}

const filesOf = (folder) =>
  readdirSync(folder, { recursive: true })
    .filter((f) => statSync(path.join(folder, f)).isFile())
    .sort()

if (!process.argv.includes('--check')) {
  rmSync(committed, { recursive: true, force: true })
  generate(committed)
} else {
  const fresh = mkdtempSync(path.join(tmpdir(), 'omendb-proto-'))
  generate(fresh)
  const files = filesOf(fresh)
  const same =
    files.join() === filesOf(committed).join() &&
    files.every(
      (f) =>
        readFileSync(path.join(fresh, f), 'utf8') === readFileSync(path.join(committed, f), 'utf8'),
    )
  rmSync(fresh, { recursive: true })
  if (!same) {
    console.error('lib/wire/gen is not what proto/ says: run npm run build:proto')
    process.exit(1)
  }
}
