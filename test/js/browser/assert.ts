// node:assert/strict, as far as the suite of the interface uses it, for browsers.

export class AssertionError extends Error {}

function shown(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} ${String(value)}`
  const plain = (_: string, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part)
  return typeof value === 'object' ? JSON.stringify(value, plain) : String(value)
}

/** As deepStrictEqual: same prototypes, own keys and values; -0 is not 0. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime())
  if (a instanceof Set || a instanceof Map) throw new Error('sets and maps are not compared')
  const keys = Reflect.ownKeys(a)
  if (keys.length !== Reflect.ownKeys(b).length) return false
  return keys.every(
    (key) => Object.hasOwn(b, key) && same(a[key as keyof object], b[key as keyof object]),
  )
}

function ok(value: unknown, message?: string): void {
  if (!value) throw new AssertionError(message ?? `${shown(value)} is not true`)
}

function equal(a: unknown, b: unknown, message?: string): void {
  ok(Object.is(a, b), message ?? `${shown(a)} is not ${shown(b)}`)
}

function deepEqual(a: unknown, b: unknown, message?: string): void {
  ok(same(a, b), message ?? `${shown(a)} is not ${shown(b)}`)
}

function match(text: string, pattern: RegExp, message?: string): void {
  ok(pattern.test(text), message ?? `${text} does not match ${pattern}`)
}

function fail(message: string): never {
  throw new AssertionError(message)
}

function throws(call: () => unknown, judge: (error: unknown) => boolean): void {
  let thrown: unknown
  try {
    call()
  } catch (error) {
    thrown = error
  }
  ok(thrown !== undefined, 'nothing was thrown')
  ok(judge(thrown), `threw ${String(thrown)}`)
}

export default { ok, equal, deepEqual, match, fail, throws }
