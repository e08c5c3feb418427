/** The standard health service: whether the database is open. */

import type { ConnectRouter, HandlerContext } from '@connectrpc/connect'
import { Code, ConnectError } from '@connectrpc/connect'
import {
  Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as Status,
} from '../wire/gen/grpc/health/v1/health_pb.js'
import { OmenDB } from '../wire/protocol.js'
import type { Engine } from './engine.js'

const WATCH_MS = 500

function isKnown({ service }: HealthCheckRequest): boolean {
  return service === '' || service === OmenDB.typeName || service === Health.typeName
}

function statusOf(engine: Engine): Status {
  return engine.isOpen ? Status.SERVING : Status.NOT_SERVING
}

/** Until then, or until the caller has gone. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}

export function addHealth(router: ConnectRouter, engine: Engine): void {
  router.service(Health, {
    check(request) {
      if (isKnown(request)) return { status: statusOf(engine) }
      throw new ConnectError(`there is no service ${request.service}`, Code.NotFound)
    },
    async *watch(request: HealthCheckRequest, { signal }: HandlerContext) {
      let told: Status | undefined
      while (!signal.aborted) {
        const status = isKnown(request) ? statusOf(engine) : Status.SERVICE_UNKNOWN
        if (status !== told) yield { status }
        told = status
        await wait(WATCH_MS, signal)
      }
    },
  })
}
