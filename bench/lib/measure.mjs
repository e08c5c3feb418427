// Measuring: medians, percentiles, wall and CPU time.

export function median(values) {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The value that `share` of the values lie at or below. */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]
}

/** Half the distance between smallest and largest, in per cent of the median. */
export function spreadPercent(values) {
  const middle = median(values)
  if (middle === 0) return 0
  return (50 * (Math.max(...values) - Math.min(...values))) / middle
}

/** Runs `work` once: seconds on the clock, and of CPU on all threads of the process. */
export async function timed(work) {
  const cpu = process.cpuUsage()
  const started = performance.now()
  const result = await work()
  const wallSeconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { result, wallSeconds, cpuSeconds: (user + system) / 1e6 }
}

/** Resident bytes after a full collection of the JavaScript heap (with --expose-gc). */
export function residentBytes() {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage.rss()
}

/**
 * Times one call per query: queries per second, percentiles of one call in microseconds, CPU
 * seconds, and what the calls returned.
 */
export function timeEach(count, call) {
  const micros = new Float64Array(count)
  const answers = new Array(count)
  const cpu = process.cpuUsage()
  const started = performance.now()
  for (let q = 0; q < count; ++q) {
    const before = performance.now()
    answers[q] = call(q)
    micros[q] = (performance.now() - before) * 1000
  }
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return {
    answers,
    qps: count / seconds,
    p50Us: percentile(micros, 0.5),
    p99Us: percentile(micros, 0.99),
    cpuSeconds: (user + system) / 1e6,
  }
}
