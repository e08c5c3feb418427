/**
 * The console's page: what happens when figures come, a collection is chosen, the server goes away
 * or asks for a key.
 */

import type { Collection, CollectionStats, OmenError } from 'omendb/client'
import { CollectionList, DatabaseFigures, showCollection } from './collections.js'
import { byId } from './dom.js'
import { failureOf } from './failure.js'
import { Latency } from './latency.js'
import { type Figures, Link } from './link.js'
import { Projection } from './projection.js'
import { Search } from './search.js'

/** Collections up to this size are sampled when they are chosen; larger ones when asked. */
const SAMPLED_AT_ONCE = 200_000

class Page {
  readonly #latency = new Latency()
  readonly #projection = new Projection((id) => this.#search.from(id))
  readonly #search = new Search({
    onSearch: (ms) => this.#latency.observe(ms),
    onHits: (query, hits) => this.#projection.mark(query, hits),
  })
  readonly #list = new CollectionList((name) => this.#choose(name))
  readonly #figures = new DatabaseFigures()
  readonly #link = new Link({
    onFigures: (figures) => this.#onFigures(figures),
    onFailure: (error, againMs) => this.#onFailure(error, againMs),
  })
  #collections: readonly CollectionStats[] = []
  #name: string | undefined
  #collection: Collection | undefined
  /** What is under way for the chosen collection. */
  #work = new AbortController()
  #bench: AbortController | undefined

  start(): void {
    byId('address').textContent = this.#link.base.replace(/^https?:\/\//, '')
    byId('any').addEventListener('click', () => this.#searchAny())
    byId('sample').addEventListener('click', () => void this.#sample())
    byId('bench').addEventListener('click', () => void this.#runBench())
    byId('retry').addEventListener('click', () => this.#link.ask())
    this.#wireKey()
    addEventListener('hashchange', () => this.#choose(nameInAddress()))
    this.#link.ask()
  }

  #wireKey(): void {
    const dialog = byId<HTMLDialogElement>('key-dialog')
    const input = byId<HTMLInputElement>('key')
    byId('key-open').addEventListener('click', () => this.#askKey(''))
    byId('key-cancel').addEventListener('click', () => dialog.close())
    dialog.addEventListener('close', () => {
      input.value = ''
    })
    byId('key-form').addEventListener('submit', (event) => {
      event.preventDefault()
      try {
        this.#link.setKey(input.value.trim())
        dialog.close()
      } catch (error) {
        byId('key-message').textContent = failureOf(error)
      }
    })
  }

  #askKey(message: string): void {
    byId('key-message').textContent = message
    const dialog = byId<HTMLDialogElement>('key-dialog')
    if (!dialog.open) dialog.showModal()
  }

  #onFigures(figures: Figures): void {
    this.#status('connected', '')
    byId('key-open').textContent = this.#link.hasKey ? 'Key set' : 'API key'
    this.#collections = figures.stats.collections
    this.#figures.show(figures)
    this.#latency.onFigures(figures)
    const wanted = this.#name ?? nameInAddress()
    const has = (name: string | undefined) => this.#collections.some((c) => c.name === name)
    const fallback = [...this.#collections].sort((a, b) => b.count - a.count)[0]?.name
    const name = has(wanted) ? wanted : fallback
    byId('empty').hidden = name !== undefined
    byId('collection').hidden = name === undefined
    if (name !== this.#name) this.#choose(name)
    else this.#show()
  }

  #show(): void {
    this.#list.show(this.#collections, this.#name)
    const stats = this.#stats()
    if (stats !== undefined) showCollection(stats)
    this.#search.use(this.#collection, stats)
  }

  #stats(): CollectionStats | undefined {
    return this.#collections.find(({ name }) => name === this.#name)
  }

  #choose(name: string | undefined): void {
    const stats = this.#collections.find((c) => c.name === name)
    if (name === this.#name || (name !== undefined && stats === undefined)) return
    this.#work.abort()
    this.#bench?.abort()
    this.#work = new AbortController()
    this.#name = name
    this.#collection = undefined
    this.#projection.clear()
    this.#show()
    if (name === undefined) return
    history.replaceState(null, '', `#${encodeURIComponent(name)}`)
    void this.#open(name)
  }

  async #open(name: string): Promise<void> {
    const { signal } = this.#work
    try {
      const collection = await this.#link.collection(name)
      if (signal.aborted) return
      this.#collection = collection
      this.#show()
      const { count = 0, dimensions = 0 } = this.#stats() ?? {}
      if (dimensions > 0 && count > 0 && count <= SAMPLED_AT_ONCE) await this.#sample()
      else byId('projection-note').textContent = count === 0 ? 'No records yet.' : 'Not drawn yet.'
    } catch (error) {
      // It is opened again when the server is back.
      if (!signal.aborted) this.#name = undefined
      if (!signal.aborted) byId('projection-note').textContent = failureOf(error)
    }
  }

  async #sample(): Promise<void> {
    const stats = this.#stats()
    if (this.#collection === undefined || stats === undefined || stats.count === 0) return
    const { signal } = this.#work
    const button = byId<HTMLButtonElement>('sample')
    button.disabled = true
    try {
      await this.#projection.load(this.#collection, stats, signal)
    } catch (error) {
      if (!signal.aborted) byId('projection-note').textContent = failureOf(error)
    } finally {
      button.disabled = false
    }
  }

  #searchAny(): void {
    const ids = this.#projection.sample?.ids ?? []
    const id = ids[Math.floor(Math.random() * ids.length)]
    if (id !== undefined) this.#search.from(id)
  }

  async #runBench(): Promise<void> {
    if (this.#bench !== undefined) {
      this.#bench.abort()
      return
    }
    const note = byId('bench-note')
    const button = byId('bench')
    const stop = new AbortController()
    this.#bench = stop
    button.textContent = 'Stop'
    try {
      if (this.#projection.sample === undefined) await this.#sample()
      const { sample } = this.#projection
      if (this.#collection === undefined || sample === undefined || sample.ids.length === 0) {
        note.textContent = 'There are no records to search for.'
        return
      }
      note.textContent = 'Searching for records of the sample…'
      const atOnce = Number(byId<HTMLSelectElement>('bench-at-once').value)
      const settings = { atOnce, k: 10 }
      note.textContent = await this.#latency.bench(this.#collection, sample, settings, stop.signal)
    } catch (error) {
      note.textContent = failureOf(error)
    } finally {
      this.#bench = undefined
      button.textContent = 'Run for 5 s'
    }
  }

  #onFailure(error: OmenError, againMs: number | undefined): void {
    if (error.code === 'ERR_AUTH') {
      const message = this.#link.hasKey
        ? 'The server does not know this key.'
        : 'This server asks for a key.'
      this.#status('needs a key', '')
      this.#askKey(message)
      return
    }
    const again = againMs === undefined ? '' : ` Trying again in ${Math.round(againMs / 1000)} s.`
    this.#status('no answer', `${failureOf(error)}${again}`)
  }

  #status(state: string, trouble: string): void {
    const status = byId('status')
    status.textContent = state
    status.dataset.state = state
    byId('trouble').hidden = trouble === ''
    const text = byId('trouble-text')
    // Not told again by screen readers where it is the same.
    if (text.textContent !== trouble) text.textContent = trouble
  }
}

function nameInAddress(): string | undefined {
  try {
    return decodeURIComponent(location.hash.slice(1)) || undefined
  } catch {
    return undefined
  }
}

new Page().start()
