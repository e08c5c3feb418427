// Damage on disk that nobody told of.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { DB } from 'omendb'

const root = fileURLToPath(new URL('../..', import.meta.url))
const command = path.join(root, 'dist/lib/cli/main.js')

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
      writeFileSync(file, whole.subarray(0, -1))
      // Whoever has no backup is told of the way that is left.
      await assert.rejects(DB.open(where), { code: 'ERR_CORRUPT', message: /check --salvage$/ })
      writeFileSync(file, whole)
    }
    const { status } = spawnSync(process.execPath, [command, 'check', where])
    assert.equal(status, 0)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

// Beside a writer whose checkpoints came faster than it could be read, a whole database was told to
// be damaged.
test('a database that changes while it is read is not called damaged', async () => {
  const home = mkdtempSync(path.join(tmpdir(), 'omendb-changing-'))
  const where = path.join(home, 'db')
  const text = `
    import { DB } from 'omendb'
    const db = await DB.open(process.argv[1], { durability: 'os', checkpointBytes: 20_000 })
    const vectors = Array.from({ length: 50 }, () => Float32Array.from({ length: 16 }, Math.random))
    const ids = () => vectors.map((_, i) => i * 40 + Math.floor(Math.random() * 40))
    let isOver = false
    process.on('message', () => { isOver = true })
    for (let i = 0; !isOver; i++) {
      await db.upsert({ ids: ids(), vectors })
      if (i === 10) process.send('on')
    }
    await db.close()
    process.disconnect()
  `
  const args = ['--input-type=module', '-e', text, where]
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc']
  const writer = spawn(process.execPath, args, { cwd: root, stdio })
  try {
    await once(writer, 'message')
    const until = performance.now() + 3000
    let checks = 0
    while (performance.now() < until) {
      let db
      try {
        db = await DB.open(where, { readOnly: true })
        for (const { problem } of await db.check()) assert.equal(problem, '')
        checks++
      } catch (error) {
        assert.equal(error.code, 'ERR_BUSY', error.message)
      } finally {
        await db?.close()
      }
    }
    assert.ok(checks > 0)
    writer.send('end')
    await once(writer, 'exit')
  } finally {
    writer.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true })
  }
})
