/**
 * What `omendb/server` and `omendb-server` share, and tests reach: the build makes one file of it.
 */

export { readCommand, runCommand, SPELLINGS } from './command.js'
export { HANDLERS } from './handlers/index.js'
export { RunningServer } from './server.js'
