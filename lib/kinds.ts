/**
 * Kinds of values: what a value truly is, in Node and in browsers alike.
 *
 * Why not instanceof: an array from another realm is an array too. The getter that is asked here
 * reads what the engine knows of a typed array, which no property of it can fake.
 */

import type { NumericArray } from '../types/values.js'

const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined

/** `Float32Array` and so on; undefined if it is no typed array. */
function tagOf(value: unknown): string | undefined {
  return typedArrayTag.call(value)
}

export function isFloat32Array(value: unknown): value is Float32Array {
  return typedArrayTag.call(value) === 'Float32Array'
}

export function isFloat64Array(value: unknown): value is Float64Array {
  return tagOf(value) === 'Float64Array'
}

export function isUint32Array(value: unknown): value is Uint32Array {
  return tagOf(value) === 'Uint32Array'
}

export function isBigUint64Array(value: unknown): value is BigUint64Array {
  return tagOf(value) === 'BigUint64Array'
}

/** Whether a value is a typed array of numbers, not of bigints. */
export function isNumbers(value: unknown): value is Exclude<NumericArray, readonly number[]> {
  const tag = tagOf(value)
  return tag !== undefined && !tag.startsWith('Big')
}

export function isDataView(value: unknown): value is DataView {
  return ArrayBuffer.isView(value) && tagOf(value) === undefined
}

export function isDate(value: unknown): value is Date {
  if (typeof value !== 'object' || value === null) return false
  if (!(value instanceof Date) && Object.prototype.toString.call(value) !== '[object Date]') {
    return false
  }
  try {
    Date.prototype.getTime.call(value)
    return true
  } catch {
    return false // It only calls itself one.
  }
}

/** Bytes of a text in UTF-8. */
export function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length
}

let proxyTest: (value: unknown) => boolean = () => false

/** Node's test for a Proxy, from the loader of the addon: no other can tell, or needs to. */
export function setProxyTest(test: (value: unknown) => boolean): void {
  proxyTest = test
}

/** Whether a value is a Proxy, which native code does not take for an array. */
export function isProxy(value: unknown): boolean {
  return proxyTest(value)
}
