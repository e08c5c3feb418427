/** Chart: a few series over time, times in milliseconds on a logarithmic axis. */

import { svg } from './dom.js'
import { shownMs } from './format.js'

export interface Series {
  readonly name: string
  /** A class of console.css. */
  readonly style: string
  /** Times are of performance.now(), ascending. */
  readonly points: readonly { readonly atMs: number; readonly value: number }[]
}

const HEIGHT = 190
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 12, 10, 24]
/** Points further apart are not joined. */
const GAP_MS = 7000

export function drawChart(into: Element, series: readonly Series[], nowMs: number, spanMs: number) {
  const width = Math.max(240, into.clientWidth)
  const values = series.flatMap(({ points }) => points.map(({ value }) => value))
  const low = 10 ** Math.floor(Math.log10(Math.min(...values, 1)) + 1e-9)
  const high = Math.max(10 * low, 10 ** Math.ceil(Math.log10(Math.max(...values, 1)) - 1e-9))
  const x = (atMs: number) => LEFT + (1 - (nowMs - atMs) / spanMs) * (width - LEFT - RIGHT)
  const y = (value: number) =>
    HEIGHT - BOTTOM - (Math.log(value / low) / Math.log(high / low)) * (HEIGHT - TOP - BOTTOM)
  const picture = svg('svg', {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    width,
    height: HEIGHT,
    role: 'img',
  })
  picture.setAttribute('aria-label', labelOf(series))
  for (let line = low; line <= high * 1.001; line *= 10) {
    const at = y(line)
    picture.append(
      svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
      svg('text', { class: 'tick', x: LEFT - 8, y: at + 4, 'text-anchor': 'end' }, shownMs(line)),
    )
  }
  const steps = width > 420 ? [300, 240, 180, 120, 60, 0] : [300, 150, 0]
  for (const s of steps) {
    const text = s === 0 ? 'now' : `−${s / 60} min`
    const anchor = s === 0 ? 'end' : s === steps[0] ? 'start' : 'middle'
    const at = { x: x(nowMs - s * 1000), y: HEIGHT - 6, 'text-anchor': anchor }
    picture.append(svg('text', { class: 'tick', ...at }, text))
  }
  for (const { points, style } of series) {
    const shown = points.filter(({ atMs }) => atMs >= nowMs - spanMs)
    const path = shown.map(({ atMs, value }, i) => {
      const joins = i > 0 && atMs - (shown[i - 1]?.atMs as number) < GAP_MS
      return `${joins ? 'L' : 'M'}${x(atMs).toFixed(1)} ${y(value).toFixed(1)}`
    })
    picture.append(svg('path', { class: `line ${style}`, d: path.join('') }))
    for (const { atMs, value } of shown)
      picture.append(svg('circle', { class: `dot ${style}`, cx: x(atMs), cy: y(value), r: 1.7 }))
  }
  into.replaceChildren(picture)
}

function labelOf(series: readonly Series[]): string {
  const last = series.map(({ name, points }) => `${name} ${shownMs(points.at(-1)?.value)}`)
  return `The last five minutes. Now: ${last.join(', ')}`
}
