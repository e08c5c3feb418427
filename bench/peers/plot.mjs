// Plot: recall against queries per second as an SVG made by hand, so that it needs no library.
//
// The recall axis is logarithmic in what is missed (1 - recall): from 0.99 to 0.999 is as hard as
// from 0.9 to 0.99, and takes as much room. Up and to the right is better. Each line carries its
// name, so that nobody has to tell colours apart.

import { machineLine } from '../lib/machine.mjs'
import { COLOURS, escaped } from '../lib/panels.mjs'

const WIDTH = 900
const HEIGHT = 560
const LEFT = 78
const RIGHT = 150
const TOP = 64
const BOTTOM = 84
const TICKS = [0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999]
const MISSED_MAX = 0.4
const MISSED_MIN = 0.0005 // Recall 1 has no place on a logarithmic axis: it sits at the right edge.

const STYLE = [
  'text{font:13px system-ui,sans-serif;fill:#333}',
  '.grid{stroke:#ddd;stroke-width:1}',
  '.lead{stroke-width:0.8;stroke-dasharray:2 3}',
  '.small{font-size:11px;fill:#666}',
].join('')
const SUBTITLE =
  'Single queries on one thread through JavaScript, k 10. Up and to the right is better.'

function scales(series) {
  const points = series.flatMap(({ points: own }) => own)
  const missedMax = Math.min(MISSED_MAX, Math.max(0.12, ...points.map(({ recall }) => 1 - recall)))
  const speeds = points.map(({ qps }) => qps)
  const low = Math.log10(Math.min(...speeds)) - 0.08
  const high = Math.log10(Math.max(...speeds)) + 0.08
  const left = Math.log10(missedMax)
  const right = Math.log10(MISSED_MIN)
  return {
    missedMax,
    low,
    high,
    x(recall) {
      const missed = Math.log10(Math.min(missedMax, Math.max(MISSED_MIN, 1 - recall)))
      return LEFT + ((missed - left) / (right - left)) * (WIDTH - LEFT - RIGHT)
    },
    y(qps) {
      return TOP + ((high - Math.log10(qps)) / (high - low)) * (HEIGHT - TOP - BOTTOM)
    },
  }
}

/** Past the right edge nothing is told apart: a line ends at its first point there. */
function visible(points) {
  const edge = points.findIndex(({ recall }) => 1 - recall <= MISSED_MIN)
  const shown = edge < 0 ? points : points.slice(0, edge + 1)
  const inside = shown.filter(({ recall }) => 1 - recall <= MISSED_MAX)
  return inside.length > 0 ? inside : shown.slice(-1)
}

function axes({ missedMax, low, high, x, y }) {
  const parts = []
  for (const recall of TICKS.filter((tick) => 1 - tick <= missedMax)) {
    const at = x(recall).toFixed(1)
    parts.push(`<line class="grid" x1="${at}" y1="${TOP}" x2="${at}" y2="${HEIGHT - BOTTOM}"/>`)
    parts.push(`<text x="${at}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${recall}</text>`)
  }
  for (let power = Math.floor(low); power <= Math.ceil(high); ++power) {
    for (const factor of [1, 2, 5]) {
      const qps = factor * 10 ** power
      if (Math.log10(qps) < low || Math.log10(qps) > high) continue
      const at = y(qps).toFixed(1)
      const label = qps.toLocaleString('en')
      parts.push(`<line class="grid" x1="${LEFT}" y1="${at}" x2="${WIDTH - RIGHT}" y2="${at}"/>`)
      parts.push(
        `<text x="${LEFT - 8}" y="${(y(qps) + 4).toFixed(1)}" text-anchor="end">${label}</text>`,
      )
    }
  }
  return parts
}

/** Heights of the labels at the line ends, moved apart where they would cover each other. */
function labelHeights(ends) {
  const order = ends.map((_, i) => i).sort((a, b) => ends[a] - ends[b])
  const heights = [...ends]
  for (let i = 1; i < order.length; ++i) {
    heights[order[i]] = Math.max(heights[order[i]], heights[order[i - 1]] + 16)
  }
  return heights
}

function line({ name, points }, { x, y }, { colour, labelY }) {
  const at = points.map(({ recall, qps }) => [x(recall).toFixed(1), y(qps).toFixed(1)])
  const last = at[at.length - 1]
  const edge = WIDTH - RIGHT
  const path = at.map(([px, py]) => `${px},${py}`).join(' ')
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2.5"/>`,
    ...at.map(([px, py]) => `<circle cx="${px}" cy="${py}" r="3.5" fill="${colour}"/>`),
    `<line class="lead" x1="${last[0]}" y1="${last[1]}" x2="${edge + 10}" y2="${labelY - 4}"`,
    `  stroke="${colour}"/>`,
    `<text x="${edge + 14}" y="${labelY}" style="fill:${colour};font-weight:600">`,
    `  ${escaped(name)}</text>`,
  ]
}

/** The SVG of a run. Engines without a graph are single points. */
export function plot(run, results) {
  const series = results
    .filter(({ sweep, variant }) => sweep.length > 0 && variant === undefined)
    .map(({ name, sweep }) => ({ name, points: visible([...sweep].sort((a, b) => a.ef - b.ef)) }))
  if (series.length === 0) return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
  const scale = scales(series)
  const heights = labelHeights(series.map(({ points }) => scale.y(points.at(-1).qps) + 4))
  const title = `${run.set}, ${run.rows.toLocaleString('en')} vectors: recall against speed`
  const machine = escaped(machineLine(run.machine))
  const centre = (LEFT + WIDTH - RIGHT) / 2
  const middle = (TOP + HEIGHT - BOTTOM) / 2
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}"`,
    `  height="${HEIGHT}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="26" style="font-size:17px;font-weight:600">${escaped(title)}</text>`,
    `<text x="${LEFT}" y="46" class="small">${SUBTITLE}</text>`,
    ...axes(scale),
    `<text x="${centre}" y="${HEIGHT - BOTTOM + 40}" text-anchor="middle">recall@10</text>`,
    `<text transform="translate(18 ${middle}) rotate(-90)" text-anchor="middle">`,
    '  queries per second</text>',
    ...series.flatMap((one, i) =>
      line(one, scale, { colour: COLOURS[i % COLOURS.length], labelY: heights[i] }),
    ),
    `<text x="${LEFT}" y="${HEIGHT - 14}" class="small">${machine}</text>`,
    '</svg>',
  ].join('\n')}\n`
}
