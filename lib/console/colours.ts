/**
 * Colours of points by a field of their metadata: a palette where it has few values, a scale where
 * it is a number or a date.
 */

import type { Metadata } from 'omendb/client'
import { shownNumber, shownValue } from './format.js'

/** Ten that can be told apart, on light and on dark. */
const PALETTE = [
  '#4269d0',
  '#efb118',
  '#e4572e',
  '#3ca951',
  '#a463f2',
  '#38b2c4',
  '#ff8ab7',
  '#9c6b4e',
  '#7a8b1f',
  '#97bbf5',
]
export const GREY = '#9498a0'
const SCALE = ['#3f51d6', '#1799c7', '#2fb380', '#b5bd2b', '#f5a623'] as const
const CATEGORIES_MAX = PALETTE.length
const DEPTH_MAX = 3

export interface Category {
  readonly label: string
  readonly count: number
  readonly colour: string
}

export interface Colouring {
  /** By row. */
  readonly colours: readonly string[]
  /** By row: the place of its value in `categories`. */
  readonly classes?: readonly number[]
  readonly categories?: readonly Category[]
  readonly scale?: {
    readonly from: string
    readonly to: string
    readonly colours: readonly string[]
  }
}

/** Values of a field, one for each row; arrays count by their first element. */
function valuesOf(metadata: readonly Metadata[], path: string): unknown[] {
  const parts = path.split('.')
  return metadata.map((record) => {
    let value: unknown = record
    for (const part of parts) value = (value as Metadata | undefined | null)?.[part]
    return Array.isArray(value) ? value[0] : value
  })
}

function isLeaf(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value) || value instanceof Date
}

/** Dotted paths of all fields that could colour, the more telling first. */
export function fieldsOf(metadata: readonly Metadata[]): string[] {
  const paths = new Set<string>()
  const walk = (value: unknown, path: string, depth: number): void => {
    const first = Array.isArray(value) ? value[0] : value
    if (isLeaf(first)) paths.add(path)
    else if (typeof value === 'object' && value !== null && !Array.isArray(value) && depth > 0)
      for (const [key, part] of Object.entries(value))
        walk(part, path === '' ? key : `${path}.${key}`, depth - 1)
  }
  for (const record of metadata.slice(0, 500)) walk(record, '', DEPTH_MAX)
  const worth = new Map([...paths].map((path) => [path, worthOf(valuesOf(metadata, path))]))
  return [...paths].sort((a, b) => (worth.get(b) as number) - (worth.get(a) as number))
}

/** Few values tell the most, then numbers, then texts that repeat; what is always new, nothing. */
function worthOf(values: readonly unknown[]): number {
  const there = values.filter((value) => value !== undefined && value !== null)
  const distinct = new Set(there.map(keyOf)).size
  const share = there.length / Math.max(1, values.length)
  if (distinct < 2) return 0
  if (distinct <= CATEGORIES_MAX) return 3 * share
  if (there.every((value) => orderOf(value) !== undefined)) return 2 * share
  return share * (1 - distinct / there.length)
}

function orderOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  return value instanceof Date ? value.getTime() : undefined
}

function keyOf(value: unknown): string {
  return `${typeof value} ${shownValue(value)}`
}

export function colouringOf(metadata: readonly Metadata[], path: string | undefined): Colouring {
  if (path === undefined) return { colours: metadata.map(() => PALETTE[0] as string) }
  const values = valuesOf(metadata, path)
  const there = values.filter((value) => value !== undefined && value !== null)
  const distinct = new Set(there.map(keyOf)).size
  const isOrdered = there.length > 0 && there.every((value) => orderOf(value) !== undefined)
  return isOrdered && distinct > CATEGORIES_MAX ? scaled(values) : categorized(values, isOrdered)
}

function scaled(values: readonly unknown[]): Colouring {
  const orders = values.map(orderOf)
  const sorted = orders.filter((order) => order !== undefined).sort((a, b) => a - b)
  // What lies far out would leave one colour for all the rest.
  const [low, high] = [0.01, 0.99].map((q) => sorted[Math.round(q * (sorted.length - 1))] as number)
  const span = (high as number) - (low as number) || 1
  const shown = (order: number): string =>
    values.some((value) => value instanceof Date)
      ? shownValue(new Date(order)).slice(0, 10)
      : shownNumber(order)
  return {
    colours: orders.map((order) =>
      order === undefined ? GREY : blended((order - (low as number)) / span),
    ),
    scale: {
      from: shown(low as number),
      to: shown(high as number),
      colours: Array.from({ length: 24 }, (_, i) => blended(i / 23)),
    },
  }
}

function blended(at: number): string {
  const place = Math.max(0, Math.min(1, at)) * (SCALE.length - 1)
  const i = Math.min(SCALE.length - 2, Math.floor(place))
  const part = (colour: string, c: number) =>
    Number.parseInt(colour.slice(1 + 2 * c, 3 + 2 * c), 16)
  const [a, b] = [SCALE[i] as string, SCALE[i + 1] as string]
  const mixed = [0, 1, 2].map((c) =>
    Math.round(part(a, c) + (place - i) * (part(b, c) - part(a, c))),
  )
  return `rgb(${mixed.join(' ')})`
}

function categorized(values: readonly unknown[], isOrdered: boolean): Colouring {
  const counts = new Map<string, { value: unknown; count: number }>()
  for (const value of values) {
    if (value === undefined || value === null) continue
    const entry = counts.get(keyOf(value)) ?? { value, count: 0 }
    counts.set(keyOf(value), { value, count: entry.count + 1 })
  }
  const most = [...counts].sort(([, a], [, b]) => b.count - a.count).slice(0, CATEGORIES_MAX)
  if (isOrdered)
    most.sort(([, a], [, b]) => (orderOf(a.value) as number) - (orderOf(b.value) as number))
  const place = new Map(most.map(([key], i) => [key, i]))
  const classes = values.map((value) => place.get(keyOf(value)) ?? most.length)
  const categories: Category[] = most.map(([, { value, count }], i) => ({
    label: shownValue(value),
    count,
    colour: PALETTE[i] as string,
  }))
  const others = classes.filter((c) => c === most.length).length
  if (others > 0) categories.push({ label: 'others', count: others, colour: GREY })
  return { colours: classes.map((c) => PALETTE[c] ?? GREY), classes, categories }
}
