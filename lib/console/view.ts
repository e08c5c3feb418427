/**
 * View: which part of the plane the canvas shows. All of it at first, both axes alike; nearer by
 * buttons, keys or Ctrl and the wheel, moved by dragging.
 */

const MARGIN_PX = 26
const ZOOM_MAX = 200
/** A pointer that moves less is clicking. */
const CLICK_PX = 4

export type Place = readonly [number, number]

interface Box {
  left: number
  right: number
  low: number
  high: number
}

export class View {
  readonly #canvas: HTMLCanvasElement
  readonly #onChange: () => void
  #box: Box = { left: 0, right: 1, low: 0, high: 1 }
  #zoom = 1
  /** Where the middle of the plane lies, from the middle of the canvas, in pixels. */
  #shift: Place = [0, 0]
  #wasDragged = false

  constructor(canvas: HTMLCanvasElement, onChange: () => void) {
    this.#canvas = canvas
    this.#onChange = onChange
    canvas.addEventListener('pointerdown', (down) => this.#drag(down))
    canvas.addEventListener(
      'wheel',
      (event) => {
        // The wheel alone scrolls the page.
        if (!event.ctrlKey && !event.metaKey) return
        event.preventDefault()
        this.zoom(Math.exp(-event.deltaY / 300), [event.offsetX, event.offsetY])
      },
      { passive: false },
    )
  }

  /** Whether the click that comes is the end of a drag. */
  get wasDragged(): boolean {
    return this.#wasDragged
  }

  /** @param points  Two coordinates each. */
  fit(points: Float32Array): void {
    const box = { left: 0, right: 0, low: 0, high: 0 }
    for (let i = 0; i < points.length; i += 2) {
      const [x, y] = [points[i] as number, points[i + 1] as number]
      box.left = Math.min(box.left, x)
      box.right = Math.max(box.right, x)
      box.low = Math.min(box.low, y)
      box.high = Math.max(box.high, y)
    }
    this.#box = box
    this.whole()
  }

  whole(): void {
    this.#zoom = 1
    this.#shift = [0, 0]
    this.#onChange()
  }

  /** @param at  What stays where it is; left out: the middle of the canvas. */
  zoom(factor: number, at?: Place): void {
    const { clientWidth, clientHeight } = this.#canvas
    const zoom = Math.max(1, Math.min(ZOOM_MAX, this.#zoom * factor))
    const applied = zoom / this.#zoom
    const [x, y] = at ?? [clientWidth / 2, clientHeight / 2]
    const [fromX, fromY] = [x - clientWidth / 2, y - clientHeight / 2]
    const [shiftX, shiftY] = this.#shift
    this.#zoom = zoom
    this.#shift =
      zoom === 1 ? [0, 0] : [fromX + (shiftX - fromX) * applied, fromY + (shiftY - fromY) * applied]
    this.#onChange()
  }

  /** From the plane to the canvas. */
  scale(): (x: number, y: number) => Place {
    const { clientWidth: width, clientHeight: height } = this.#canvas
    const { left, right, low, high } = this.#box
    const across = (width - 2 * MARGIN_PX) / (right - left || 1)
    const up = (height - 2 * MARGIN_PX) / (high - low || 1)
    const one = Math.min(across, up) * this.#zoom
    const [midX, midY] = [(left + right) / 2, (low + high) / 2]
    const [shiftX, shiftY] = this.#shift
    return (x, y) => [width / 2 + shiftX + (x - midX) * one, height / 2 + shiftY - (y - midY) * one]
  }

  #drag(down: PointerEvent): void {
    const canvas = this.#canvas
    const [shiftX, shiftY] = this.#shift
    this.#wasDragged = false
    if (this.#zoom === 1 || down.button !== 0) return
    const stop = new AbortController()
    const { signal } = stop
    const onMove = (move: PointerEvent): void => {
      const [x, y] = [move.clientX - down.clientX, move.clientY - down.clientY]
      if (!this.#wasDragged && Math.hypot(x, y) < CLICK_PX) return
      this.#wasDragged = true
      if (!canvas.hasPointerCapture(down.pointerId)) canvas.setPointerCapture(down.pointerId)
      this.#shift = [shiftX + x, shiftY + y]
      this.#onChange()
    }
    canvas.addEventListener('pointermove', onMove, { signal })
    for (const end of ['pointerup', 'pointercancel'] as const)
      canvas.addEventListener(end, () => stop.abort(), { signal })
  }
}
