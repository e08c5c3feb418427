// types/native.ts declares exactly what the addon exports: no name more, none less.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { addonPath, loadAddon, root } from './native-support.js'

const source = readFileSync(path.join(root, 'types/native.ts'), 'utf8')

/** Names of the members of an interface: two spaces deep, before `(`, `:` or `?`. */
function members(name: string): string[] {
  const start = source.indexOf(`export interface ${name} {`)
  assert.ok(start >= 0, `types/native.ts declares ${name}`)
  const body = source.slice(start, source.indexOf('\n}', start))
  const found = body.matchAll(/^ {2}(?:readonly )?([A-Za-z]+)\??[(:]/gm)
  return [...found].map((match) => match[1] as string).sort()
}

function methods(prototype: object): string[] {
  const own = Object.getOwnPropertyNames(prototype)
  return own.filter((name) => name !== 'constructor').sort()
}

const addon = loadAddon()
const database = new addon.Database()
const collection = database.collection('shape', {}, 0)
const batch = collection.beginWrite(0, 0, 0)

test('the exports are those of NativeAddon', () => {
  const declared = members('NativeAddon')
  const expected = declared.filter((name) => addon.testArm !== undefined || !/^test/.test(name))
  assert.deepEqual(Object.keys(addon).sort(), expected, addonPath)
})

for (const [name, prototype] of [
  ['NativeDatabase', addon.Database.prototype],
  ['NativeOperation', addon.Operation.prototype],
  ['NativeIdList', addon.IdList.prototype],
  ['NativeCollection', Object.getPrototypeOf(collection)],
  ['NativeWriteBatch', Object.getPrototypeOf(batch)],
] as [string, object][]) {
  test(`the members of ${name} are those declared`, () => {
    assert.deepEqual(methods(prototype), members(name))
  })
}

// Results too: a property misspelt in C++ would read as undefined in lib/.
test('results have the declared properties', async () => {
  const write = collection.beginWrite(0, 2, 2)
  write.stageVectors(0, 2, Float32Array.of(1, 0, 0, 1), 0)
  assert.deepEqual(Object.keys(write.commitSync()).sort(), members('NativeCommitResult'))
  const query = Float32Array.of(1, 0)
  const rows = collection.searchRowsSync(query, 2, 0, 0, Infinity, undefined, 3)
  const declared = members('NativeRows')
  for (const name of Object.keys(rows)) assert.ok(declared.includes(name), name)
  const plan = await collection.explain(query, 2, 0, 0, Infinity, undefined)
  assert.deepEqual(Object.keys(plan).sort(), members('NativePlan'))
  const stats = await collection.stats()
  const optional = ['schema', 'recovery', 'storage'] // No schema is given, and nothing is on disk.
  assert.deepEqual(
    Object.keys(stats).sort(),
    members('NativeCollectionStats').filter((name) => !optional.includes(name)),
  )
  assert.deepEqual(Object.keys(stats.bytes).sort(), members('NativeBytes'))
  assert.deepEqual(
    Object.keys(database.statsSync()).sort(),
    members('NativeDatabaseStats').filter((name) => !optional.includes(name)),
  )
  assert.deepEqual(Object.keys(await collection.check()).sort(), members('NativeCheckReport'))
  const hits = collection.searchBatchSync(query, 1, 2, 2, 0, 0, Infinity, undefined)
  const declaredHits = members('NativeBatch')
  for (const name of Object.keys(hits)) assert.ok(declaredHits.includes(name), name)
})
