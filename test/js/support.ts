// What the tests of the API share: seeded vectors, and how an OmenError is expected.
import assert from 'node:assert/strict'
import { type ErrorCode, type ErrorDetails, OmenError } from 'omendb'

/** The seed that OMEN_SEED gives, to replay a run, or `otherwise`. */
export function runSeed(otherwise: number): number {
  const given = process.env.OMEN_SEED
  if (given === undefined || given === '') return otherwise
  const seed = Number(given)
  if (!/^\d+$/.test(given) || !Number.isSafeInteger(seed))
    throw new Error(`OMEN_SEED must be an integer for the JavaScript tests, not "${given}"`)
  return seed
}

/** A seeded generator of numbers in [0, 1): mulberry32. */
export function random(seed = runSeed(1)): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One flat array of rows * dimensions numbers in [-1, 1). */
export function flatVectors(rows: number, dimensions: number, seed?: number): Float32Array {
  const next = random(seed)
  return Float32Array.from({ length: rows * dimensions }, () => next() * 2 - 1)
}

export function vectors(rows: number, dimensions: number, seed?: number): Float32Array[] {
  const flat = flatVectors(rows, dimensions, seed)
  return Array.from({ length: rows }, (_, i) => flat.slice(i * dimensions, (i + 1) * dimensions))
}

/** Expects an OmenError of this code, with these details, from a function or a promise of one. */
export async function refused(
  call: () => unknown,
  code: ErrorCode,
  details?: ErrorDetails,
  message?: RegExp,
): Promise<OmenError> {
  let error: unknown
  try {
    await call()
  } catch (thrown) {
    error = thrown
  }
  if (error === undefined) assert.fail(`nothing was thrown; expected ${code}`)
  if (!(error instanceof OmenError)) throw error
  assert.equal(error.code, code, `${error.code}: ${error.message}`)
  if (details !== undefined) assert.deepEqual(error.details, details, error.message)
  if (message !== undefined) assert.match(error.message, message)
  return error
}

/** As `refused`, for an async method: it must reject and may not throw. */
export async function rejected(
  call: () => Promise<unknown>,
  code: ErrorCode,
  details?: ErrorDetails,
  message?: RegExp,
): Promise<OmenError> {
  const promise = call()
  assert.ok(promise instanceof Promise, 'an async method returns a promise, whatever it is given')
  return refused(() => promise, code, details, message)
}

/** Two turns of the event loop. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
}

/** Takes an array's buffer away, as postMessage with a transfer list does. */
export function detach(array: ArrayBufferView): void {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] })
}
