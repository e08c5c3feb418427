// Seeded randomness for benches: the same numbers on every machine and in every process.

/** mulberry32: a function that returns floats in [0, 1). */
export function uniform(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Standard normal numbers (Box and Muller 1958). */
export function normal(seed) {
  const random = uniform(seed)
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

/** The numbers 0 to n - 1 in random order (Fisher and Yates). */
export function permutation(n, seed) {
  const random = uniform(seed)
  const order = new Uint32Array(n)
  for (let i = 0; i < n; ++i) order[i] = i
  for (let i = n - 1; i > 0; --i) {
    const j = Math.floor(random() * (i + 1))
    const swapped = order[i]
    order[i] = order[j]
    order[j] = swapped
  }
  return order
}
