/**
 * Projection: a sample of the collection on the plane of its first two principal components.
 *
 * Points are coloured by a field, named when pointed at or reached by arrow keys, and searched from
 * when clicked. The hits of the last search are ringed, in the sample or not: they are brought into
 * the plane as the sample was.
 */

import type { Collection, CollectionStats, Id } from 'omendb/client'
import { type Colouring, colouringOf, fieldsOf, GREY } from './colours.js'
import { byId, cssValue, html } from './dom.js'
import { shownCount, shownNumber, shownShare, shownValue } from './format.js'
import { type Components, normalize, projected } from './pca.js'
import { drawSample, type Sample } from './sample.js'
import { type Place, View } from './view.js'

const REACH_PX = 14
const TIP_FIELDS = 4

/** Makes the page's only script address, which the policy asks for. */
function workerAddress(): string {
  const address = new URL('worker.js', import.meta.url).href
  const { trustedTypes } = globalThis as unknown as {
    trustedTypes?: {
      createPolicy(name: string, rules: object): { createScriptURL(s: string): string }
    }
  }
  if (trustedTypes === undefined) return address
  policy ??= trustedTypes.createPolicy('omendb', { createScriptURL: () => address })
  return policy.createScriptURL('')
}
let policy: { createScriptURL(s: string): string } | undefined

function componentsOf(sample: Sample, isCosine: boolean, signal: AbortSignal): Promise<Components> {
  const copy = sample.vectors.slice()
  const vectors = isCosine ? normalize(copy, sample.dimensions) : copy
  const worker = new Worker(workerAddress(), { type: 'module' })
  return new Promise<Components>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
    worker.onerror = () => reject(new Error('the worker of the projection failed'))
    worker.onmessage = ({ data }: MessageEvent<Components>) => resolve(data)
    worker.postMessage({ vectors, dimensions: sample.dimensions }, [vectors.buffer])
  }).finally(() => worker.terminate())
}

export class Projection {
  readonly #canvas = byId<HTMLCanvasElement>('projection')
  readonly #tip = byId('tip')
  readonly #field = byId<HTMLSelectElement>('colour-field')
  readonly #view = new View(this.#canvas, () => this.#draw())
  readonly #onPick: (id: Id) => void
  #sample: Sample | undefined
  #components: Components | undefined
  #colouring: Colouring | undefined
  #isCosine = false
  /** A category that is shown alone. */
  #alone: number | undefined
  #marks: { query: Place | undefined; hits: Place[] } = { query: undefined, hits: [] }
  #pointed: number | undefined

  /** @param onPick  A point was chosen. */
  constructor(onPick: (id: Id) => void) {
    this.#onPick = onPick
    this.#field.addEventListener('change', () => this.#colour())
    const canvas = this.#canvas
    canvas.addEventListener('pointermove', (event) => this.#point(this.#nearest(event)))
    canvas.addEventListener('pointerleave', () => this.#point(undefined))
    canvas.addEventListener('click', (event) => {
      const row = this.#nearest(event)
      if (row !== undefined && !this.#view.wasDragged) this.#pick(row)
    })
    canvas.addEventListener('keydown', (event) => this.#onKey(event))
    canvas.addEventListener('blur', () => this.#point(undefined))
    byId('nearer').addEventListener('click', () => this.#view.zoom(1.6))
    byId('farther').addEventListener('click', () => this.#view.zoom(1 / 1.6))
    byId('whole').addEventListener('click', () => this.#view.whole())
    new ResizeObserver(() => this.#draw()).observe(canvas)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw())
  }

  get sample(): Sample | undefined {
    return this.#sample
  }

  clear(): void {
    this.#sample = undefined
    this.#components = undefined
    this.#marks = { query: undefined, hits: [] }
    this.#field.replaceChildren()
    byId('legend').replaceChildren()
    byId('axes').replaceChildren()
    byId('projection-note').textContent = ''
    this.#point(undefined)
    this.#draw()
  }

  /** Reads a sample and draws it. */
  async load(collection: Collection, stats: CollectionStats, signal: AbortSignal): Promise<Sample> {
    this.clear()
    const note = byId('projection-note')
    const tell = (done: number, total: number): void => {
      note.textContent = `Reading a sample: ${Math.min(99, Math.round((100 * done) / total))} %`
    }
    const sample = await drawSample(collection, stats, tell, signal)
    note.textContent = 'Computing the principal components…'
    this.#isCosine = stats.metric === 'cosine'
    const components = await componentsOf(sample, this.#isCosine, signal)
    this.#sample = sample
    this.#components = components
    this.#view.fit(components.points)
    this.#describe(stats)
    const fields = fieldsOf(sample.metadata)
    this.#field.replaceChildren(
      ...fields.map((path) => html('option', { value: path }, path)),
      html('option', { value: '' }, 'no field'),
    )
    this.#colour()
    return sample
  }

  #describe({ count }: CollectionStats): void {
    const { ids, seen, isCut } = this.#sample as Sample
    const [first, second] = (this.#components as Components).shares
    const of = isCut ? `the first ${shownCount(seen)} of ${shownCount(count)}` : shownCount(seen)
    const which = ids.length === seen && !isCut ? 'All' : `${shownCount(ids.length)} of ${of}`
    const unit = this.#isCosine ? ', scaled to length 1 as cosine sees them' : ''
    byId('projection-note').textContent =
      which === 'All' ? `All ${of} records${unit}` : `${which} records, drawn by chance${unit}`
    byId('axes').replaceChildren(
      html('span', { class: 'axis-x' }, `PC 1 · ${shownShare(first)} of the variance →`),
      html('span', { class: 'axis-y' }, `↑ PC 2 · ${shownShare(second)}`),
    )
    this.#canvas.setAttribute(
      'aria-label',
      `${ids.length} records on their first two principal components, which hold ` +
        `${shownShare(first)} and ${shownShare(second)} of the variance. ` +
        'Arrow keys walk from left to right, Enter searches, plus and minus zoom.',
    )
  }

  #colour(): void {
    if (this.#sample === undefined) return
    this.#alone = undefined
    this.#colouring = colouringOf(this.#sample.metadata, this.#field.value || undefined)
    this.#legend()
    this.#draw()
  }

  #legend(): void {
    const { categories = [], scale } = this.#colouring as Colouring
    const entries = categories.map(({ label, count, colour }, i) => {
      const swatch = html('span', { class: 'swatch' })
      swatch.style.backgroundColor = colour
      const name = html('span', { class: 'label', title: label }, label)
      const button = html(
        'button',
        { type: 'button', 'aria-pressed': String(this.#alone === i) },
        swatch,
        name,
        html('span', { class: 'count' }, shownCount(count)),
      )
      button.addEventListener('click', () => {
        this.#alone = this.#alone === i ? undefined : i
        this.#legend()
        this.#draw()
      })
      return html('li', {}, button)
    })
    if (scale !== undefined) {
      const ramp = html('span', { class: 'ramp' })
      ramp.style.backgroundImage = `linear-gradient(90deg, ${scale.colours.join(', ')})`
      entries.push(html('li', { class: 'scale' }, scale.from, ramp, scale.to))
    }
    byId('legend').replaceChildren(...entries)
  }

  /** Rings hits and marks the query of a search. */
  mark(query: Float32Array | undefined, hits: readonly Float32Array[]): void {
    const components = this.#components
    if (components === undefined) return
    const at = (vector: Float32Array): Place => {
      const copy = vector.slice()
      return projected(components, this.#isCosine ? normalize(copy, copy.length) : copy)
    }
    const fits = (vector: Float32Array) => vector.length === components.mean.length
    this.#marks = {
      query: query !== undefined && fits(query) ? at(query) : undefined,
      hits: hits.filter(fits).map(at),
    }
    this.#draw()
  }

  #isShown(row: number): boolean {
    return this.#alone === undefined || this.#colouring?.classes?.[row] === this.#alone
  }

  #draw(): void {
    const canvas = this.#canvas
    const { clientWidth: width, clientHeight: height } = canvas
    const ratio = devicePixelRatio || 1
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
    const pen = canvas.getContext('2d')
    const components = this.#components
    if (pen === null || components === undefined) return
    pen.scale(ratio, ratio)
    const place = this.#view.scale()
    this.#drawAxes(pen, place(0, 0), width, height)
    const { points } = components
    const radius = Math.max(1.7, Math.min(4, 70 / Math.sqrt(points.length / 2)))
    const colours = this.#colouring?.colours
    for (const front of [false, true]) {
      pen.globalAlpha = front ? 0.82 : 0.1
      for (let row = 0; row * 2 < points.length; row++) {
        if (this.#isShown(row) !== front) continue
        const at = place(points[row * 2] as number, points[row * 2 + 1] as number)
        pen.fillStyle = colours?.[row] ?? GREY
        dot(pen, at, radius)
        pen.fill()
      }
    }
    pen.globalAlpha = 1
    this.#drawMarks(pen, place, radius)
  }

  #drawAxes(pen: CanvasRenderingContext2D, [x, y]: Place, width: number, height: number): void {
    pen.strokeStyle = cssValue('--line')
    pen.lineWidth = 1
    pen.beginPath()
    pen.moveTo(Math.round(x) + 0.5, 0)
    pen.lineTo(Math.round(x) + 0.5, height)
    pen.moveTo(0, Math.round(y) + 0.5)
    pen.lineTo(width, Math.round(y) + 0.5)
    pen.stroke()
  }

  #drawMarks(
    pen: CanvasRenderingContext2D,
    place: (x: number, y: number) => Place,
    radius: number,
  ): void {
    pen.strokeStyle = cssValue('--ink')
    pen.lineWidth = 1.5
    for (const [x, y] of this.#marks.hits) {
      dot(pen, place(x, y), radius + 3)
      pen.stroke()
    }
    if (this.#marks.query !== undefined) {
      const [x, y] = place(...this.#marks.query)
      pen.beginPath()
      for (const [dx, dy] of [
        [1, 0],
        [0, 1],
        [-1, 0],
        [0, -1],
      ] as const) {
        pen.moveTo(x + dx * 5, y + dy * 5)
        pen.lineTo(x + dx * 14, y + dy * 14)
      }
      pen.stroke()
    }
    if (this.#pointed !== undefined) {
      const { points } = this.#components as Components
      const at = [points[this.#pointed * 2], points[this.#pointed * 2 + 1]] as [number, number]
      pen.lineWidth = 2
      pen.strokeStyle = cssValue('--accent')
      dot(pen, place(...at), radius + 4)
      pen.stroke()
    }
  }

  #nearest({ offsetX, offsetY }: MouseEvent): number | undefined {
    if (this.#components === undefined) return undefined
    const { points } = this.#components
    const place = this.#view.scale()
    let best = REACH_PX ** 2
    let found: number | undefined
    for (let row = 0; row * 2 < points.length; row++) {
      if (!this.#isShown(row)) continue
      const [x, y] = place(points[row * 2] as number, points[row * 2 + 1] as number)
      const distance = (x - offsetX) ** 2 + (y - offsetY) ** 2
      if (distance < best) {
        best = distance
        found = row
      }
    }
    return found
  }

  #point(row: number | undefined): void {
    const isNew = row !== this.#pointed
    this.#pointed = row
    this.#tip.hidden = row === undefined
    if (isNew) this.#draw()
    if (row === undefined || this.#components === undefined) return
    const { ids, metadata } = this.#sample as Sample
    const field = this.#field.value
    const fields = Object.entries(metadata[row] ?? {}).slice(0, TIP_FIELDS)
    if (isNew)
      this.#tip.replaceChildren(
        html('b', {}, String(ids[row])),
        ...fields.map(([key, value]) =>
          html(
            'div',
            { class: key === field ? 'coloured' : undefined },
            html('span', {}, `${key} `),
            shortened(typeof value === 'number' ? shownNumber(value) : shownValue(value)),
          ),
        ),
      )
    const { points } = this.#components
    const [x, y] = this.#view.scale()(points[row * 2] as number, points[row * 2 + 1] as number)
    const { clientWidth, clientHeight } = this.#canvas
    const { offsetWidth, offsetHeight } = this.#tip
    const left = x + 14 + offsetWidth > clientWidth ? x - 14 - offsetWidth : x + 14
    this.#tip.style.left = `${Math.max(0, left)}px`
    this.#tip.style.top = `${Math.max(0, Math.min(clientHeight - offsetHeight, y - 12))}px`
  }

  #pick(row: number): void {
    const id = this.#sample?.ids[row]
    if (id !== undefined) this.#onPick(id)
  }

  #onKey(event: KeyboardEvent): void {
    if (this.#components === undefined) return
    const { points } = this.#components
    const x = (row: number) => points[row * 2] as number
    const order = Array.from({ length: points.length / 2 }, (_, row) => row)
      .filter((row) => this.#isShown(row))
      .sort((a, b) => x(a) - x(b))
    const at = this.#pointed === undefined ? -1 : order.indexOf(this.#pointed)
    const moves: Record<string, number> = {
      ArrowRight: Math.min(order.length - 1, at + 1),
      ArrowLeft: Math.max(0, at - 1),
      Home: 0,
      End: order.length - 1,
    }
    const zooms: Record<string, number> = { '+': 1.6, '-': 1 / 1.6 }
    if (event.key in zooms) this.#view.zoom(zooms[event.key] as number)
    else if (event.key === '0') this.#view.whole()
    else if (event.key === 'Enter' && this.#pointed !== undefined) this.#pick(this.#pointed)
    else if (event.key === 'Escape') this.#point(undefined)
    else if (event.key in moves) this.#point(order[moves[event.key] as number])
    else return
    event.preventDefault()
  }
}

function dot(pen: CanvasRenderingContext2D, [x, y]: Place, radius: number): void {
  pen.beginPath()
  pen.arc(x, y, radius, 0, 2 * Math.PI)
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
