/**
 * Decimals of Parquet as numbers, if a number tells them exactly.
 *
 * The library multiplies the unscaled integer by a power of ten, which is off by a last bit now and
 * then: rounding to the column's scale mends that while there are no more than fifteen digits.
 * Longer ones are refused, as are those within lists and objects (parquet-types.ts).
 */

import { OmenError } from '../../errors.js'
import type { ParquetLibrary } from './parquet-library.js'

type Node = ReturnType<ParquetLibrary['parquetSchema']>

const UNSCALED_MAX = 1e15

/** Mends the values of one column in place. */
export type Mend = (values: ArrayLike<unknown>, row: number) => ArrayLike<unknown>

/** By column; columns without decimals are left out. */
export function decimalColumns(schema: Node, names: string[], file: string): Map<string, Mend> {
  const found = new Map<string, Mend>()
  for (const node of schema.children) {
    const { name, scale = 0, converted_type } = node.element
    if (!names.includes(name) || converted_type !== 'DECIMAL') continue
    found.set(name, (values, row) =>
      Array.from(values, (value, i) => {
        if (typeof value !== 'number') return value
        if (Math.abs(value) * 10 ** scale < UNSCALED_MAX) return Number(value.toFixed(scale))
        const message = `${file}: row ${row + i}: the decimal in '${name}' has more than 15 digits`
        const details = { row: row + i }
        throw new OmenError('ERR_METADATA', `${message}; keep it as a text`, { details })
      }),
    )
  }
  return found
}
