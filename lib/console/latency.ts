/**
 * Latency: p50 and p99 of searches over the last five minutes, as this page measures its own and as
 * the server's histogram tells of everybody's; and a short bench that makes some.
 */

import type { Collection } from 'omendb/client'
import { drawChart } from './chart.js'
import { byId, html } from './dom.js'
import { shownCount, shownMs } from './format.js'
import type { Figures } from './link.js'
import {
  type Histogram,
  quantileOf,
  quantileOfTimes,
  searchHistogram,
  since,
} from './prometheus.js'
import type { Sample } from './sample.js'

const SPAN_MS = 300_000
const BENCH_MS = 5000

interface Moment {
  readonly atMs: number
  readonly value: number
}

class Quantiles {
  readonly p50: Moment[] = []
  readonly p99: Moment[] = []

  push(atMs: number, p50: number | undefined, p99: number | undefined): void {
    if (p50 !== undefined) this.p50.push({ atMs, value: p50 })
    if (p99 !== undefined) this.p99.push({ atMs, value: p99 })
    for (const list of [this.p50, this.p99])
      while (list.length > 0 && (list[0] as Moment).atMs < atMs - SPAN_MS) list.shift()
  }

  draw(into: HTMLElement, legend: HTMLElement, nowMs: number): void {
    const series = [
      { name: 'p50', style: 'p50', points: this.p50 },
      { name: 'p99', style: 'p99', points: this.p99 },
    ]
    drawChart(into, series, nowMs, SPAN_MS)
    legend.replaceChildren(
      ...series.map(({ name, style, points }) =>
        html(
          'li',
          {},
          html('span', { class: `key ${style}` }),
          `${name} `,
          html('b', {}, shownMs(points.at(-1)?.value)),
        ),
      ),
    )
  }
}

export class Latency {
  readonly #own = new Quantiles()
  readonly #server = new Quantiles()
  #times: number[] = []
  #histogram: Histogram | undefined
  #lastMs = performance.now()

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(byId('latency'))
  }

  /** One search of this page. */
  observe(ms: number): void {
    this.#times.push(Math.max(0.01, ms))
  }

  onFigures({ metrics, atMs }: Figures): void {
    const times = this.#times
    this.#times = []
    this.#own.push(atMs, quantileOfTimes(times, 0.5), quantileOfTimes(times, 0.99))
    const histogram = searchHistogram(metrics)
    if (this.#histogram !== undefined) {
      const fresh = since(histogram, this.#histogram)
      this.#server.push(atMs, quantileOf(fresh, 0.5), quantileOf(fresh, 0.99))
    }
    if (metrics.length > 0) this.#histogram = histogram
    this.#lastMs = atMs
    this.#draw()
  }

  #draw(): void {
    this.#own.draw(byId('chart-page'), byId('legend-page'), this.#lastMs)
    this.#server.draw(byId('chart-server'), byId('legend-server'), this.#lastMs)
  }

  /** Searches for records of the sample until the time is over or `signal` ends it. */
  async bench(
    collection: Collection,
    sample: Sample,
    { atOnce, k }: { atOnce: number; k: number },
    signal: AbortSignal,
  ): Promise<string> {
    const times: number[] = []
    const startMs = performance.now()
    const one = async (): Promise<void> => {
      while (performance.now() - startMs < BENCH_MS && !signal.aborted) {
        const row = Math.floor(Math.random() * sample.ids.length)
        const { vectors, dimensions } = sample
        const query = vectors.subarray(row * dimensions, (row + 1) * dimensions)
        const fromMs = performance.now()
        await collection.search(query, { k, include: 'none' })
        const ms = performance.now() - fromMs
        times.push(ms)
        this.observe(ms)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, one))
    const seconds = (performance.now() - startMs) / 1000
    const [p50, p99] = [0.5, 0.99].map((q) => shownMs(quantileOfTimes(times, q)))
    return (
      `${shownCount(Math.round(times.length / seconds))} searches/s, p50 ${p50}, p99 ${p99} ` +
      `(${shownCount(times.length)} searches, ${atOnce} at once, k = ${k}; the browser included)`
    )
  }
}
