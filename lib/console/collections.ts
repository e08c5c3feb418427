/** The list of collections, the figures of the database, and those of the chosen collection. */

import type { CollectionStats } from 'omendb/client'
import { byId, definitions, html } from './dom.js'
import { shownBytes, shownCount } from './format.js'
import type { Figures } from './link.js'
import { sumOf } from './prometheus.js'

export class CollectionList {
  readonly #onChoose: (name: string) => void
  #shown = ''

  constructor(onChoose: (name: string) => void) {
    this.#onChoose = onChoose
  }

  show(collections: readonly CollectionStats[], chosen: string | undefined): void {
    byId('collection-count').textContent = shownCount(collections.length)
    const rows = collections.map((c) => [c.name, shapeOf(c), String(c.name === chosen)] as const)
    // Made anew only where something has changed, so that the focus stays.
    const shown = JSON.stringify(rows)
    if (shown === this.#shown) return
    this.#shown = shown
    const focused = (document.activeElement as HTMLElement | null)?.dataset.collection
    byId('collections').replaceChildren(
      ...rows.map(([name, shape, isChosen]) => {
        const button = html(
          'button',
          { type: 'button', 'aria-pressed': isChosen, 'data-collection': name },
          html('span', { class: 'name' }, name),
          html('span', { class: 'shape' }, shape),
        )
        button.addEventListener('click', () => this.#onChoose(name))
        const item = html('li', {}, button)
        if (name === focused) queueMicrotask(() => button.focus())
        return item
      }),
    )
  }
}

function shapeOf({ count, dimensions, metric, quantization }: CollectionStats): string {
  const size = dimensions === 0 ? 'no vectors yet' : `${shownCount(count)} × ${dimensions}`
  return `${size} · ${metric} · ${quantization}`
}

/** Figures of the database, and of what changed since the last round. */
export class DatabaseFigures {
  #last: { atMs: number; requests: number; rows: number } | undefined

  show({ stats, metrics, atMs }: Figures): void {
    const rows = stats.collections.reduce((sum, { count }) => sum + count, 0)
    const requests = sumOf(metrics, 'omendb_requests_total')
    const before = this.#last
    this.#last = { atMs, requests, rows }
    const seconds = before === undefined ? 0 : (atMs - before.atMs) / 1000
    const rate = (now: number, then: number | undefined): string =>
      seconds > 0 && then !== undefined && now >= then
        ? shownCount(Math.round((now - then) / seconds))
        : '–'
    const { bytes, bytesLimit, storage, simd, threads } = stats
    const limit = bytesLimit > 0 ? `of ${shownBytes(bytesLimit)}` : 'no limit'
    const tiles: (readonly [string, string, string])[] = [
      ['Records', shownCount(rows), `${rate(rows, before?.rows)} new a second`],
      ['Memory', shownBytes(bytes), limit],
      storage === undefined
        ? ['On disk', 'none', 'the database is in memory or read-only']
        : [
            'On disk',
            shownBytes(storage.snapshotBytes + storage.logBytes),
            `log ${shownBytes(storage.logBytes)}`,
          ],
      ['Requests', `${rate(requests, before?.requests)}/s`, `${shownCount(requests)} in all`],
      ['Engine', simd, `${threads} ${threads === 1 ? 'thread' : 'threads'}`],
    ]
    byId('figures').replaceChildren(
      ...tiles.map(([name, value, note]) =>
        html('div', {}, html('dt', {}, name), html('dd', {}, html('b', {}, value), note)),
      ),
    )
    const failure = byId('checkpoint-failure')
    failure.hidden = !storage?.checkpointError
    failure.textContent = `The last snapshot could not be written: ${storage?.checkpointError}`
  }
}

export function showCollection(stats: CollectionStats): void {
  byId('collection-name').textContent = stats.name
  const { count, bytes, dimensions } = stats
  const each = count === 0 ? '–' : shownBytes(bytes.total / count)
  const codes = stats.quantization === 'none' ? '' : stats.trained ? ', in use' : ', not yet in use'
  const originals = stats.keepVectors ? '' : ', originals not kept'
  byId('collection-figures').replaceChildren(
    definitions([
      ['Records', shownCount(count)],
      ['Dimensions', dimensions === 0 ? 'not fixed yet' : shownCount(dimensions)],
      ['Metric', stats.metric],
      ['Quantization', `${stats.quantization}${codes}${originals}`],
      ['Graph', `m ${stats.m}, efConstruction ${stats.efConstruction}, ${stats.levels + 1} layers`],
      ['Deleted', shownCount(stats.deleted)],
      ['Memory', shownBytes(bytes.total)],
      ['A record', each],
      ['Fields', shownCount(stats.indexedFields)],
    ]),
  )
}
