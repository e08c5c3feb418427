/**
 * Variables of the environment that begin with OMENDB_ and are none of the server's.
 *
 * One that looks like an option is refused, since it is most likely a slip, and so is one that
 * speaks of a key: a key that nobody reads leaves the server open. Others may be somebody else's
 * (orchestrators name services so): they are told, and ignored.
 */

import { argumentError } from '../options.js'

export type Environment = Readonly<Record<string, string | undefined>>

const PREFIX = 'OMENDB_'
/** Of the library and the command line, and of tests. */
const OTHERS = /^OMENDB_(ADDON|DEBUG|SIMD|THREADS|TEST_.*)$/
const SLIPS_MAX = 2

/** Names that nothing reads. */
export function unknownVariables(env: Environment, known: readonly string[]): string[] {
  const given = Object.keys(env).filter((name) => name.startsWith(PREFIX))
  return given.filter((name) => !known.includes(name) && !OTHERS.test(name))
}

/** Throws ERR_ARGUMENT, and names the option that was meant. */
export function refuseMisspelt(env: Environment, known: readonly string[]): void {
  for (const name of unknownVariables(env, known)) {
    const near = known
      .map((other) => ({ other, slips: distance(name, other) }))
      .reduce((best, next) => (next.slips < best.slips ? next : best))
    if (near.slips > SLIPS_MAX && !/KEY/.test(name)) continue
    throw argumentError(`${name} is no option of the server; ${near.other} is: is that meant?`)
  }
}

/** Letters to put in, take out or change: Wagner & Fischer 1974. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, change))
    }
    row = next
  }
  return row[b.length] as number
}
