// Bugs found in the paths that DB.open takes, each with what a user would have seen.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DB, OmenError } from '../../dist/index.mjs'

// They were raw TypeErrors of Node, which tell nothing of the database.
test('a URL that names no file here is ERR_ARGUMENT, and the message names it', async () => {
  for (const url of ['http://x/y', 'file://host/y']) {
    await assert.rejects(DB.open(new URL(url)), (error) => {
      assert.ok(error instanceof OmenError)
      assert.equal(error.code, 'ERR_ARGUMENT')
      return error.message.includes(url)
    })
  }
})
