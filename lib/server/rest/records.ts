/** Routes of records: what /v1/collections/{name}/... does. */

import { OmenError } from '../../errors.js'
import { generatedIds, idToJson } from '../../ids.js'
import { argumentError } from '../../options.js'
import { idsToMessage, idToMessage, integerOf, plainOf } from '../../wire/messages.js'
import * as wire from '../../wire/protocol.js'
import * as reads from '../handlers/reads.js'
import * as writes from '../handlers/writes.js'
import {
  batchOf,
  countOf,
  filterText,
  hitsText,
  idOfPath,
  idsOf,
  includeOf,
  metadataText,
  queriesOf,
  recordsOf,
  resultsOf,
  shapeOf,
  vectorBytes,
} from './json.js'
import { type Asked, JSON_TYPE, type Route, Written } from './route.js'
import * as s from './schemas.js'

const AT = '/v1/collections/:name'
export const SEARCH_URL = `${AT}/search`

type SearchParts = Pick<s.SearchBody, 'k' | 'ef' | 'maxDistance' | 'exact'>

function searchInit({ k, ef, maxDistance, exact }: SearchParts, filter: string | undefined) {
  const given = { k, ef, maxDistance, exact, filter }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function explainRequest({ params, body, bytes, query }: Asked): wire.SearchRequest {
  const asked = bytes === undefined ? (body as s.ExplainBody) : (query as s.ExplainQuery)
  const filter = bytes === undefined ? filterText(asked.filter) : (asked.filter as string)
  return wire.create(wire.SearchRequestSchema, {
    collection: params.name,
    query: bytes ?? vectorBytes((body as s.ExplainBody).vector),
    ...searchInit(asked, filter),
  })
}

const HITS_TEXT: reads.Making<string> = { form: 'json', makes: hitsText }

/** The hits as JSON text, made without objects where they have neither metadata nor vectors. */
async function search(asked: Asked): Promise<Written> {
  const { params, body, bytes, query, context, caller } = asked
  const given = bytes === undefined ? (body as s.SearchBody) : (query as s.SearchQuery)
  const { k, ef, maxDistance, exact } = given
  const request = {
    collection: params.name,
    query: bytes ?? vectorBytes((body as s.SearchBody).vector),
    include: includeOf(given.include),
    filter: bytes === undefined ? filterText(given.filter) : (given.filter as string),
    k,
    ef,
    maxDistance,
    exact,
  }
  return new Written(JSON_TYPE, await reads.searchAs(context, caller, request, HITS_TEXT))
}

async function searchBatch({ context, caller, params, body, bytes, query }: Asked) {
  const asked = bytes === undefined ? (body as s.SearchBatchBody) : (query as s.SearchBatchQuery)
  const { dimensions } = context.engine.collection(params.name)
  const filter = bytes === undefined ? filterText(asked.filter) : (asked.filter as string)
  const given =
    bytes === undefined
      ? queriesOf((body as s.SearchBatchBody).vectors, { rows: asked.count ?? 0, dimensions })
      : { bytes, rows: countOf(bytes, asked.count, dimensions) }
  if (asked.count !== undefined && asked.count !== given.rows) {
    throw argumentError(`count is ${asked.count}, and ${given.rows} queries came`)
  }
  const { k } = reads.searchOf({ ...searchInit(asked, filter) }, context.limits)
  if (given.rows === 0) return { k, results: [] }
  const request = wire.create(wire.SearchBatchRequestSchema, {
    collection: params.name,
    queries: given.bytes,
    count: given.rows,
    ...searchInit(asked, filter),
  })
  return resultsOf(await reads.searchBatch(context, caller, request))
}

function store(kind: wire.WriteKind) {
  return async ({ context, caller, params, body, bytes, query }: Asked): Promise<object> => {
    const known = context.engine.collection(params.name).dimensions
    const rows =
      bytes === undefined
        ? batchOf(body as s.RowsBody, known)
        : {
            batch: wire.create(wire.BatchSchema, { vectors: bytes }),
            ids: undefined,
            ...shapeOf(bytes.length, (query as { dimensions?: number }).dimensions ?? known),
          }
    if (rows.rows === 0) return { ids: [] }
    const request = wire.create(wire.WriteRequestSchema, {
      collection: params.name,
      kind,
      rows: rows.rows,
      dimensions: rows.dimensions,
      batch: rows.batch,
    })
    const { firstGeneratedId = 0n } = await writes.write(context, caller, request)
    const ids = rows.ids ?? generatedIds(integerOf(firstGeneratedId), rows.rows)
    return { ids: ids.map(idToJson) }
  }
}

async function remove(asked: Asked, which: wire.DeleteRequest['which']): Promise<object> {
  const { context, caller, params } = asked
  const request = wire.create(wire.DeleteRequestSchema, { collection: params.name, which })
  return { deleted: Number((await writes.remove(context, caller, request)).deleted) }
}

export const RECORD_ROUTES: readonly Route[] = [
  {
    method: 'POST',
    url: `${AT}/records`,
    summary: 'Adds records, all or none',
    access: 'write',
    body: s.RowsBody,
    binaryQuery: s.RowsQuery,
    answer: s.Answers.ids,
    status: 201,
    run: store(wire.WriteKind.UNSPECIFIED),
  },
  {
    method: 'PUT',
    url: `${AT}/records`,
    summary: 'Adds or replaces records, all or none',
    access: 'write',
    body: s.RowsBody,
    binaryQuery: s.RowsQuery,
    answer: s.Answers.ids,
    run: store(wire.WriteKind.UPSERT),
  },
  {
    method: 'GET',
    url: `${AT}/records/:id`,
    summary: 'Reads one record',
    access: 'read',
    query: s.GetQuery,
    answer: s.Answers.record,
    async run({ context, caller, params, query }) {
      const id = idOfPath(params.id)
      const include = includeOf((query as { include?: s.IncludeJson }).include)
      const ids = idsToMessage([id])
      const init = { collection: params.name, ids, include }
      const request = wire.create(wire.GetRequestSchema, init)
      const [record] = recordsOf(await reads.get(context, caller, request), include, [id])
      if (record) return record
      throw new OmenError('ERR_NOT_FOUND', 'there is no record of this id', { details: { id } })
    },
  },
  {
    method: 'POST',
    url: `${AT}/records/get`,
    summary: 'Reads records by id, in the order asked; null where there is none',
    access: 'read',
    body: s.GetBody,
    answer: s.Answers.found,
    async run({ context, caller, params, body }) {
      const { ids: given, include: asked } = body as s.GetBody
      const ids = idsOf(given)
      const include = includeOf(asked)
      const init = { collection: params.name, ids: idsToMessage(ids), include }
      const request = wire.create(wire.GetRequestSchema, init)
      return { records: recordsOf(await reads.get(context, caller, request, 'json'), include, ids) }
    },
  },
  {
    method: 'PATCH',
    url: `${AT}/records/:id`,
    summary: 'Changes one record: its vector, some keys of its metadata',
    access: 'write',
    body: s.ChangeBody,
    async run({ context, caller, params, body }) {
      const { vector, metadata, unset } = body as s.ChangeBody
      const text = metadata === undefined ? undefined : metadataText(metadata)
      const request = wire.create(wire.UpdateRequestSchema, {
        collection: params.name,
        id: idToMessage(idOfPath(params.id)),
        ...(vector === undefined ? {} : { vector: vectorBytes(vector) }),
        ...(text === undefined ? {} : { metadata: text }),
        unset: unset ?? [],
      })
      await writes.update(context, caller, request)
    },
  },
  {
    method: 'DELETE',
    url: `${AT}/records/:id`,
    summary: 'Deletes one record',
    access: 'write',
    answer: s.Answers.deleted,
    run: async (asked) =>
      remove(asked, { case: 'ids', value: idsToMessage([idOfPath(asked.params.id)]) }),
  },
  {
    method: 'DELETE',
    url: `${AT}/records`,
    summary: 'Deletes records by ids or by a filter',
    access: 'write',
    body: s.DeleteBody,
    answer: s.Answers.deleted,
    async run(asked) {
      const { ids, filter } = asked.body as s.DeleteBody
      if ((ids === undefined) === (filter === undefined)) {
        throw argumentError('delete takes `ids` or `filter`, one of the two')
      }
      if (ids === undefined) {
        return remove(asked, { case: 'filter', value: filterText(filter) as string })
      }
      return remove(asked, { case: 'ids', value: idsToMessage(idsOf(ids)) })
    },
  },
  {
    method: 'POST',
    url: `${AT}/records/scroll`,
    summary: 'Reads a page of records',
    access: 'read',
    body: s.ScrollBody,
    answer: s.Answers.page,
    async run({ context, caller, params, body }) {
      const { limit, cursor, filter, include: asked } = body as s.ScrollBody
      if (limit < 1) throw argumentError(`limit is an integer from 1 to 10000, not ${limit}`)
      const text = filterText(filter)
      const include = includeOf(asked)
      const request = wire.create(wire.ScrollRequestSchema, {
        collection: params.name,
        limit: Math.min(limit, 2 ** 31),
        include,
        ...(cursor === undefined ? {} : { cursor }),
        ...(text === undefined ? {} : { filter: text }),
      })
      const { rows, next } = await reads.scroll(context, caller, request, 'json')
      const records = recordsOf(rows ?? wire.create(wire.RowsSchema), include)
      return next === undefined ? { records } : { records, next }
    },
  },
  {
    method: 'POST',
    url: `${AT}/count`,
    summary: 'Counts records, all or those that match',
    access: 'read',
    body: s.CountBody,
    answer: s.Answers.count,
    async run({ context, caller, params, body }) {
      const filter = filterText((body as s.CountBody).filter)
      const init = { collection: params.name, ...(filter === undefined ? {} : { filter }) }
      const request = wire.create(wire.CountRequestSchema, init)
      return { count: Number((await reads.count(context, caller, request)).count) }
    },
  },
  {
    method: 'POST',
    url: SEARCH_URL,
    summary: 'Finds the records nearest to a vector',
    access: 'read',
    body: s.SearchBody,
    binaryQuery: s.SearchQuery,
    answer: s.Answers.hits,
    run: search,
  },
  {
    method: 'POST',
    url: `${AT}/search/batch`,
    summary: 'Searches for many vectors at once',
    access: 'read',
    body: s.SearchBatchBody,
    binaryQuery: s.SearchBatchQuery,
    answer: s.Answers.results,
    run: searchBatch,
  },
  {
    method: 'POST',
    url: `${AT}/explain`,
    summary: 'Searches, and tells how',
    access: 'read',
    body: s.ExplainBody,
    binaryQuery: s.ExplainQuery,
    answer: s.Answers.plan,
    run: async (asked) =>
      plainOf(await reads.explain(asked.context, asked.caller, explainRequest(asked))),
  },
  {
    method: 'POST',
    url: `${AT}/clear`,
    summary: 'Deletes every record; options stay',
    access: 'write',
    async run({ context, caller, params }) {
      const request = wire.create(wire.ClearRequestSchema, { collection: params.name })
      await writes.clear(context, caller, request)
    },
  },
  {
    method: 'POST',
    url: `${AT}/optimize`,
    summary: 'Takes deleted records out of the graph, and renews it after many writes',
    access: 'write',
    async run({ context, caller, params }) {
      const request = wire.create(wire.OptimizeRequestSchema, { collection: params.name })
      await writes.optimize(context, caller, request)
    },
  },
]
