/** Metrics of the server: the text that `/metrics` answers, and quantiles of its histograms. */

export interface Point {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

export function readMetrics(text: string): Point[] {
  const points: Point[] = []
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = LINE.exec(line) ?? []
    if (name === undefined) continue
    const read = [...labels.matchAll(LABEL)].map(([, key, text]) => [
      key,
      (text as string).replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)),
    ])
    points.push({ name, labels: Object.fromEntries(read), value: Number(value) })
  }
  return points
}

export function sumOf(points: readonly Point[], name: string): number {
  return points.reduce((sum, point) => (point.name === name ? sum + point.value : sum), 0)
}

/** Requests by the upper bound of their time, in seconds: cumulative, as Prometheus has them. */
export type Histogram = ReadonlyMap<number, number>

const BUCKET = 'omendb_request_seconds_bucket'

/** Searches of all transports. */
export function searchHistogram(points: readonly Point[]): Histogram {
  const sums = new Map<number, number>()
  for (const { name, labels, value } of points) {
    if (name !== BUCKET || !/search/i.test(labels.method ?? '')) continue
    const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le)
    sums.set(bound, (sums.get(bound) ?? 0) + value)
  }
  return new Map([...sums].sort(([a], [b]) => a - b))
}

/** What came since `before`. After a restart all of it did. */
export function since(now: Histogram, before: Histogram): Histogram {
  const all = (h: Histogram) => h.get(Number.POSITIVE_INFINITY) ?? 0
  if (all(now) < all(before)) return now
  return new Map([...now].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)]))
}

/**
 * The quantile in milliseconds, within its bucket as if times were spread evenly by their
 * logarithm. undefined where there are no requests.
 */
export function quantileOf(histogram: Histogram, quantile: number): number | undefined {
  const total = histogram.get(Number.POSITIVE_INFINITY) ?? 0
  if (total === 0) return undefined
  const wanted = quantile * total
  let lower = 0
  let below = 0
  for (const [bound, count] of histogram) {
    if (count >= wanted) {
      if (!Number.isFinite(bound)) return lower * 1000
      const from = lower === 0 ? bound / 3 : lower
      return 1000 * from * (bound / from) ** ((wanted - below) / Math.max(1, count - below))
    }
    lower = bound
    below = count
  }
  return lower * 1000
}

/** Of times in any order. */
export function quantileOfTimes(times: readonly number[], quantile: number): number | undefined {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]
}
