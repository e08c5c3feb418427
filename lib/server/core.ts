/** What `omendb/server` and `omendb-server` share: the build makes one file of it. */

export { runCommand } from './command.js'
export { RunningServer } from './server.js'
