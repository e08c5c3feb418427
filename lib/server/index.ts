/** The server of omendb, as a part of a program: `omendb/server`. */

import type { Server, ServerOptions } from '../../types/server.js'
import { RunningServer } from './core.js'

export type * from '../../types/server.js'

/**
 * Starts a server on a database of its own, in memory or in `options.data`.
 *
 * @returns When the database is open and requests are served.
 * @throws {OmenError} ERR_ARGUMENT: an option, an address, a certificate; what `DB.open` throws:
 *   ERR_LOCKED, ERR_CORRUPT and so on.
 *
 * @example
 * const server = await createServer({ port: 8080, data: './movies.omendb' })
 * const client = new Client(server.url)
 */
export async function createServer(options?: ServerOptions): Promise<Server> {
  const server = await RunningServer.start(options)
  try {
    await server.ready
    return server
  } catch (error) {
    await server.close()
    throw error
  }
}
