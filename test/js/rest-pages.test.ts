// docs/rest.md and the pages of docs/rest/ are what a server says of itself.
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import test from 'node:test'

test('the pages of REST are written from the OpenAPI document of a server', () => {
  const root = path.resolve(__dirname, '../..')
  execFileSync(process.execPath, ['.ci/rest-pages.mjs', '--check'], { cwd: root })
})
