/** The public interface of omendb. */

export type * from '../types/index.js'
export { Client } from './client/client.js'
export { DB } from './db.js'
export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  type ErrorInfo,
  OmenError,
  type OmenErrorOptions,
} from './errors.js'
