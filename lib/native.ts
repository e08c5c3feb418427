/**
 * The only loader of the addon.
 *
 * Why lazy: importing omendb must not fail where only its client or its types are wanted. The first
 * use of DB loads the addon, from the path in OMENDB_ADDON (for development: one .node file), else
 * from where node-gyp-build finds it.
 */

import path from 'node:path'
import { types } from 'node:util'
import type { NativeAddon } from '../types/native.js'
import { setImmediate } from './clock.js'
import { errorFromNative, OmenError } from './errors.js'
import { setProxyTest } from './kinds.js'

let addon: NativeAddon | undefined

/** The addon, loaded at the first call. Throws ERR_NATIVE. */
export function native(): NativeAddon {
  addon ??= load()
  return addon
}

function load(): NativeAddon {
  const file = process.env.OMENDB_ADDON
  try {
    const loaded: NativeAddon = file
      ? require(path.resolve(file))
      : require('node-gyp-build')(path.resolve(__dirname, '../..'))
    setProxyTest(types.isProxy)
    loaded.setErrorFactory(errorFromNative)
    loaded.setImmediate(setImmediate)
    return loaded
  } catch (cause) {
    if (cause instanceof OmenError) throw cause
    const reason = cause instanceof Error ? cause.message.trim() : String(cause)
    throw new OmenError(
      'ERR_NATIVE',
      `cannot load OmenDB's native part for ${process.platform}-${process.arch}, Node ` +
        `${process.versions.node}${file ? ` from ${file}` : ''}: ${reason}. Reinstall omendb; in ` +
        'a checkout, run `npm run build`; a bundler must leave `omendb` external.',
      { cause },
    )
  }
}
