/** Paths of databases, as callers give them. */

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { argumentError } from './options.js'
import { describe } from './text.js'

function fromUrl(url: URL): string {
  try {
    return fileURLToPath(url)
  } catch {
    throw argumentError(
      `the path of a database is a file: URL of this host (file:///...), not ${url.href}`,
    )
  }
}

function absolute(given: string): string {
  try {
    return path.resolve(given)
  } catch {
    throw argumentError(
      `${given} is relative to a working directory that is gone: pass an absolute path`,
    )
  }
}

/** A path, made independent of the working directory. `file:` URLs are taken too. */
export function databasePath(given: unknown): string {
  const value = given instanceof URL ? fromUrl(given) : given
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw argumentError(`the path of a database is a string without NUL, not ${describe(given)}`)
  }
  // SQLite's word for it, which would be the name of a directory here.
  if (value === ':memory:') {
    throw argumentError('a database in memory has no path: new DB(), or ./:memory: for a directory')
  }
  return absolute(value)
}
