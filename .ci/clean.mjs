// Removes folders that a build fills, so that nothing stale survives: node .ci/clean.mjs dist
import { rmSync } from 'node:fs'

for (const folder of process.argv.slice(2)) rmSync(folder, { recursive: true, force: true })
