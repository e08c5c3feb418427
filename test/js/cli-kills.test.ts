// An import that is killed or interrupted at any moment goes on, and stores every row once.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import test from 'node:test'
import { contents, done, fresh, fvecs, main, omendb } from './cli-support.js'
import { random, runSeed, vectors } from './support.js'

const KILLS = Number(process.env.OMENDB_KILLS ?? 3)
const ROWS = 4000
const rows = vectors(ROWS, 16)
const small = ['--batch', '100', '--metric', 'l2', '-q']

/** Ends a running import after a while, or lets it end. Returns its exit code, null if killed. */
async function ended(args: string[], ms: number, signal: NodeJS.Signals) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let err = ''
  child.stderr.on('data', (d: Buffer) => {
    err += d
  })
  const timer = setTimeout(() => child.kill(signal), ms)
  const [code] = await once(child, 'close')
  clearTimeout(timer)
  return { code: code as number | null, err }
}

const jsonl = rows
  .map((v, i) => JSON.stringify({ id: `k${i}`, vector: Array.from(v), n: i }))
  .join('\n')

for (const kind of ['row numbers', 'ids of its own'] as const) {
  test(`kill -9 at random times: ${kind}`, { timeout: 120_000 }, async () => {
    const next = random(runSeed(kind.length))
    const isNumbered = kind === 'row numbers'
    const name = fresh(isNumbered ? 'k.fvecs' : 'k.jsonl')
    writeFileSync(name, isNumbered ? fvecs(rows) : jsonl)
    const to = fresh()
    const args = ['import', name, '--to', to, ...small]
    const started = performance.now()
    await done(['import', name, '--to', fresh(), ...small])
    const whole = performance.now() - started
    let killed = 0
    let lastCount = 0
    // Sooner and sooner until one is: the machine may have been slower when it was measured.
    for (let i = 0; i < KILLS || (killed === 0 && i < KILLS + 20); i++) {
      const share = killed === 0 ? 0.6 / (1 + i) : 0.6
      const { code } = await ended(args, 100 + next() * whole * share, 'SIGKILL')
      if (code === null) killed += 1
      else assert.equal(code, 0)
      // Nothing that was stored is lost, and rows come in their order.
      const stored = await contents(to).catch(() => new Map())
      assert.ok(stored.size >= lastCount, `${stored.size} records after ${lastCount}`)
      lastCount = stored.size
    }
    const last = JSON.parse(await done([...args.slice(0, -1), '--json']))
    const [{ stored, alreadyStored }] = last.files
    assert.equal(stored + alreadyStored, ROWS)
    const found = await contents(to)
    assert.equal(found.size, ROWS)
    for (const [i, v] of rows.entries()) {
      const record = found.get(isNumbered ? i : `k${i}`)
      assert.deepEqual(record?.vector, Array.from(v))
    }
    assert.ok(killed >= 1, 'no process was killed in time')
  })
}

// The moment that matters: stored, and the ledger does not know yet.
test('a ledger that lags behind the database stores nothing twice', async () => {
  const name = fresh('lag.fvecs')
  writeFileSync(name, fvecs(rows))
  for (const lag of [150, 1000]) {
    const to = fresh()
    const args = ['import', name, '--to', to, ...small]
    const before = Math.max(1, 1000 - lag)
    await done([...args, '--limit', String(before)])
    const [ledger] = readdirSync(`${to}/imports`).map((f) => `${to}/imports/${f}`)
    const entry = JSON.parse(readFileSync(ledger, 'utf8'))
    assert.equal(entry.rows, before)
    await done([...args, '--limit', '1000'])
    const none = { rows: 0, lastId: null, sealSha256: null }
    const rest = lag === 1000 ? { ...entry, ...none } : entry
    writeFileSync(ledger, JSON.stringify({ ...rest, isDone: false }))
    // What was passed over is noted as well as what was stored.
    await done([...args, '--limit', '1000'])
    const noted = JSON.parse(readFileSync(ledger, 'utf8'))
    assert.deepEqual([noted.rows, noted.lastId], [1000, 999])
    writeFileSync(ledger, JSON.stringify({ ...rest, isDone: false }))
    const json = JSON.parse(await done([...args.slice(0, -1), '--json']))
    assert.deepEqual([json.count, json.files[0].stored], [ROWS, ROWS - 1000])
    const found = await contents(to)
    assert.deepEqual(found.get(ROWS - 1)?.vector, Array.from(rows[ROWS - 1]))
    // A ledger of something else is told, not followed.
    writeFileSync(ledger, '{')
    const { code, err } = await omendb(args)
    assert.equal(code, 1)
    assert.match(err, /ERR_FORMAT: .*imports.*no record of an import/)
  }
})

test('Ctrl-C stores what is whole, and tells how to go on', { timeout: 60_000 }, async () => {
  // A pipe that stays open: the import waits for more, and ends all the same.
  const to = fresh()
  const args = ['import', '-', '--format', 'jsonl', '--to', to, '--batch', '100', '--metric', 'l2']
  const child = spawn(process.execPath, [main, ...args], { stdio: 'pipe' })
  let err = ''
  child.stderr.on('data', (d: Buffer) => {
    err += d
  })
  child.stdin.on('error', () => {}) // It ends before it has read everything.
  const lines = jsonl.split('\n')
  // Blank lines fill the blocks that it reads.
  child.stdin.write(`${lines.slice(0, 2000).join('\n')}\n${'\n'.repeat(2 ** 21)}`)
  for (let stored = 0; stored < 2000; ) {
    assert.equal(child.exitCode, null, err)
    await new Promise((resolve) => setTimeout(resolve, 50))
    stored = await contents(to).then(
      (c) => c.size,
      () => 0,
    )
  }
  child.kill('SIGINT')
  const [code] = await once(child, 'close')
  assert.equal(code, 130, err)
  assert.match(err, /Ctrl-C again/)
  assert.match(err, /omendb: interrupted; 2000 rows of it are stored\. To go on, give it the same/)
  const json = JSON.parse(await done([...args, '--json'], jsonl))
  assert.deepEqual([json.count, json.files[0].stored], [ROWS, ROWS - 2000])
  assert.equal((await contents(to)).size, ROWS)
})

test('Ctrl-C in the middle of a file, again and again', { timeout: 60_000 }, async () => {
  const name = fresh('c.fvecs')
  writeFileSync(name, fvecs(rows))
  let to = fresh()
  let args = ['import', name, '--to', to, ...small]
  let interrupted = 0
  let delayMs = 350
  // How long it takes until it listens, and until it is done, is the machine's: found out.
  for (let i = 0; i < 12 && (i < 3 || interrupted === 0); i++) {
    const { code, err } = await ended(args, delayMs, 'SIGINT')
    if (code === 130 && /interrupted;/.test(err)) interrupted += 1
    else if (code === 0) {
      to = fresh()
      args = ['import', name, '--to', to, ...small]
      delayMs *= 0.7
    } else {
      assert.ok(code === null || code === 130, `${code} ${err}`)
      delayMs *= 1.4
    }
  }
  assert.ok(interrupted >= 1, 'no import was interrupted in time')
  const json = JSON.parse(await done([...args.slice(0, -1), '--json']))
  assert.equal(json.count, ROWS)
  assert.equal((await contents(to)).size, ROWS)
})
