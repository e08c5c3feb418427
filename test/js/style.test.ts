// The architecture as a test: floors, the one source list, sizes, banned calls.
//
// docs/architecture.md says why the house is built so; here is the table of who may include whom.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'

const root = path.resolve(__dirname, '../..')

// Rooms of the engine by floor. A room includes itself and floors below; never a room beside it.
const engineFloors = [
  ['base'],
  ['memory', 'simd', 'exec', 'io'],
  ['quant', 'graph', 'meta', 'storage'],
  ['db'],
  ['napi'],
]

// Modules of lib/ by floor. A module imports from its own floor and below; a directory is a module.
const libFloors = [
  ['clock', 'errors', 'text', 'kinds', 'words', 'progress'],
  ['native', 'options', 'paths', 'filter', 'ids', 'vectors', 'metadata', 'call'],
  ['rows', 'wire'],
  ['collection'],
  ['db', 'client'],
  ['server', 'index', 'console'],
  ['cli'],
]
// Client and console run in browsers: of lib/ they see these alone, and none of them knows Node.
const portable = ['clock', 'errors', 'text', 'kinds', 'options', 'filter', 'ids', 'vectors']
portable.push('metadata', 'progress', 'rows', 'wire', 'client', 'console')

const lineLimit = 100
const fileLimit = 600 // The aim is 400; past this a file certainly holds two ideas.

// What installs, builds and runs leave behind, and what protoc-gen-es writes. Listed here, and not
// asked of git, so that the tests also run in an unpacked archive.
const notSources =
  /(^|\/)node_modules\/|^lib\/wire\/gen\/|^(out|build|dist|prebuilds|bench\/(\.data|results))\//

/** Source files below a directory, relative to the root, with forward slashes. */
function filesBelow(directory: string, pattern: RegExp): string[] {
  const below = readdirSync(path.join(root, directory), { recursive: true, encoding: 'utf8' })
  return below
    .map((f) => `${directory}/${f.split(path.sep).join('/')}`)
    .filter((f) => pattern.test(f) && !notSources.test(f))
    .sort()
}

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')
const floorOf = (floors: string[][], room: string) => floors.findIndex((f) => f.includes(room))

/** C++ or TypeScript text without comments and string contents, its lines kept. */
function codeOf(text: string): string {
  const pattern = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g
  return text.replace(pattern, (m) => (m.startsWith('/') ? m.replace(/[^\n]/g, ' ') : '""'))
}

/** `file:line: text` of each line of the code that matches. */
function linesMatching(file: string, pattern: RegExp): string[] {
  const lines = codeOf(read(file)).split('\n')
  return lines.flatMap((line, i) =>
    pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [],
  )
}

// An include that climbs a floor, or reaches a room beside its own, is a cycle in the making.
test('the engine includes only from floors below', () => {
  const wrong: string[] = []
  for (const file of filesBelow('csrc', /\.(cc|h|inc)$/)) {
    const room = file.split('/')[1] as string
    const floor = floorOf(engineFloors, room)
    assert.notEqual(floor, -1, `${file}: no floor is known for its room`)
    for (const [, included] of read(file).matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)) {
      const target = (included as string).split('/')[0] as string
      if (!(included as string).includes('/')) wrong.push(`${file}: "${included}" names no room`)
      else if (target === room) continue
      else if (floorOf(engineFloors, target) === -1) wrong.push(`${file}: unknown room ${target}`)
      else if (floorOf(engineFloors, target) >= floor) wrong.push(`${file} includes ${included}`)
    }
  }
  assert.deepEqual(wrong, [])
})

// What the addon needs, only the addon's room may know.
test('only napi/ includes the headers of Node', () => {
  const wrong = filesBelow('csrc', /\.(cc|h|inc)$/).filter(
    (f) =>
      !f.startsWith('csrc/napi/') && /#\s*include\s+<(napi|node_api|node|uv|v8)\b/.test(read(f)),
  )
  assert.deepEqual(wrong, [])
})

// The same floors in TypeScript; a browser loads the client without the addon and without node:.
test('lib/ imports only from floors below, the client only what runs in a browser', () => {
  const wrong: string[] = []
  for (const file of filesBelow('lib', /\.ts$/)) {
    const module = (file.split('/')[1] as string).replace(/\.ts$/, '')
    const floor = floorOf(libFloors, module)
    assert.notEqual(floor, -1, `${file}: no floor is known for this module`)
    for (const [, , specifier] of read(file).matchAll(/(from|import|require)\s*\(?\s*'([^']+)'/g)) {
      const name = specifier as string
      if (portable.includes(module) && name.startsWith('node:'))
        wrong.push(`${file} imports ${name}`)
      if (!name.startsWith('.')) continue
      const target = path.relative('lib', path.join(path.dirname(file), name)).split(path.sep)
      if (target[0] === '..') continue // types/: below every floor.
      const other = (target[0] as string).replace(/\.js$/, '')
      if (portable.includes(module) && !portable.includes(other))
        wrong.push(`${file} imports ${name}`)
      if (floorOf(libFloors, other) > floor) wrong.push(`${file} imports ${name}`)
    }
  }
  for (const file of filesBelow('types', /\.ts$/)) {
    if (/from\s+'(?!\.\/|node:)/.test(read(file))) wrong.push(`${file} imports from above`)
  }
  assert.deepEqual(wrong, [])
})

// Both builds read this list: a file that is missing here is in neither, or in one only.
test('csrc/sources.txt lists every .cc once, floor by floor', () => {
  const listed = read('csrc/sources.txt').trim().split('\n')
  assert.deepEqual([...listed].sort(), filesBelow('csrc', /\.cc$/).sort())
  const floors = listed.map((f) => floorOf(engineFloors, f.split('/')[1] as string))
  assert.deepEqual(floors, [...floors].sort(), 'the list is not sorted by floor')
})

// Long lines and long files hide a second idea.
test('lines and files keep their sizes', () => {
  const wrong: string[] = []
  const code = ['csrc', 'lib', 'types', 'test', 'examples', 'bench', '.ci']
  const kinds = /\.(cc|h|inc|def|ts|mjs|cjs|sh|css|html)$/
  for (const file of code.flatMap((d) => filesBelow(d, kinds))) {
    const lines = read(file).split('\n')
    if (lines.length - 1 > fileLimit) wrong.push(`${file} has ${lines.length - 1} lines`)
    lines.forEach((line, i) => {
      const length = [...line.trimEnd()].length
      if (length > lineLimit) wrong.push(`${file}:${i + 1} has ${length} columns`)
    })
  }
  assert.deepEqual(wrong, [])
})

// A first comment says what a file is and why; a .cc leaves that to the header of its name.
test('every file of the engine opens with a comment, every header includes itself once', () => {
  const files = filesBelow('csrc', /\.(cc|h|inc)$/)
  const silent = files.filter((f) => !read(f).startsWith('//'))
  assert.deepEqual(
    silent.filter((f) => !files.includes(f.replace(/\.cc$/, '.h')) || f.endsWith('.h')),
    [],
  )
  assert.deepEqual(
    files.filter((f) => f.endsWith('.h') && !/^#pragma once$/m.test(read(f))),
    [],
  )
})

// Calls that overflow, hide state, or bring back what the build turned off.
test('banned calls are nowhere in the engine', () => {
  const unsafe = /\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atof|strtok|rand|srand|alloca)\s*\(/
  const exceptions = /\b(throw|try|catch|dynamic_cast|typeid)\b/
  const foreign = /\b(__int128|std::async)\b|\(\{.*;\s*\}\)/ // Not portable, or not our pool.
  const wrong = filesBelow('csrc', /\.(cc|h|inc|def)$/).flatMap((f) => [
    ...linesMatching(f, unsafe),
    ...linesMatching(f, exceptions),
    ...linesMatching(f, foreign),
  ])
  assert.deepEqual(wrong, [])
})

// Clock and randomness come in through constructors; only their own rooms may ask the system.
test('clocks and random devices stay in their rooms', () => {
  const pattern = /std::random_device|_clock::now\s*\(|\b(time|clock_gettime|getenv)\s*\(/
  const allowed = /^csrc\/(exec|io|simd|napi|base)\//
  const files = filesBelow('csrc', /\.(cc|h|inc)$/).filter((f) => !allowed.test(f))
  assert.deepEqual(
    files.flatMap((f) => linesMatching(f, pattern)),
    [],
  )
})

// A library does not write to its user's console, and types are not silenced.
test('lib/ and types/ print nothing and silence no check', () => {
  const files = ['lib', 'types'].flatMap((d) => filesBelow(d, /\.ts$/))
  const printing = files
    .filter((f) => !f.startsWith('lib/cli/') && f !== 'lib/server/command.ts')
    .flatMap((f) => linesMatching(f, /\bconsole\.|process\.std(out|err)\b/))
  const silenced = files.filter((f) => /@ts-(ignore|nocheck)|\bas any\b/.test(read(f)))
  assert.deepEqual([printing, silenced], [[], []])
})

// Files are finished: nothing says that something is still to be done.
test('no file carries a note of unfinished work', () => {
  const pattern = /\b(TO[D]O|FIX[M]E|XX[X])\b/
  const files = ['csrc', 'lib', 'types', 'test', 'examples', 'bench', '.ci', 'docs'].flatMap((d) =>
    filesBelow(d, /\.(cc|h|inc|def|ts|mjs|sh|md)$/),
  )
  assert.deepEqual(
    files.filter((f) => pattern.test(read(f))),
    [],
  )
})
