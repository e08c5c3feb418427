/** Paths of databases, as callers give them. */

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { argumentError } from './options.js'
import { describe } from './text.js'

/** A path, made independent of the working directory. `file:` URLs are taken too. */
export function databasePath(given: unknown): string {
  const value = given instanceof URL ? fileURLToPath(given) : given
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw argumentError(`the path of a database is a string without NUL, not ${describe(given)}`)
  }
  return path.resolve(value)
}
