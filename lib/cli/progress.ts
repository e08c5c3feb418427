/**
 * Progress of long work, on stderr: a bar that is drawn anew on a terminal, a line every ten
 * seconds elsewhere, nothing when it is not wanted.
 */

const BAR_WIDTH = 24
const BAR_WIDTH_MIN = 8
const DRAW_MS = 100
const LINE_MS = 10_000

export class Progress {
  readonly #started = performance.now()
  readonly label: string
  readonly #isTerminal = process.stderr.isTTY === true
  #drawn = 0
  #first = 0
  #hasLine = false

  /**
   * @param label  What it is about: a file's name.
   * @param unit  What is counted: `rows`.
   * @param isSilent  Nothing is written.
   */
  constructor(
    label: string,
    readonly unit: string,
    readonly isSilent: boolean,
  ) {
    // A file's name may hold what moves the cursor.
    this.label = label.replace(/\p{Cc}/gu, '?')
  }

  /** Counting begins here: what was done by an earlier run is no part of the rate. */
  begin(done: number): void {
    this.#first = done
  }

  /** @param part  From 0 to 1, where the end is known. */
  update(done: number, part: number | undefined): void {
    if (this.isSilent) return
    const now = performance.now()
    if (now - this.#drawn < (this.#isTerminal ? DRAW_MS : LINE_MS)) return
    if (!this.#isTerminal && this.#drawn === 0 && now - this.#started < LINE_MS) return
    this.#drawn = now
    const seconds = (now - this.#started) / 1000
    const rate = (done - this.#first) / Math.max(seconds, 1e-3)
    let text = `${this.label}  ${done.toLocaleString('en')} ${this.unit}`
    text += `  ${Math.round(rate).toLocaleString('en')}/s`
    const share = part === undefined ? undefined : Math.min(1, Math.max(0, part))
    if (share !== undefined) {
      text = `${Math.floor(share * 100)} %  ${text}`
      const left = (done / share - done) / Math.max(rate, 1e-9)
      if (share > 0 && share < 1 && done > this.#first) text += `  ${duration(left)} left`
    }
    if (this.#isTerminal) {
      // The last column stays free: some terminals begin a new line behind it.
      const columns = (process.stderr.columns || 80) - 1
      process.stderr.write(`\r\u001b[K${fitted(share, text, columns)}`)
      this.#hasLine = true
    } else process.stderr.write(`${text}\n`)
  }

  /** Takes the bar away, so that other lines can be written. */
  clear(): void {
    if (this.#hasLine) process.stderr.write('\r\u001b[K')
    this.#hasLine = false
  }
}

// Characters that take two columns: East Asian ones, and pictures.
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\u{1f300}-\u{1faff}]/u

/** As much as fits: first what is known, then a bar before it, if there is room for one. */
export function fitted(share: number | undefined, text: string, columns: number): string {
  let used = 0
  let cut = ''
  for (const character of text) {
    used += WIDE.test(character) ? 2 : 1
    if (used > columns) return cut
    cut += character
  }
  const width = Math.min(BAR_WIDTH, columns - used - 3)
  if (share === undefined || width < BAR_WIDTH_MIN) return text
  const filled = Math.round(share * width)
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}] ${text}`
}

/** `3 s`, `2 min 5 s`, `1 h 3 min`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
}
