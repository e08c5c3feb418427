// The addon loads at the first use of DB, and its absence is an error that says what to do.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import test from 'node:test'

const root = path.resolve(__dirname, '../..')

function run(code: string, env: NodeJS.ProcessEnv): string {
  return execFileSync(process.execPath, ['-e', code], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 30_000,
  })
}

test('importing loads no addon, and a DB without one is ERR_NATIVE', () => {
  const code = `const { DB, OmenError } = require('omendb')
    try { new DB() } catch (error) {
      console.log(error instanceof OmenError, error.code, /reinstall/i.test(error.message))
      console.log(error.message.includes('nowhere.node'), error.cause instanceof Error)
    }`
  assert.equal(run(code, { OMENDB_ADDON: '/nowhere.node' }), 'true ERR_NATIVE true\ntrue true\n')
})

test('require and import give the same classes', () => {
  const code = `const required = require('omendb')
    import('omendb').then((imported) => {
      const names = Object.keys(required).filter((name) => name !== '__esModule').sort()
      console.log(names.join(), names.every((name) => imported[name] === required[name]))
    })`
  assert.equal(run(code, {}), 'Client,DB,ERROR_CODES,OmenError true\n')
})
