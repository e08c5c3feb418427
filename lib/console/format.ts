/** Figures as the page writes them. */

const number = new Intl.NumberFormat('en')

export function shownCount(value: number): string {
  return number.format(value)
}

export function shownBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** Three digits that matter. */
export function shownNumber(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e9 || size < 1e-4) return value.toExponential(2)
  return size >= 1000 ? number.format(Math.round(value)) : String(Number(value.toPrecision(3)))
}

export function shownMs(ms: number | undefined): string {
  if (ms === undefined) return '–'
  return ms >= 1000 ? `${shownNumber(ms / 1000)} s` : `${shownNumber(ms)} ms`
}

export function shownShare(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

/** A value of metadata in one line. */
export function shownValue(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Date) return value.toISOString().replace('T00:00:00.000Z', '')
  if (Array.isArray(value) && value.every((part) => typeof part !== 'object')) {
    return value.join(', ')
  }
  return value === undefined ? '' : JSON.stringify(value)
}
