/** The client alone, for browsers and Node: `omendb/client`. */

export type * from '../../types/index.js'
export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  type ErrorInfo,
  OmenError,
  type OmenErrorOptions,
} from '../errors.js'
export { Client } from './client.js'
