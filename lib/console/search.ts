/**
 * Search: the form and what it finds. A search starts from a record's id or from a pasted vector;
 * each hit starts the next.
 */

import type { Collection, CollectionStats, Hit, Id, Metadata } from 'omendb/client'
import { byId, definitions, html } from './dom.js'
import { failureOf } from './failure.js'
import { shownCount, shownMs, shownNumber, shownValue } from './format.js'
import { InputError, readFilter, readId, readInteger, readVector } from './input.js'

const FIELDS_MAX = 5
const TEXT_MAX = 160
/** Texts up to this long stay in one line. */
const LINE_MAX = 28
const K_MAX = 10_000
/** Hits whose vectors are fetched, to be ringed. */
const RINGED_MAX = 100

interface Asked {
  readonly vector: Float32Array
  /** The record that the search starts from. */
  readonly id: Id | undefined
}

export interface SearchEvents {
  /** One search was answered. */
  onSearch(ms: number): void
  onHits(query: Float32Array, hits: readonly Float32Array[]): void
}

export class Search {
  readonly #events: SearchEvents
  readonly #form = byId<HTMLFormElement>('search')
  readonly #message = byId('search-message')
  readonly #results = byId('results')
  #collection: Collection | undefined
  #stats: CollectionStats | undefined
  #stop = new AbortController()

  constructor(events: SearchEvents) {
    this.#events = events
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      const explains = (event.submitter as HTMLButtonElement | null)?.value === 'explain'
      void (explains ? this.#explain() : this.#run())
    })
    for (const input of this.#form.elements)
      if ((input as HTMLInputElement).name === 'by')
        input.addEventListener('change', () => this.#showInput())
    this.#showInput()
  }

  /** Another collection was chosen, or its figures have changed. */
  use(collection: Collection | undefined, stats: CollectionStats | undefined): void {
    const isOther = this.#collection !== collection
    this.#collection = collection
    this.#stats = stats
    if (!isOther) return
    this.#stop.abort()
    this.#say('')
    byId('plan').replaceChildren()
    this.#results.replaceChildren()
    byId<HTMLInputElement>('query-id').value = ''
    byId<HTMLTextAreaElement>('query-vector').value = ''
    byId<HTMLTextAreaElement>('filter').value = ''
  }

  /** Searches for what is near this record. */
  from(id: Id): void {
    const isAmbiguous = typeof id === 'string' && (/^\d+$/.test(id) || /^".*"$/s.test(id))
    byId<HTMLInputElement>('query-id').value = isAmbiguous ? JSON.stringify(id) : String(id)
    byId<HTMLInputElement>('by-id').checked = true
    this.#showInput()
    void this.#run()
  }

  #showInput(): void {
    const byVector = byId<HTMLInputElement>('by-vector').checked
    byId('field-id').hidden = byVector
    byId('field-vector').hidden = !byVector
  }

  #say(text: string, isWrong = false): void {
    this.#message.textContent = text
    this.#message.classList.toggle('wrong', isWrong)
  }

  #options() {
    const text = (id: string) => byId<HTMLInputElement>(id).value
    const k = readInteger(text('k'), 'k', K_MAX)
    const ef = readInteger(text('ef'), 'ef', K_MAX)
    const filter = readFilter(text('filter'))
    return { ...(k && { k }), ...(ef && { ef }), ...(filter && { filter }) }
  }

  async #asked(collection: Collection, signal: AbortSignal): Promise<Asked> {
    if (byId<HTMLInputElement>('by-vector').checked) {
      const text = byId<HTMLTextAreaElement>('query-vector').value
      return { vector: readVector(text, this.#stats?.dimensions ?? 0), id: undefined }
    }
    const ids = readId(byId<HTMLInputElement>('query-id').value)
    const rows = await collection.get(ids, { include: 'vector', signal })
    const row = rows.find((found) => found !== undefined)
    if (row !== undefined) return { vector: row.vector, id: row.id }
    throw new InputError(`No record of this collection has the id ${String(ids[0])}.`)
  }

  /** Runs `work` in place of what runs, and tells what is wrong. */
  async #alone(work: (collection: Collection, signal: AbortSignal) => Promise<void>) {
    if (this.#collection === undefined) return
    this.#stop.abort()
    const stop = new AbortController()
    this.#stop = stop
    this.#form.setAttribute('aria-busy', 'true')
    byId('plan').replaceChildren()
    if (this.#message.classList.contains('wrong')) this.#say('')
    try {
      await work(this.#collection, stop.signal)
    } catch (error) {
      if (stop.signal.aborted) return
      this.#say(error instanceof InputError ? error.message : failureOf(error), true)
    } finally {
      if (this.#stop === stop) this.#form.removeAttribute('aria-busy')
    }
  }

  #run(): Promise<void> {
    return this.#alone(async (collection, signal) => {
      const options = this.#options()
      const { vector, id } = await this.#asked(collection, signal)
      const startMs = performance.now()
      const hits = await collection.search(vector, { ...options, signal })
      const ms = performance.now() - startMs
      this.#events.onSearch(ms)
      this.#say(hits.length === 0 ? 'Nothing was found.' : summary(hits.length, ms))
      this.#show(hits, id)
      const few = hits.slice(0, RINGED_MAX).map((hit) => hit.id)
      const rows = await collection.get(few, { include: 'vector', signal })
      this.#events.onHits(
        vector,
        rows.flatMap((row) => (row === undefined ? [] : [row.vector])),
      )
    })
  }

  #explain(): Promise<void> {
    return this.#alone(async (collection, signal) => {
      const options = this.#options()
      const { vector } = await this.#asked(collection, signal)
      const plan = await collection.explain(vector, { ...options, signal })
      byId('plan').replaceChildren(
        definitions([
          ['Plan', `${plan.plan}${plan.fallback ? ', then an exact scan' : ''}`],
          ['Records that match', shownCount(plan.matches)],
          ['Distances', shownCount(plan.rowsScored)],
          ['Re-ranked', shownCount(plan.reranked)],
          ['Hops', shownCount(plan.hops)],
          ['ef', shownCount(plan.ef)],
          ['In the engine', shownMs(plan.nativeNs / 1e6)],
        ]),
      )
    })
  }

  #show(hits: readonly Hit<Metadata>[], self: Id | undefined): void {
    if (hits.length === 0) {
      this.#results.replaceChildren()
      return
    }
    const fields = fieldsOf(hits)
    const score = SCORES[this.#stats?.metric ?? 'l2']
    const numbers = new Set([...NUMBERS, ...fields.filter((field) => isNumeric(hits, field))])
    const head = ['', 'id', 'distance', ...(score ? [score.name] : []), ...fields]
    const body = hits.map((hit, i) => {
      const start = html('button', { type: 'button', title: 'Search from this record' })
      start.append(String(hit.id))
      start.addEventListener('click', () => this.from(hit.id))
      const cells = [
        html('td', { class: 'rank' }, String(i + 1)),
        html('th', { scope: 'row' }, start),
        html(
          'td',
          { class: 'number' },
          `${hit.approximate ? '≈ ' : ''}${shownNumber(hit.distance)}`,
        ),
        ...(score ? [html('td', { class: 'number' }, shownNumber(score.of(hit.distance)))] : []),
        ...fields.map((field) => cell(hit.metadata[field], numbers.has(field))),
      ]
      return html('tr', { class: hit.id === self ? 'self' : undefined }, ...cells)
    })
    const header = head.map((name) =>
      name === ''
        ? html('td')
        : html('th', { scope: 'col', class: numbers.has(name) ? 'number' : undefined }, name),
    )
    this.#results.replaceChildren(
      html(
        'table',
        {},
        html('caption', { class: 'unseen' }, 'Hits, nearest first'),
        html('thead', {}, html('tr', {}, ...header)),
        html('tbody', {}, ...body),
      ),
    )
  }
}

const NUMBERS = new Set(['distance', 'similarity', 'dot product'])

/** What people call the distance elsewhere. */
const SCORES = {
  cosine: { name: 'similarity', of: (distance: number) => 1 - distance },
  dot: { name: 'dot product', of: (distance: number) => -distance },
  l2: undefined,
}

function summary(count: number, ms: number): string {
  return `${shownCount(count)} ${count === 1 ? 'hit' : 'hits'} in ${shownMs(ms)}`
}

/** The fields that most hits have. */
function fieldsOf(hits: readonly Hit<Metadata>[]): string[] {
  const counts = new Map<string, number>()
  for (const { metadata } of hits)
    for (const key of Object.keys(metadata)) counts.set(key, (counts.get(key) ?? 0) + 1)
  const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, FIELDS_MAX)
  const kept = new Set(most.map(([key]) => key))
  return [...counts.keys()].filter((key) => kept.has(key))
}

/** Whether it holds numbers alone: they stand under each other by their digits. */
function isNumeric(hits: readonly Hit<Metadata>[], field: string): boolean {
  return hits.every(({ metadata }) => ['number', 'undefined'].includes(typeof metadata[field]))
}

function cell(value: unknown, isNumber: boolean): HTMLElement {
  const text = shownValue(value)
  const isLong = text.length > TEXT_MAX
  const shown = isLong ? `${text.slice(0, TEXT_MAX - 1)}…` : text
  const kind = isNumber ? 'number' : text.length > LINE_MAX ? 'long' : undefined
  return html('td', { class: kind, title: isLong ? text : undefined }, shown)
}
