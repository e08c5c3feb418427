/**
 * Progress of long work, on stderr: a bar that is drawn anew on a terminal, a line every ten
 * seconds elsewhere, nothing when it is not wanted.
 */

const BAR_WIDTH = 24
const DRAW_MS = 100
const LINE_MS = 10_000

export class Progress {
  readonly #started = performance.now()
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
    readonly label: string,
    readonly unit: string,
    readonly isSilent: boolean,
  ) {}

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
    if (part !== undefined && part > 0) {
      const share = Math.min(1, part)
      const filled = Math.round(share * BAR_WIDTH)
      const bar = `${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}`
      const percent = `${Math.floor(share * 100)} %`
      text = `${this.#isTerminal ? `[${bar}] ` : ''}${percent}  ${text}`
      const left = (done / share - done) / Math.max(rate, 1e-9)
      if (share < 1 && done > this.#first) text += `  ${duration(left)} left`
    }
    if (this.#isTerminal) {
      const columns = process.stderr.columns || 80
      process.stderr.write(`\r\u001b[K${text.slice(0, columns - 1)}`)
      this.#hasLine = true
    } else process.stderr.write(`${text}\n`)
  }

  /** Takes the bar away, so that other lines can be written. */
  clear(): void {
    if (this.#hasLine) process.stderr.write('\r\u001b[K')
    this.#hasLine = false
  }
}

/** `3 s`, `2 min 5 s`, `1 h 3 min`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
}
