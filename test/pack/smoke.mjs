// The smoke test through import; and both module systems must see the very same classes.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import * as imported from 'omendb'
import smoke from './smoke.cjs'

await smoke(imported)
const required = createRequire(import.meta.url)('omendb')
assert.equal(required.OmenError, imported.OmenError)
const names = Object.keys(required).filter((n) => n !== '__esModule')
assert.deepEqual(Object.keys(imported).sort(), names.sort())
