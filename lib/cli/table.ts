/** Tables for people: columns as wide as what is in them, numbers to the right. */

export type Cell = string | number

export function table(head: string[], rows: Cell[][]): string {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => String(row[i]).length)),
  )
  const line = (cells: Cell[]): string =>
    cells
      .map((cell, i) => {
        const width = widths[i] as number
        return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return `${[line(head), ...rows.map(line)].join('\n')}\n`
}

/** `1 extent`, `2 extents`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}
