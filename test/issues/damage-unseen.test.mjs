// Damage on disk that nobody told of.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { DB } from 'omendb'

const command = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url))

// A damaged graph is built anew at opening, and `omendb check`, which opens read-only, called the
// database whole; so it did where rows were damaged that no record has any more.
test('check tells of damage in each file of a snapshot, also read-only', async () => {
  const home = mkdtempSync(path.join(tmpdir(), 'omendb-unseen-'))
  try {
    const where = path.join(home, 'db')
    const db = await DB.open(where, { metric: 'l2', checkpointBytes: 20_000 })
    const vectors = Array.from({ length: 600 }, (_, i) =>
      Array.from({ length: 16 }, (_, j) => Math.sin(i * 16.3 + j * 1.7)),
    )
    await db.add({ ids: vectors.map((_, i) => i), vectors })
    await db.close()
    const files = readdirSync(where).filter((name) => name.endsWith('.seg'))
    assert.ok(files.length >= 2, `${files}`)
    for (const name of files) {
      const file = path.join(where, name)
      const whole = readFileSync(file)
      for (const at of [70, whole.length >> 1, whole.length - 10]) {
        const bytes = Buffer.from(whole)
        bytes[at] ^= 0x10
        writeFileSync(file, bytes)
        const { status, stdout, stderr } = spawnSync(process.execPath, [command, 'check', where], {
          encoding: 'utf8',
        })
        assert.equal(status, 1, `${name} at ${at}: ${stdout}${stderr}`)
        assert.match(stdout + stderr, new RegExp(`${name} is damaged at byte \\d+`))
      }
      writeFileSync(file, whole)
    }
    const { status } = spawnSync(process.execPath, [command, 'check', where])
    assert.equal(status, 0)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})
