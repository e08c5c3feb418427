// The types of filters, rows and options, beyond what test/types compiles against the package.
//
// Compiling this file is the test: each @ts-expect-error is a mistake that the types must catch.
import type { Condition, DB, Filter, Hit, LocalCollection, Path, PathValue, Row } from 'omendb'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_: Same<A, B>): void {}

interface Deep {
  a: { b: { c: { d: { e: { f: number } } } } }
  kind: 'film' | 'book'
  flag: boolean
  either: string | { city: string }
  maybe?: { at: Date | null }
  list: (string | number)[]
  objects: { x: number }[]
  readonly fixed: readonly Date[]
  method(): void
  big: bigint
  unknown: unknown
}

same<Extract<Path<Deep>, `a${string}`>, 'a' | 'a.b' | 'a.b.c' | 'a.b.c.d' | 'a.b.c.d.e'>(true)
same<Extract<Path<Deep>, `either${string}`>, 'either' | 'either.city'>(true)
same<Extract<Path<Deep>, `maybe${string}`>, 'maybe' | 'maybe.at'>(true)
same<Extract<Path<Deep>, `objects${string}`>, 'objects'>(true)
same<PathValue<Deep, 'either.city'>, string>(true)
type Either = { kind: 'a'; a: { n: number } } | { kind: 'b'; b: string }
same<Path<Either>, 'kind' | 'a' | 'a.n' | 'b'>(true)
same<PathValue<Either, 'kind'>, 'a' | 'b'>(true)
same<PathValue<Either, 'a.n'>, number>(true)
same<PathValue<Deep, 'maybe.at'>, Date | null>(true)
same<Hit<{ t: string }, 'none'>, { id: Hit<object>['id']; distance: number; approximate?: true }>(
  true,
)
same<keyof Row<Deep, 'vector'>, 'id' | 'vector' | 'approximate'>(true)
same<keyof Row<Deep, ('vector' | 'metadata')[]>, 'id' | 'vector' | 'metadata' | 'approximate'>(true)
same<keyof Row<Deep>, 'id' | 'metadata'>(true)

export const right: Filter<Deep>[] = [
  { kind: 'film' },
  { kind: { $in: ['film', 'book'], $gt: 'anything' } },
  { flag: true },
  { either: 'here', 'either.city': { $ne: 'there' } },
  { 'maybe.at': { $gte: new Date(), $not: { $lt: new Date() } } },
  { 'maybe.at': null },
  { list: 'a' },
  { list: { $contains: ['a', 1], $lt: 5 } },
  { objects: { $exists: true } },
  { fixed: { $contains: new Date() } },
  { a: { $exists: false } },
  { unknown: { $exists: true } },
  { $id: { $gte: 5n, $nin: new Uint32Array(1), $not: { $in: [1] } } },
  { $and: [{ flag: true }, { $or: [{ kind: 'film' }] }], $not: { flag: false } },
]

export const rightOfUnion: Filter<Either>[] = [
  { kind: 'a', 'a.n': { $gt: 1 } },
  { $or: [{ b: 'x' }, { a: { $exists: true } }] },
]

export const wrongOfUnion: Filter<Either>[] = [
  // @ts-expect-error: no part has the field.
  { c: 1 },
  // @ts-expect-error: a string in the one part that has it.
  { b: 5 },
]

export const wrong: Filter<Deep>[] = [
  // @ts-expect-error: no such value.
  { kind: 'song' },
  // @ts-expect-error: no such value in the list.
  { kind: { $in: ['film', 'song'] } },
  // @ts-expect-error: booleans have no order.
  { flag: { $gt: false } },
  // @ts-expect-error: a date is compared with a date.
  { 'maybe.at': '2020-01-01' },
  // @ts-expect-error: the field is never null.
  { flag: null },
  // @ts-expect-error: no such element.
  { list: { $contains: true } },
  // @ts-expect-error: arrays of objects are not indexed.
  { objects: { $contains: { x: 1 } } },
  // @ts-expect-error: a bare array is no operand.
  { list: ['a'] },
  // @ts-expect-error: objects are not compared.
  { a: { b: { c: 1 } } },
  // @ts-expect-error: a bigint is no metadata.
  { big: 5n },
  // @ts-expect-error: an inner mistake.
  { $or: [{ flag: true }, { $not: { falg: true } }] },
  // @ts-expect-error: $contains is not for ids.
  { $id: { $contains: 1 } },
]

// An alias, a class and a record type are as good as an interface.
class Song {
  title = ''
  seconds = 0
}
type Loose = Record<string, string>
export const others: [Filter<Song>, Filter<Loose>, Filter<Record<string, unknown>>] = [
  { seconds: { $lt: 5 } },
  { anything: 'at all', 'a.b': { $in: ['x'] } },
  { anything: { $gt: 5 }, $and: [{ b: true }] },
]
same<Condition<unknown>, { $exists?: boolean }>(true)

export async function options(db: DB, songs: LocalCollection<Song>): Promise<void> {
  // @ts-expect-error: no such option.
  await songs.search([1], { topK: 5 })
  // @ts-expect-error: batches have no include.
  await songs.searchBatch([[1]], { include: 'vector' })
  // @ts-expect-error: a key of another type's.
  await songs.update(1, { unset: ['name'] })
  // @ts-expect-error: metadata is missing a field.
  await songs.upsert({ ids: [1], vectors: [[1]], metadata: [{ title: 'a' }] })
  const both = await songs.get([1, 2], { include: ['vector', 'metadata'] })
  same<NonNullable<(typeof both)[0]>['vector'], Float32Array>(true)
  const page = await songs.scroll({ limit: 5, include: 'none' })
  same<keyof (typeof page.records)[0], 'id'>(true)
  // @ts-expect-error: a page needs a limit.
  await songs.scroll({})
  await db.collection('c', { schema: { a: 'string[]', b: { type: 'date', index: false } } })
  // @ts-expect-error: no such type.
  await db.collection('c', { schema: { a: 'text' } })
}
