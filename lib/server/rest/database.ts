/** Routes of the database as a whole, of its collections, and of the server itself. */

import { Readable } from 'node:stream'
import { OmenError } from '../../errors.js'
import { plainOf } from '../../wire/messages.js'
import * as wire from '../../wire/protocol.js'
import { inWords, REST } from '../../words.js'
import { archive } from '../handlers/backup.js'
import * as database from '../handlers/database.js'
import type { Metrics } from '../metrics.js'
import { statsOf } from './json.js'
import { openApi } from './openapi.js'
import { type Asked, type Route, Written } from './route.js'
import * as s from './schemas.js'

async function open({ context, caller, body }: Asked, name: string, mode: wire.OpenMode) {
  const { name: _, schema, ...options } = body as s.CollectionBody & { name?: string }
  const given = schema === undefined ? options : { ...options, schema: JSON.stringify(schema) }
  const request = wire.create(wire.OpenCollectionRequestSchema, {
    name,
    mode,
    options: wire.create(wire.CollectionOptionsSchema, given),
  })
  const { dimensions } = await database.openCollection(context, caller, request)
  return { name, dimensions }
}

export function databaseRoutes(metrics: Metrics, all: () => readonly Route[]): readonly Route[] {
  return [
    {
      method: 'GET',
      url: '/healthz',
      summary: 'The process lives',
      access: 'none',
      answer: s.Answers.status,
      run: async () => ({ status: 'ok' }),
    },
    {
      method: 'GET',
      url: '/readyz',
      summary: 'The database is open, and requests are served',
      access: 'none',
      answer: s.Answers.status,
      async run({ context }) {
        if (context.engine.isOpen) return { status: 'ready' }
        throw new OmenError('ERR_UNAVAILABLE', 'the database is not open')
      },
    },
    {
      method: 'GET',
      url: '/metrics',
      summary: 'Metrics for Prometheus',
      access: 'read',
      answer: 'text',
      async run() {
        return new Written(metrics.contentType, await metrics.text())
      },
    },
    {
      method: 'GET',
      url: '/openapi.json',
      summary: 'This interface as OpenAPI 3.1',
      access: 'read',
      answer: s.Answers.stats,
      run: async () => openApi(all()),
    },
    {
      method: 'GET',
      url: '/v1/collections',
      summary: 'Names of all collections, sorted',
      access: 'read',
      answer: s.Answers.names,
      async run({ context, caller }) {
        const request = wire.create(wire.ListCollectionsRequestSchema)
        const { names } = await database.listCollections(context, caller, request)
        return { collections: names }
      },
    },
    {
      method: 'POST',
      url: '/v1/collections',
      summary: 'Creates a collection',
      access: 'write',
      body: s.NewCollectionBody,
      answer: s.Answers.opened,
      status: 201,
      run: async (asked) => open(asked, (asked.body as { name: string }).name, 1),
    },
    {
      method: 'PUT',
      url: '/v1/collections/:name',
      summary: 'Opens a collection, or creates it',
      access: 'read',
      body: s.CollectionBody,
      answer: s.Answers.opened,
      run: async (asked) => open(asked, asked.params.name, 0),
    },
    {
      method: 'GET',
      url: '/v1/collections/:name',
      summary: 'Options, counts and bytes of a collection',
      access: 'read',
      answer: s.Answers.stats,
      async run({ context, caller, params }) {
        const init = { collection: params.name }
        const request = wire.create(wire.GetCollectionStatsRequestSchema, init)
        return statsOf(await database.collectionStats(context, caller, request))
      },
    },
    {
      method: 'DELETE',
      url: '/v1/collections/:name',
      summary: 'Deletes a collection with all that is in it',
      access: 'write',
      answer: s.Answers.existed,
      async run({ context, caller, params }) {
        const request = wire.create(wire.DropCollectionRequestSchema, { name: params.name })
        const { existed } = await database.dropCollection(context, caller, request)
        return { existed }
      },
    },
    {
      method: 'GET',
      url: '/v1/stats',
      summary: 'Options, counts and bytes of all collections',
      access: 'read',
      answer: s.Answers.stats,
      async run({ context, caller }) {
        const request = wire.create(wire.GetDatabaseStatsRequestSchema)
        const found = await database.databaseStats(context, caller, request)
        const { collections: _, ...stats } = plainOf(found)
        return { ...stats, collections: found.collections.map(statsOf) }
      },
    },
    {
      method: 'POST',
      url: '/v1/flush',
      summary: 'Puts all that was written on the device',
      access: 'write',
      async run({ context, caller }) {
        await database.flush(context, caller, wire.create(wire.FlushRequestSchema))
      },
    },
    {
      method: 'GET',
      url: '/v1/check',
      summary: 'Verifies the invariants of every collection',
      access: 'read',
      answer: s.Answers.reports,
      async run({ context, caller }) {
        const request = wire.create(wire.CheckRequestSchema)
        const { reports } = await database.check(context, caller, request)
        return reports.map((report) => {
          return { ...plainOf(report), problem: inWords(report.problem, REST) }
        })
      },
    },
    {
      method: 'POST',
      url: '/v1/backup',
      summary: 'A consistent copy of the database, as a tar archive',
      access: 'write',
      answer: 'tar',
      async run({ context, caller }) {
        const pieces = archive(context, caller)
        // What fails at once is an answer; what fails later ends the connection.
        const first = await pieces.next()
        return new Written('application/x-tar', Readable.from(dataOf(first, pieces)))
      },
    },
  ]
}

async function* dataOf(
  first: IteratorResult<Uint8Array, undefined>,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, undefined> {
  if (first.done) return
  yield first.value
  yield* rest
}
