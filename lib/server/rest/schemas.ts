/**
 * Schemas of REST: what bodies and queries look like, for validation, types and OpenAPI alike.
 *
 * They judge shapes; what vectors, ids, metadata and filters of a body are is judged as it is for
 * everyone, with the codes of these faults: JUDGED_ELSEWHERE.
 */

import { type Static, type TSchema, Type } from '@sinclair/typebox'

/** Keys of bodies whose schemas are for the reader alone. */
export const JUDGED_ELSEWHERE = ['ids', 'vectors', 'vector', 'metadata', 'filter'] as const

const strict = { additionalProperties: false }

/** What an id may be, for messages. */
export const ID_FORMS = 'a text, an integer from 0, or {"$int": "..."} past 2^53 - 1'

export const IdJson = Type.Union(
  [
    Type.String(),
    Type.Integer({ minimum: 0 }),
    Type.Object({ $int: Type.String({ pattern: '^\\d{1,20}$' }) }, strict),
  ],
  { description: `An id: ${ID_FORMS}.` },
)
const VectorJson = Type.Union([Type.Array(Type.Number()), Type.String()], {
  description: 'Numbers, or float32 (little-endian) as base64.',
})
const VectorsJson = Type.Union(
  [
    Type.Array(Type.Union([Type.Array(Type.Number()), Type.String()])),
    Type.Array(Type.Number()),
    Type.String(),
  ],
  {
    description:
      'Vectors, or the numbers of all rows, or all rows of float32 (little-endian) as base64.',
  },
)
const MetadataJson = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  description: 'JSON; a date is {"$date": ISO}.',
})
export const FilterJson = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  description: 'As in docs/filters.md.',
})
export const IncludeJson = Type.Union(
  [Type.Literal('metadata'), Type.Literal('vector'), Type.Literal('both'), Type.Literal('none')],
  { description: 'What records bring along. Default: metadata.' },
)

const options = {
  dimensions: Type.Optional(Type.Integer({ minimum: 1, maximum: 16_384 })),
  metric: Type.Optional(Type.String({ description: 'cosine (default), l2, dot' })),
  quantization: Type.Optional(Type.String({ description: 'sq8 (default), none, binary' })),
  layout: Type.Optional(Type.String({ description: 'compact (default), fast' })),
  m: Type.Optional(Type.Integer()),
  efConstruction: Type.Optional(Type.Integer()),
  keepVectors: Type.Optional(Type.Boolean()),
  schema: Type.Optional(
    Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'Types by field.' }),
  ),
}
export const CollectionBody = Type.Object(options, strict)
export const NewCollectionBody = Type.Object({ name: Type.String(), ...options }, strict)

export const RowsBody = Type.Object(
  {
    ids: Type.Optional(Type.Array(IdJson)),
    vectors: VectorsJson,
    dimensions: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 16_384, description: 'Of base64, where not yet fixed.' }),
    ),
    metadata: Type.Optional(Type.Array(Type.Union([MetadataJson, Type.Null()]))),
  },
  strict,
)
export const GetBody = Type.Object(
  { ids: Type.Array(IdJson), include: Type.Optional(IncludeJson) },
  strict,
)
export const ChangeBody = Type.Object(
  {
    vector: Type.Optional(VectorJson),
    metadata: Type.Optional(MetadataJson),
    unset: Type.Optional(Type.Array(Type.String())),
  },
  strict,
)
export const DeleteBody = Type.Object(
  { ids: Type.Optional(Type.Array(IdJson)), filter: Type.Optional(FilterJson) },
  strict,
)
export const CountBody = Type.Object({ filter: Type.Optional(FilterJson) }, strict)

const search = {
  k: Type.Optional(Type.Integer({ description: 'Hits wanted, 1 to 10 000. Default 10.' })),
  ef: Type.Optional(
    Type.Integer({ description: 'Candidates, at most 10 000. Default max(64, k).' }),
  ),
  maxDistance: Type.Optional(Type.Number()),
  exact: Type.Optional(Type.Boolean()),
}
export const SearchBody = Type.Object(
  {
    vector: VectorJson,
    ...search,
    filter: Type.Optional(FilterJson),
    include: Type.Optional(IncludeJson),
  },
  strict,
)
export const ExplainBody = Type.Object(
  { vector: VectorJson, ...search, filter: Type.Optional(FilterJson) },
  strict,
)
export const SearchBatchBody = Type.Object(
  {
    vectors: VectorsJson,
    count: Type.Optional(Type.Integer()),
    ...search,
    filter: Type.Optional(FilterJson),
  },
  strict,
)
export const ScrollBody = Type.Object(
  {
    limit: Type.Integer({ description: 'Records of a page, 1 to 10 000.' }),
    cursor: Type.Optional(Type.String()),
    filter: Type.Optional(FilterJson),
    include: Type.Optional(IncludeJson),
  },
  strict,
)

const filterText = Type.Optional(Type.String({ description: 'JSON, URL-encoded.' }))
export const SearchQuery = Type.Object(
  { ...search, filter: filterText, include: Type.Optional(IncludeJson) },
  strict,
)
export const ExplainQuery = Type.Object({ ...search, filter: filterText }, strict)
export const SearchBatchQuery = Type.Object(
  { count: Type.Optional(Type.Integer()), ...search, filter: filterText },
  strict,
)
export const RowsQuery = Type.Object(
  { dimensions: Type.Optional(Type.Integer({ minimum: 1, maximum: 16_384 })) },
  strict,
)
export const GetQuery = Type.Object({ include: Type.Optional(IncludeJson) }, strict)
export const NoQuery = Type.Object({}, strict)
export const NoBody = Type.Object({}, strict)

export const NameParams = Type.Object({ name: Type.String() })
export const RecordParams = Type.Object({
  name: Type.String(),
  id: Type.String({ description: 'i:1 for the integer 1, s:abc for the text abc' }),
})

const RecordJson = Type.Object({
  id: IdJson,
  metadata: Type.Optional(MetadataJson),
  vector: Type.Optional(Type.Array(Type.Number())),
  approximate: Type.Optional(Type.Boolean()),
})
const HitJson = Type.Object({
  id: IdJson,
  distance: Type.Number(),
  metadata: Type.Optional(MetadataJson),
  vector: Type.Optional(Type.Array(Type.Number())),
  approximate: Type.Optional(Type.Boolean()),
})
export const Answers = {
  names: Type.Object({ collections: Type.Array(Type.String()) }),
  opened: Type.Object({ name: Type.String(), dimensions: Type.Integer() }),
  existed: Type.Object({ existed: Type.Boolean() }),
  ids: Type.Object({ ids: Type.Array(IdJson) }),
  record: RecordJson,
  found: Type.Object({ records: Type.Array(Type.Union([RecordJson, Type.Null()])) }),
  deleted: Type.Object({ deleted: Type.Integer() }),
  count: Type.Object({ count: Type.Integer() }),
  hits: Type.Object({ hits: Type.Array(HitJson) }),
  results: Type.Object({
    k: Type.Integer(),
    results: Type.Array(Type.Array(Type.Object({ id: IdJson, distance: Type.Number() }))),
    approximate: Type.Optional(Type.Boolean()),
  }),
  page: Type.Object({ records: Type.Array(RecordJson), next: Type.Optional(Type.String()) }),
  stats: Type.Unsafe<object>({ type: 'object', description: 'As stats() in docs/api.md.' }),
  plan: Type.Unsafe<object>({ type: 'object', description: 'As explain() in docs/api.md.' }),
  reports: Type.Unsafe<object[]>({ type: 'array', items: { type: 'object' } }),
  status: Type.Object({ status: Type.String() }),
  problem: Type.Object({
    type: Type.String(),
    title: Type.String({ description: 'What to do.' }),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: 'As in docs/errors.md.' }),
    row: Type.Optional(Type.Integer()),
    path: Type.Optional(Type.String()),
    id: Type.Optional(IdJson),
  }),
}

export type IncludeJson = Static<typeof IncludeJson>
/** A body as it came: what is judged elsewhere may be anything. */
type Came<T extends TSchema> = {
  [K in keyof Static<T>]: K extends (typeof JUDGED_ELSEWHERE)[number] ? unknown : Static<T>[K]
}
export type RowsBody = Came<typeof RowsBody>
export type GetBody = Came<typeof GetBody>
export type SearchBody = Came<typeof SearchBody>
export type ExplainBody = Came<typeof ExplainBody>
export type SearchBatchBody = Came<typeof SearchBatchBody>
export type ScrollBody = Came<typeof ScrollBody>
export type ChangeBody = Came<typeof ChangeBody>
export type DeleteBody = Came<typeof DeleteBody>
export type CountBody = Came<typeof CountBody>
export type CollectionBody = Static<typeof CollectionBody>
export type SearchQuery = Static<typeof SearchQuery>
export type ExplainQuery = Static<typeof ExplainQuery>
export type SearchBatchQuery = Static<typeof SearchBatchQuery>
