// What a user writes, compiled against the packed declarations. It never runs.
//
// Each @ts-expect-error is a mistake that the types must catch; the compiler fails if it does not.
import {
  type CallOptions,
  type Collection,
  DB,
  type Filter,
  type Id,
  type LocalCollection,
  OmenError,
} from 'omendb'

interface Movie {
  title: string
  year: number
  genres: string[]
  released?: Date
  author: { name: string; born: number | null }
}
type Track = { artist: string; seconds: number }

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_: Same<A, B>): void {}

const query = new Float32Array(384)
declare const signal: NonNullable<CallOptions['signal']>

export async function interfaces(store: DB): Promise<void> {
  const movies = await store.collection<Movie>('movies', { dimensions: 384, metric: 'cosine' })
  const author = { name: 'n', born: null }
  const metadata = { title: 'a', year: 1999, genres: ['sf'], author }
  const id = await movies.add({ id: 1, vector: query, metadata })
  same<Id, typeof id>(true)
  const many: Id[] = await movies.add([{ vector: [1, 2], metadata }])
  await movies.upsert({ ids: many, vectors: query, metadata: [metadata] })
  await movies.addBatch([query, query], { onProgress: ({ done, total }) => void (done / total) })
  // @ts-expect-error: the metadata of another shape.
  await movies.add({ vector: query, metadata: { title: 'a' } })

  const hits = await movies.search(query, { k: 5, filter: { year: { $gte: 1999 }, genres: 'sf' } })
  same<Movie, (typeof hits)[number]['metadata']>(true)
  const bare = await movies.search(query, { include: 'none' })
  // @ts-expect-error: nothing was included.
  void bare[0]?.metadata
  const both = await movies.search(query, { include: ['metadata', 'vector'] })
  same<Float32Array, (typeof both)[number]['vector']>(true)
  same<Movie, (typeof both)[number]['metadata']>(true)

  const row = await movies.get(5)
  same<Movie, NonNullable<typeof row>['metadata']>(true)
  const rows = await movies.get([1, 'b', 3n])
  void rows[0]?.metadata.title
  await movies.update(1, { metadata: { year: 2000 }, unset: ['released'] })
  // @ts-expect-error: no such field.
  await movies.update(1, { metadata: { yeer: 2000 } })
  for await (const record of movies.records({ filter: { 'author.born': null } })) {
    void record.metadata.author.name
  }
  await store.collection<Movie>('movies', { createIfMissing: false, signal, timeoutMs: 10 })
  await store.createCollection('others', { dimensions: 3, signal })
  await store.dropCollection('others', { signal })
  // @ts-expect-error: what is done at once takes no signal.
  store.collectionSync('movies', { signal })
  const bound = { signal, timeoutMs: 10 }
  void [await store.stats(bound), await store.check(bound), await store.listCollections(bound)]
  await store.flush(bound)
  void ((await movies.has(1, { signal })) && (await movies.stats({ timeoutMs: 10 })).count)
  // @ts-expect-error: no such option.
  await movies.has(1, { include: 'none' })
  const remote: Collection<Movie> = movies
  void remote
}

export function filters(): void {
  const right: Filter<Movie>[] = [
    { year: 1999 },
    { year: { $in: [1999, 2000] } },
    { genres: { $contains: ['sf', 'noir'] } },
    { genres: 'sf' },
    { released: { $gt: new Date(0) } },
    { 'author.name': { $gte: 'a' } },
    { 'author.born': null },
    { $and: [{ year: 1 }, { $or: [{ title: 'a' }, { $not: { title: 'b' } }] }] },
    { $id: { $in: [1, 2] } },
  ]
  void right
  // @ts-expect-error: no such field.
  const field: Filter<Movie> = { yeer: 1999 }
  // @ts-expect-error: a number is compared with a string.
  const operand: Filter<Movie> = { year: { $gte: '1999' } }
  // @ts-expect-error: no such operator.
  const operator: Filter<Movie> = { year: { $near: 1999 } }
  // @ts-expect-error: no such path.
  const path: Filter<Movie> = { 'author.age': 3 }
  // @ts-expect-error: $contains is for arrays.
  const contains: Filter<Movie> = { title: { $contains: 'a' } }
  void [field, operand, operator, path, contains]
}

export function aliases(tracks: LocalCollection<Track>): void {
  const hits = tracks.searchSync(query, { filter: { seconds: { $lt: 200 } }, include: 'vector' })
  same<Float32Array, (typeof hits)[number]['vector']>(true)
  // @ts-expect-error: only the vector was included.
  void hits[0]?.metadata
  const found: number = tracks.searchInto(query, new Float64Array(10), new Float32Array(10))
  void found
}

export async function untyped(): Promise<void> {
  const db = new DB()
  await db.addBatch([[1, 2, 3]])
  const hits = await db.search([1, 2, 3], { filter: { anything: { $gte: 3 }, 'a.b.c': true } })
  void hits[0]?.metadata.anything.at.all
  const batch = await db.searchBatch(query, { k: 3 })
  const id: Id | undefined = batch.id(0, 0)
  void [id, batch.distances, batch.counts]
  // @ts-expect-error: no such metric.
  await db.collection('c', { metric: 'manhattan' })
  try {
    db.searchSync(query)
  } catch (error) {
    if (error instanceof OmenError && error.code === 'ERR_DIMENSIONS') void error.details.row
  }
  await db.close()
}
