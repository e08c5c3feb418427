// Report: one JSON file and one Markdown file per section under bench/results, and the same tables
// on the terminal.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { machineLine, ROOT } from './machine.mjs'

export const RESULTS = join(ROOT, 'bench', 'results')

/** A Markdown table whose columns also line up as plain text. */
export function markdownTable(header, rows) {
  const cells = [header, ...rows].map((row) => row.map((cell) => String(cell ?? '')))
  const widths = header.map((_, column) => Math.max(3, ...cells.map((row) => row[column].length)))
  const isNumeric = header.map((_, column) =>
    cells.slice(1).every((row) => /^(-|~)?[\d.]|^-?$/.test(row[column])),
  )
  const pad = (cell, column) =>
    isNumeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])
  const line = (row) => `| ${row.map(pad).join(' | ')} |`
  const rule = widths.map((n, column) =>
    isNumeric[column] ? `${'-'.repeat(n - 1)}:` : '-'.repeat(n),
  )
  return [line(cells[0]), `| ${rule.join(' | ')} |`, ...cells.slice(1).map(line)].join('\n')
}

/** 12345.6 -> "12,346"; smaller fractions keep three digits. */
export function number(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return '-'
  if (Number.isInteger(value)) return value.toLocaleString('en')
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export function recall(value) {
  return value === undefined || Number.isNaN(value) ? '-' : value.toFixed(4)
}

/** 0.125 -> "13 %". */
export function percent(share) {
  return share === undefined ? '-' : `${Math.round(100 * share)} %`
}

/**
 * Prints a section's tables and writes `<name>.json` and `<name>.md`.
 *
 * @param page.machine  describeMachine() of when the section began.
 */
export function writeSection(name, { machine, title, notes = [], tables, data }) {
  const body = tables
    .map(({ caption, header, rows }) => `### ${caption}\n\n${markdownTable(header, rows)}`)
    .join('\n\n')
  const remarks = notes.map((note) => `- ${note}`).join('\n')
  const parts = [`## ${title}`, machineLine(machine), body, ...(remarks === '' ? [] : [remarks])]
  const markdown = `${parts.join('\n\n')}\n`
  console.log(`\n${markdown}`)
  writeResult(`${name}.json`, `${JSON.stringify({ section: name, machine, ...data }, null, 2)}\n`)
  writeResult(`${name}.md`, markdown)
}

/** Writes a file under bench/results whole or not at all. */
export function writeResult(file, text) {
  mkdirSync(RESULTS, { recursive: true })
  const path = join(RESULTS, file)
  writeFileSync(`${path}.tmp`, text)
  renameSync(`${path}.tmp`, path)
}
