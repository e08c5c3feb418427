// Builds the addon with node-gyp into build/Release, as a checkout has it.
//
// Why a script: Node's headers mostly lie beside the running node, and then nothing is downloaded.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
const prefix = path.resolve(process.execPath, process.platform === 'win32' ? '..' : '../..')
const args = [gyp, 'configure', 'build', `--jobs=${availableParallelism()}`, '--loglevel=warn']
if (existsSync(path.join(prefix, 'include/node/node_api.h'))) args.push(`--nodedir=${prefix}`)

const { status, error } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
if (error) throw error
process.exit(status ?? 1)
