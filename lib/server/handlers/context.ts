/** What all handlers work with. */

import type { Engine } from '../engine.js'
import type { Gate } from '../gate.js'
import type { Pending } from '../pending.js'
import type { Requests } from '../requests.js'
import type { Limits } from '../settings.js'

export interface Context {
  readonly engine: Engine
  readonly limits: Limits
  readonly gate: Gate
  readonly pending: Pending
  readonly requests: Requests
}
