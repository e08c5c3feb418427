// docs/rest.md is what a server says of itself.
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import test from 'node:test'

test('docs/rest.md is written from the OpenAPI document of a server', () => {
  const root = path.resolve(__dirname, '../..')
  execFileSync(process.execPath, ['.ci/rest-page.mjs', '--check'], { cwd: root })
})
