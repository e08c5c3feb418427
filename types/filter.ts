/**
 * Filter<M>: filters typed by the metadata they read.
 *
 * A wrong field, a wrong operand or an operator that the field's type has no use for fails to
 * compile. Paths are dotted and typed to depth 5; deeper fields work at run time. Untyped metadata,
 * and types with an index signature, take any field.
 */

import type { Id } from './values.js'

type Scalar = string | number | boolean | Date
type Whole =
  | Scalar
  | bigint
  | null
  | undefined
  | readonly unknown[]
  | ((...args: never[]) => unknown)

/** Depth left -> one less. */
type Less = [never, 0, 1, 2, 3, 4]

/** The dotted paths of M, of each part of a union: `'title' | 'author' | 'author.born'`. */
export type Path<M, Depth extends number = 5> = [Depth] extends [0]
  ? never
  : M extends unknown
    ? {
        [K in keyof M & string]-?: K | Below<K, M[K], Less[Depth]>
      }[keyof M & string]
    : never

// Distributes over unions: of `string | { city: string }` only the object has paths.
type Below<K extends string, V, Depth extends number> = V extends Whole
  ? never
  : V extends object
    ? `${K}.${Path<V, Depth>}`
    : never

/** The type of the field at path P of M. */
export type PathValue<M, P extends string> = M extends Whole
  ? never
  : P extends keyof M
    ? M[P]
    : P extends `${infer Head}.${infer Rest}`
      ? Head extends keyof M
        ? PathValue<M[Head], Rest>
        : never
      : never

// What a field's operators compare with: the field's scalars, and those of its elements.
type Element<V> = V extends readonly (infer E)[] ? Extract<E, Scalar | null> : never
type Operand<V> = Extract<V, Scalar | null> | Element<V>

// A literal type widens for order: `'a' | 'b'` may be compared with any string.
type Wide<T> = T extends string ? string : T extends number ? number : T extends Date ? Date : never

/** The operators on one field. All that are given must hold. */
export interface Operators<Value, Elements = never> {
  /** Equal. `null` matches only null, never a missing field. On an array: any element. */
  $eq?: Value
  /** The exact complement of `$eq`: matches where the field is missing, too. */
  $ne?: Value
  /** Greater; strings by code point, dates by time. Types never mix. */
  $gt?: Wide<Value>
  $gte?: Wide<Value>
  $lt?: Wide<Value>
  $lte?: Wide<Value>
  /** Equal to any of these, at most 65 536. */
  $in?: readonly Value[]
  /** The exact complement of `$in`: matches where the field is missing, too. */
  $nin?: readonly Value[]
  /** Whether the field is there; null is. */
  $exists?: boolean
  /** Arrays only: all of these are among the elements. */
  $contains?: [Elements] extends [never] ? never : Elements | readonly Elements[]
  /** The exact complement of these: matches where the field is missing, too. */
  $not?: Operators<Value, Elements>
}

/** What may stand at a field whose values have type V: a value (which means `$eq`) or operators. */
export type Condition<V> = [Operand<V>] extends [never]
  ? { $exists?: boolean }
  : Operand<V> | Operators<Operand<V>, Element<V>>

/** Operators on the id. Order is that of integers, or of strings by code point. */
export interface IdOperators {
  $eq?: Id
  $ne?: Id
  $gt?: Id
  $gte?: Id
  $lt?: Id
  $lte?: Id
  $in?: readonly Id[] | Uint32Array | Float64Array | BigUint64Array
  $nin?: readonly Id[] | Uint32Array | Float64Array | BigUint64Array
  $not?: IdOperators
}

interface Joined<M extends object> {
  /** All of these hold. */
  $and?: readonly Filter<M>[]
  /** At least one of these holds. */
  $or?: readonly Filter<M>[]
  /** This does not hold. */
  $not?: Filter<M>
  /** The record's id. */
  $id?: Id | IdOperators
}

/** Any field, any operand: for metadata without a type. */
export type LooseCondition = Scalar | null | Operators<Scalar | null, Scalar | null>
// One interface, not an intersection: the named keys go before the signature.
interface LooseFilter<M extends object> extends Joined<M> {
  [field: string]: LooseCondition | Id | IdOperators | readonly Filter<M>[] | Filter<M> | undefined
}

type TypedFilter<M extends object> = Joined<M> & {
  [P in Path<M>]?: Condition<PathValue<M, P>>
}

/**
 * Keeps the records whose metadata matches; entries of one object must all hold.
 *
 * @example
 * { year: { $gte: 1999 }, genres: 'sf' }
 * { $or: [{ 'author.name': 'Le Guin' }, { $id: { $in: [1, 2, 3] } }] }
 */
export type Filter<M extends object> = string extends keyof M ? LooseFilter<M> : TypedFilter<M>
