/**
 * `omendb check`: opens a database read-only, verifies it, and tells what it found.
 *
 * check() verifies what opening made of the files, and reads all of them again, for opening passes
 * over damage that it can mend and rows that no record has. Nothing is written, so that a database
 * may be checked beside the process that writes to it.
 */

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { CheckReport, Recovery } from '../../types/stats.js'
import { OmenError } from '../errors.js'
import { inWords, SHELL, toldIn } from '../words.js'
import type { Call } from './arguments.js'
import { EXIT } from './exit.js'
import { openDatabase } from './open.js'
import { print } from './output.js'
import { salvage } from './salvage.js'
import { counted, table } from './table.js'
import { errorToJson } from './wire.js'

export async function check(call: Call): Promise<number> {
  try {
    return await verifyOrSalvage(call)
  } catch (error) {
    // Nothing was looked at, which is neither well nor damaged.
    if (!(error instanceof OmenError)) throw error
    const told = toldIn(error, SHELL)
    process.stderr.write(
      call.json ? `${errorToJson(told)}\n` : `omendb: ${told.code}: ${told.message}\n`,
    )
    return EXIT.unusable
  }
}

async function verifyOrSalvage(call: Call): Promise<number> {
  const where = call.path
  const out = call.text('salvage')
  if (out !== undefined) return salvage(where, out, call.json)
  let found: Found
  try {
    found = await verify(where, call)
  } catch (error) {
    if (!(error instanceof OmenError) || !isDamage(where, error)) throw error
    return tellFault(where, error, call.json)
  }
  const ok = found.collections.every((c) => c.ok)
  if (call.json) await print(`${JSON.stringify({ path: where, ok, ...found })}\n`)
  else await print(describe(where, found, ok))
  return ok ? EXIT.ok : EXIT.failed
}

interface Found {
  collections: CheckReport[]
  recovery: Recovery | undefined
}

async function verify(where: string, call: Call): Promise<Found> {
  const db = await openDatabase(where, call, { readOnly: true })
  try {
    const { recovery } = await db.stats()
    const collections = (await db.check()).map((report) => {
      return { ...report, problem: inWords(report.problem, SHELL) }
    })
    return { collections, recovery }
  } finally {
    await db.close()
  }
}

/** Not so where there is no database at all: a file, or a directory of something else. */
function isDamage(where: string, error: OmenError): boolean {
  if (error.code === 'ERR_CORRUPT') return true
  return error.code === 'ERR_FORMAT' && existsSync(path.join(where, 'MANIFEST'))
}

function tellFault(where: string, error: OmenError, isJson: boolean): number {
  const { code, message } = toldIn(error, SHELL)
  if (isJson) {
    process.stdout.write(
      `${JSON.stringify({ path: where, ok: false, error: { code, message } })}\n`,
    )
  } else {
    // What to do is the next line.
    process.stderr.write(`omendb: ${code}: ${message.replace(/; restore a backup.*$/, '')}\n`)
    process.stderr.write(advice(where))
  }
  return EXIT.failed
}

function advice(where: string): string {
  return `Restore a backup, or rescue what is readable: omendb check ${where} --salvage OUT\n`
}

function describe(where: string, { collections, recovery }: Found, ok: boolean): string {
  const rows = collections.map((c) => [c.name, c.records, c.unreachable, c.problem || 'none'])
  let text = rows.length > 0 ? table(['collection', 'records', 'unreachable', 'problem'], rows) : ''
  if (recovery !== undefined) {
    text += `Opened ${counted(recovery.snapshotRecords, 'record')} of the snapshot, then replayed `
    text += `${counted(recovery.records, 'entry', 'entries')} of the log.\n`
    const rebuilt = recovery.rebuiltCollections
    if (rebuilt.length > 0) {
      const names = rebuilt.join(', ')
      text += `Built ${counted(rebuilt.length, 'graph')} anew (${names}): `
      text += 'none was stored, or whole.\n'
    }
    if (recovery.cutBytes > 0) {
      text += `Passed over ${counted(recovery.cutBytes, 'byte')} at the end of the log, which a `
      text += 'crash left torn; they were never acknowledged.\n'
    }
  }
  return `${text}${where} ${ok ? 'is whole.' : 'is damaged.'}\n${ok ? '' : advice(where)}`
}
