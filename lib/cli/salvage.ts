/**
 * `omendb check PATH --salvage OUT`: a new database of what is readable of a damaged one.
 *
 * The work is the engine's; here is what it reports, for people and for programs.
 */

import type { NativeSalvage } from '../../types/native.js'
import { native } from '../native.js'
import { databasePath } from '../paths.js'
import { EXIT } from './exit.js'
import { counted, table } from './table.js'

const PROBLEMS_SHOWN = 20

export async function salvage(where: string, out: string, json: boolean): Promise<number> {
  const report = await native().salvage(databasePath(where), databasePath(out))
  if (json) process.stdout.write(`${JSON.stringify({ path: where, out, ...report })}\n`)
  else process.stdout.write(describe(where, out, report))
  return report.isWhole ? EXIT.ok : EXIT.failed
}

function describe(where: string, out: string, report: NativeSalvage): string {
  const rows = report.collections.map((c) => [
    c.name,
    c.records,
    c.hasOptions ? 'as stored' : 'unknown: guessed',
  ])
  let text = rows.length > 0 ? table(['collection', 'records', 'options'], rows) : ''
  for (const line of report.problems.slice(0, PROBLEMS_SHOWN)) text += `- ${line}\n`
  const more = report.problems.length - PROBLEMS_SHOWN
  if (more > 0) text += `- and ${counted(more, 'problem')} more: --json lists them\n`
  if (!report.hasTable) {
    text += 'The table of the snapshot is lost: records that had been deleted may be back.\n'
  }
  if (report.cutBytes > 0) {
    text += `Passed over ${counted(report.cutBytes, 'byte')} at the end of the log, which a crash `
    text += 'left torn.\n'
  }
  const verdict = report.isWhole ? 'Nothing is known to be lost.' : `Lost: ${lost(report)}.`
  return `${text}${verdict}\n${out} has what was readable of ${where}.\n`
}

function lost({ lost: l, collections }: NativeSalvage): string {
  const nameless = collections.filter((c) => !c.hasOptions).length
  const parts: [number, string, string?][] = [
    [l.files, 'file'],
    [l.tables, 'table of the snapshot', 'tables of the snapshot'],
    [l.extents, 'extent (up to 1024 records each)', 'extents (up to 1024 records each)'],
    [l.entries, 'entry of the log', 'entries of the log'],
    [l.updates, 'update of a lost record', 'updates of lost records'],
    [nameless, "collection's name and options", "collections' names and options"],
    [l.bytes, 'byte'],
  ]
  const there = parts.filter(([n]) => n > 0)
  return there.map(([n, one, many]) => counted(n, one, many)).join(', ')
}
