// Prints the sources of the addon for binding.gyp.
//
// Under CI, which compiles everything once, several files go to the compiler as one, as in
// CMakeLists.txt (OMENDB_UNITY), which takes half of the time; elsewhere a change shall compile one
// file. Not together: the kernels, whose pragmas choose an instruction set to the end of the file,
// and files that name a helper of their own alike.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const FILES_MAX = 8
const ALONE = /^csrc\/(memory|meta|napi|quant|simd)\/|\/(read|validate)[.]cc$/

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = readFileSync(path.join(root, 'csrc/sources.txt'), 'utf8').trim().split(/\s+/)

// What is written anew is compiled anew.
function writeIfOther(file, text) {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return
  writeFileSync(file, text)
}

function together() {
  const folder = 'build/together'
  mkdirSync(path.join(root, folder), { recursive: true })
  const joined = sources.filter((file) => !ALONE.test(file))
  const names = sources.filter((file) => ALONE.test(file))
  for (let at = 0; at < joined.length; at += FILES_MAX) {
    const name = `${folder}/${at / FILES_MAX}.cc`
    const lines = joined.slice(at, at + FILES_MAX).map((file) => `#include "../../${file}"\n`)
    writeIfOther(path.join(root, name), lines.join(''))
    names.push(name)
  }
  return names
}

console.log((process.env.CI ? together() : sources).join('\n'))
