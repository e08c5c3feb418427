// What the tests of the addon itself share: which file it is, how it is loaded without lib/.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import type { NativeAddon } from '../../dist/types/native.js'

export const root = path.resolve(__dirname, '../..')

/** The addon that lib/ would load in a checkout. */
export const addonPath = process.env.OMENDB_ADDON ?? path.join(root, 'build/Release/omendb.node')

/** The addon with pause points: OMENDB_ADDON if it has them, else the test-points preset's. */
export function pausingAddonPath(): string {
  const given = process.env.OMENDB_ADDON
  if (given !== undefined && loadAddon(given).testArm !== undefined) return given
  const built = path.join(root, 'out/test-points/omendb.node')
  assert.ok(existsSync(built), `${built} is missing: npm run test:native builds it`)
  return built
}

export function loadAddon(file = addonPath): NativeAddon {
  return require(path.resolve(file))
}
