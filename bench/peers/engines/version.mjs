// The version of an installed peer: read from its package.json, which not every package exports.

import { readFileSync } from 'node:fs'

export function versionOf(name, folder = '..') {
  const url = new URL(`${folder}/node_modules/${name}/package.json`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')).version
}
