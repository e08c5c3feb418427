/**
 * The messages of proto/omendb/v1/omendb.proto, and what reads and writes them.
 *
 * Everything else imports from here: the build bundles this file with its library, which users of
 * the package then need not install.
 */

import type { OmenDB } from './gen/omendb/v1/omendb_pb.js'

export {
  create,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
export * from './gen/omendb/v1/omendb_pb.js'
/** The methods of the contract by name. */
export type GenMethods = (typeof OmenDB)['method']
