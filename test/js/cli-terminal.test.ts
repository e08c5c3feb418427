// What a person sees: the bar on a real terminal (a pty, by script of util-linux), and nothing of
// it in a pipe.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import test from 'node:test'
import { contents, fresh, fvecs, main, omendb, part } from './cli-support.js'
import { vectors } from './support.js'

const { fitted } = part<typeof import('../../dist/lib/cli/progress.js')>('progress.js')
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' })
const skip = /util-linux/.test(hasScript.stdout ?? '') ? false : 'script of util-linux is not here'

const ROWS = 20_000
const file = fresh('rows with 名前.fvecs')
writeFileSync(file, fvecs(vectors(ROWS, 32)))

interface Seen {
  code: number | null
  screen: string
}

/** Runs a command on a terminal of so many columns. @param onText  May type. */
function onTerminal(
  columns: number,
  args: string[],
  onText: (all: string, type: (keys: string) => void) => void = () => {},
): Promise<Seen> {
  const words = [process.execPath, main, ...args].map((w) => `'${w}'`).join(' ')
  const command = `stty cols ${columns} rows 24; exec ${words}`
  const child = spawn('script', ['-qefc', command, '/dev/null'], { stdio: 'pipe' })
  let screen = ''
  child.stdout.on('data', (text) => {
    screen += text
    onText(screen, (keys) => child.stdin.write(keys))
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, screen })))
}

const DRAWN = '\r\u001b[K'
const columnsOf = (text: string) =>
  [...text].reduce((sum, c) => sum + (/[\u2e80-\ua4cf]/.test(c) ? 2 : 1), 0)

for (const columns of [100, 40, 20]) {
  test(`the bar redraws in place in ${columns} columns`, { skip, timeout: 60_000 }, async () => {
    const args = ['import', file, '--to', fresh(), '--batch', '2000']
    const { code, screen } = await onTerminal(columns, args)
    assert.equal(code, 0, screen)
    const drawn = screen.split(DRAWN)
    assert.ok(drawn.length >= 4, JSON.stringify(screen))
    // Between two drawings there is the bar alone: no new line, nothing past the edge.
    for (const bar of drawn.slice(1, -1)) {
      assert.ok(!/[\r\n]/.test(bar), JSON.stringify(bar))
      assert.ok(columnsOf(bar) < columns, JSON.stringify(bar))
      if (bar !== '') assert.match(bar, columns === 100 ? /^\[#*-*\] \d+ % / : /^\d+ % /)
    }
    // The last one takes it away, and the answer stands on lines of its own.
    const last = drawn.at(-1) as string
    assert.ok(!last.includes('%') && last.endsWith('\n'), JSON.stringify(last))
    assert.match(last, /20,000|20000|20 000/)
  })
}

test('Ctrl-C says at once what happens, and ends after the batch', {
  skip,
  timeout: 60_000,
}, async () => {
  const to = fresh()
  let pressed = 0
  let said = 0
  const { code, screen } = await onTerminal(
    100,
    ['import', file, '--to', to, '--batch', '1000'],
    (all, type) => {
      if (said === 0 && all.includes('finishing the batch')) said = performance.now()
      if (pressed > 0 || !all.includes('%')) return
      pressed = performance.now()
      type('\x03')
    },
  )
  assert.ok(pressed > 0 && said > 0, screen)
  assert.match(screen, /finishing the batch; press Ctrl-C again to stop now\r\n/)
  assert.equal(code, 130, screen)
  const stored = await contents(to)
  assert.ok(stored.size > 0 && stored.size < ROWS && stored.size % 1000 === 0, `${stored.size}`)
  assert.ok(screen.endsWith('\n'))
})

test('in a pipe there is no bar', async () => {
  const { code, err } = await omendb(['import', file, '--to', fresh(), '--batch', '2000'])
  assert.equal(code, 0)
  for (const mark of ['\r', '\u001b', '[', '#']) assert.ok(!err.includes(mark), JSON.stringify(err))
})

test('what is shown fits, whatever its name', () => {
  for (const text of ['5 %  a.fvecs  12 rows', '5 %  名前名前名前.fvecs  12 rows', ''])
    for (let columns = 1; columns < 90; columns++)
      for (const share of [undefined, 0.05, 1]) {
        const shown = fitted(share, text, columns)
        assert.ok(columnsOf(shown) <= columns, JSON.stringify(shown))
        assert.ok(shown.endsWith(text) || text.startsWith(shown))
      }
})
