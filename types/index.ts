/** The public shapes. */

export type { ByteStream, ClientOptions } from './client.js'
export type * from './collection.js'
export type * from './database.js'
export type {
  Condition,
  Filter,
  IdOperators,
  LooseCondition,
  Operators,
  Path,
  PathValue,
} from './filter.js'
export type * from './options.js'
export type * from './records.js'
export type * from './stats.js'
export type * from './values.js'
