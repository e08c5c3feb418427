// Panels: small plots of figures against the number of rows, side by side in one SVG made by hand,
// so that it needs no library. Both axes are logarithmic: what grows with the logarithm of the rows
// is nearly flat, and what grows with the rows is steep. Each line carries its name.

import { machineLine } from './machine.mjs'

// Okabe and Ito's palette, which stays apart for most kinds of colour blindness.
export const COLOURS = [
  ...['#0072b2', '#d55e00', '#56b4e9', '#e69f00', '#009e73', '#cc79a7', '#555555'],
  ...['#8b6508', '#b00058'],
]
const [PANEL_WIDTH, PANEL_HEIGHT] = [460, 270]
const [LEFT, RIGHT, TOP, BOTTOM] = [66, 110, 34, 40]
const HEAD = 40
const STYLE = [
  'text{font:12px system-ui,sans-serif;fill:#333}',
  '.grid{stroke:#ddd;stroke-width:1}',
  '.small{font-size:11px;fill:#666}',
].join('')

export const escaped = (text) =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
const short = (value) =>
  value >= 1e6 ? `${value / 1e6}M` : value >= 1000 ? `${value / 1000}k` : String(value)

/** 1, 2 and 5 times the powers of ten from `low` to `high`. */
function ticks(low, high) {
  const all = []
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); ++power) {
    for (const factor of [1, 2, 5]) all.push(Number(`${factor}e${power}`))
  }
  return all.filter((value) => value >= low && value <= high)
}

/** A logarithmic scale from [low, high] to [from, to]. */
function scale([low, high], [from, to]) {
  const [a, b] = [Math.log(low), Math.log(high)]
  return (value) => from + ((Math.log(value) - a) / (b - a)) * (to - from)
}

function panel({ title, series }) {
  const shown = series.filter(({ points }) => points.length > 0)
  const xs = shown.flatMap(({ points }) => points.map(([x]) => x))
  const ys = shown.flatMap(({ points }) => points.map(([, y]) => y))
  const heading = `<text x="${LEFT}" y="18" style="font-weight:600">${escaped(title)}</text>`
  if (xs.length === 0) return [heading]
  const xRange = [Math.min(...xs) / 1.15, Math.max(...xs) * 1.15]
  const yRange = [Math.min(...ys) / 1.6, Math.max(...ys) * 1.6]
  const bottom = PANEL_HEIGHT - BOTTOM
  const right = PANEL_WIDTH - RIGHT
  const x = scale(xRange, [LEFT, right])
  const y = scale(yRange, [bottom, TOP])
  const parts = [heading]
  for (const value of ticks(...xRange)) {
    const at = x(value).toFixed(1)
    parts.push(`<line class="grid" x1="${at}" y1="${TOP}" x2="${at}" y2="${bottom}"/>`)
    parts.push(`<text x="${at}" y="${bottom + 16}" text-anchor="middle">${short(value)}</text>`)
  }
  for (const value of ticks(...yRange)) {
    const at = y(value).toFixed(1)
    parts.push(`<line class="grid" x1="${LEFT}" y1="${at}" x2="${right}" y2="${at}"/>`)
    parts.push(
      `<text x="${LEFT - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">` +
        `${short(value)}</text>`,
    )
  }
  const labels = apart(shown.map(({ points }) => y(points.at(-1)[1]) + 4))
  shown.forEach(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length]
    const at = points.map(([px, py]) => [x(px).toFixed(1), y(py).toFixed(1)])
    const path = at.map((pair) => pair.join(',')).join(' ')
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2.5"/>`)
    for (const [px, py] of at) parts.push(`<circle cx="${px}" cy="${py}" r="3" fill="${colour}"/>`)
    parts.push(
      `<text x="${right + 6}" y="${labels[i].toFixed(1)}" style="fill:${colour};font-weight:600">`,
      `  ${escaped(name)}</text>`,
    )
  })
  return parts
}

/** Heights of labels, moved down where they would cover each other. */
function apart(heights) {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b])
  const moved = [...heights]
  for (let i = 1; i < order.length; ++i) {
    moved[order[i]] = Math.max(moved[order[i]], moved[order[i - 1]] + 15)
  }
  return moved
}

/**
 * The SVG of several panels, two in a row, over a common axis of rows.
 *
 * @param plots  [{ title, series: [{ name, points: [[rows, value], ...] }] }]
 */
export function panels({ title, machine }, plots) {
  const height = HEAD + Math.ceil(plots.length / 2) * PANEL_HEIGHT + 24
  const width = 2 * PANEL_WIDTH
  const label = escaped(title)
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}"`,
    `  height="${height}" role="img" aria-label="${label}">`,
    `<style>${STYLE}</style>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="26" style="font-size:17px;font-weight:600">${label}</text>`,
    ...plots.flatMap((one, i) => [
      `<g transform="translate(${(i % 2) * PANEL_WIDTH} ${HEAD + (i >> 1) * PANEL_HEIGHT})">`,
      ...panel(one),
      '</g>',
    ]),
    `<text x="${LEFT}" y="${height - 8}" class="small">Rows along the bottom. ` +
      `${escaped(machineLine(machine))}</text>`,
    '</svg>',
  ].join('\n')}\n`
}
