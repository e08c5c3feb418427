// Table: aligned columns and a progress bar for a terminal.
//
// Why: a demo is read by people. On a terminal the bar redraws itself in place; in a log, where a
// redrawn line would be hundreds of lines, it prints one line when it is done.

/** Aligns rows under a header: numbers to the right, text to the left. */
export function formatTable(header, rows) {
  const cells = [header, ...rows].map((row) => row.map(String))
  const widths = header.map((_, column) => Math.max(...cells.map((row) => width(row[column]))))
  const isNumeric = header.map((_, column) => rows.every((row) => /^[-~]?[\d.]/.test(row[column])))
  const line = (row) =>
    row
      .map((cell, column) => {
        const padding = ' '.repeat(widths[column] - width(cell))
        return isNumeric[column] ? padding + cell : cell + padding
      })
      .join('  ')
      .trimEnd()
  const rule = widths.map((n) => '-'.repeat(n)).join('  ')
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].join('\n')
}

/** Cuts a text to `chars`, at the end, with an ellipsis. */
export function clip(text, chars) {
  return text.length <= chars ? text : `${text.slice(0, chars - 1).trimEnd()}…`
}

/**
 * A bar for one long step: `bar.show(done)` as often as wanted, then `bar.finish('what came of
 * it')`.
 */
export function progressBar(label, total, stream = process.stdout) {
  const cells = 24
  let shown = -1
  const draw = (done, note) => {
    const filled = total === 0 ? cells : Math.round((cells * Math.min(done, total)) / total)
    const bar = '█'.repeat(filled) + '░'.repeat(cells - filled)
    const count = String(done).padStart(String(total).length)
    return `${label.padEnd(10)} ${bar} ${count}/${total} ${note}`
  }
  return {
    show(done) {
      const percent = total === 0 ? 100 : Math.floor((100 * done) / total)
      if (!stream.isTTY || percent === shown) return
      shown = percent
      stream.write(`\r\x1b[2K${draw(done, `${percent} %`)}`)
    },
    finish(note = '') {
      stream.write(`${stream.isTTY ? '\r\x1b[2K' : ''}${draw(total, note)}\n`)
    },
  }
}

/** Columns a text takes; wide scripts count double, as terminals draw them. */
function width(text) {
  let columns = 0
  for (const char of text)
    columns += /\p{Script=Han}|\p{Script=Hangul}|[぀-ヿ＀-｠]/u.test(char) ? 2 : 1
  return columns
}
