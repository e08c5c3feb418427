/**
 * Time and turns of the event loop, taken when this module loads: a test of the caller's may
 * replace the globals by a fake clock later, and its writes must not stand still.
 */

export const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = globalThis

const { performance } = globalThis
const read = performance.now

/** Milliseconds of a clock that never goes back. */
export function nowMs(): number {
  return read.call(performance)
}
