/** Metrics for Prometheus: requests and how long they took, and what the database holds. */

import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { nowMs } from '../clock.js'
import type { Engine } from './engine.js'
import type { Exchange } from './exchange.js'
import type { Gate } from './gate.js'
import type { Context } from './handlers/context.js'
import type { Pending } from './pending.js'
import type { Requests } from './requests.js'

const SECONDS = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30]
const LABELS = ['transport', 'method', 'code'] as const

interface Child {
  readonly requests: Counter.Internal
  readonly seconds: { observe(seconds: number): void }
}

export class Metrics {
  readonly #registry = new Registry()
  readonly #requests: Counter<(typeof LABELS)[number]>
  readonly #seconds: Histogram<'transport' | 'method'>
  /** What the labels of an exchange mean, found once. */
  readonly #children = new Map<string, Child>()
  readonly #engine: Engine
  readonly #gate: Gate
  readonly #pending: Pending
  readonly #remembered: Requests

  constructor({ engine, gate, pending, requests }: Context) {
    const registers = [this.#registry]
    this.#engine = engine
    this.#gate = gate
    this.#pending = pending
    this.#remembered = requests
    this.#requests = new Counter({
      name: 'omendb_requests_total',
      help: 'Requests answered, by transport, method and code (OK or an error code).',
      labelNames: LABELS,
      registers,
    })
    this.#seconds = new Histogram({
      name: 'omendb_request_seconds',
      help: 'Time from the headers of a request to the end of its answer.',
      labelNames: ['transport', 'method'],
      buckets: SECONDS,
      registers,
    })
  }

  observe({ transport, method, code, startMs }: Exchange): void {
    const seconds = (nowMs() - startMs) / 1000
    const key = `${transport} ${method} ${code}`
    let child = this.#children.get(key)
    if (child === undefined) {
      // As few as there are methods and codes: callers cannot add any.
      const requests = this.#requests.labels({ transport, method, code })
      child = { requests, seconds: this.#seconds.labels({ transport, method }) }
      this.#children.set(key, child)
    }
    child.requests.inc()
    child.seconds.observe(seconds)
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE

  async text(): Promise<string> {
    const { collections, bytes, bytesLimit, storage } = await this.#engine.database.stats()
    // Gauges are made for each answer, so that collections that are gone are gone here too.
    const state = new Registry()
    const gauge = (name: string, help: string, value: number): void => {
      new Gauge({ name, help, registers: [state] }).set(value)
    }
    const rows = new Gauge({
      name: 'omendb_rows',
      help: 'Live records of a collection.',
      labelNames: ['collection'],
      registers: [state],
    })
    const memory = new Gauge({
      name: 'omendb_collection_bytes',
      help: 'Bytes of a collection in memory.',
      labelNames: ['collection'],
      registers: [state],
    })
    const writes = new Gauge({
      name: 'omendb_pending_writes',
      help: 'Writes of a collection that wait or are at work, uploads from their beginning.',
      labelNames: ['collection'],
      registers: [state],
    })
    for (const { name, count, bytes: used } of collections) {
      rows.set({ collection: name }, count)
      memory.set({ collection: name }, used.total)
      writes.set({ collection: name }, this.#pending.writes(name))
    }
    gauge('omendb_memory_bytes', 'Bytes of all collections in memory.', bytes)
    gauge('omendb_memory_limit_bytes', 'What they may take; 0: no limit.', bytesLimit)
    gauge('omendb_running_requests', 'Requests at work.', this.#gate.running)
    gauge('omendb_remembered_writes', 'Writes whose ids are remembered.', this.#remembered.size)
    if (storage !== undefined) {
      gauge('omendb_wal_bytes', 'Bytes of the log behind the snapshot.', storage.logBytes)
      gauge('omendb_snapshot_bytes', 'Bytes of the snapshot.', storage.snapshotBytes)
      gauge('omendb_checkpoints', 'Snapshots written since the start.', storage.checkpoints)
      const failed = storage.checkpointError === '' ? 0 : 1
      gauge('omendb_checkpoint_failed', '1 if the last snapshot could not be written.', failed)
    }
    return `${await this.#registry.metrics()}\n${await state.metrics()}`
  }
}
