/** Target: the collection that calls are for, and what is known of its dimensions. */

import type { NativeCollectionOptions } from '../../types/native.js'
import { OmenError } from '../errors.js'
import {
  CollectionOptionsSchema,
  create,
  OpenCollectionRequestSchema,
  OpenMode,
} from '../wire/protocol.js'
import type { Ground, Limits, Session } from './session.js'

const NO_LIMITS: Limits = { signal: undefined, timeoutMs: undefined }

export const OPEN_MODES = {
  open: OpenMode.OPEN,
  create: OpenMode.CREATE,
  openOrCreate: OpenMode.UNSPECIFIED,
} as const

export class Target implements Ground {
  /** 0: not fixed yet, as far as is known. */
  dimensions = 0
  #opening: Promise<void> | undefined

  /** @param isMade  Made at its first use, and again where it was dropped: `default`. */
  constructor(
    readonly session: Session,
    readonly name: string,
    readonly options: NativeCollectionOptions,
    readonly isMade = false,
  ) {}

  /** Opens the collection on the server, in its turn among the writes to it. */
  async open(mode: OpenMode, limits: Limits = NO_LIMITS): Promise<void> {
    const given = Object.entries(this.options).filter(([, value]) => value !== undefined)
    const request = create(OpenCollectionRequestSchema, {
      name: this.name,
      mode,
      options: create(CollectionOptionsSchema, Object.fromEntries(given)),
    })
    const { session } = this
    const opened = await session.write(`open ${this.name}`, limits, (sent) =>
      session.transport.call('openCollection', request, sent),
    )
    this.dimensions = opened.dimensions
  }

  async prepare(): Promise<void> {
    if (!this.isMade) return
    this.#opening ??= this.open(OpenMode.UNSPECIFIED).catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    await this.#opening
  }

  /**
   * Whether an error may come of what somebody else did: `default` was dropped. One of another
   * name stays gone until somebody makes it.
   */
  async hasChanged(error: unknown): Promise<boolean> {
    const isGone = error instanceof OmenError && error.code === 'ERR_NOT_FOUND'
    if (!isGone || !this.isMade || error.details.id !== undefined) return false
    this.forget()
    return true
  }

  /** Of calls that go by the dimensions: the collection may have been made anew with others. */
  readonly sized: Ground = {
    prepare: () => this.prepare(),
    hasChanged: async (error) =>
      (await this.hasChanged(error)) || (await this.#hasOtherDimensions(error)),
  }

  async #hasOtherDimensions(error: unknown): Promise<boolean> {
    const before = this.dimensions
    if (before === 0 || !isDimensions(error)) return false
    this.dimensions = 0
    try {
      await this.refresh()
    } catch {
      return false // The error that was is what the caller asked about.
    }
    return this.dimensions !== before
  }

  /** It was dropped: it is made anew at the next use. */
  forget(): void {
    this.#opening = undefined
    this.dimensions = 0
  }

  /** Asks again for dimensions that were not fixed when it was opened. */
  async refresh(): Promise<void> {
    if (this.dimensions > 0) return
    const found = new Target(this.session, this.name, {})
    await found.open(OpenMode.OPEN)
    this.dimensions = found.dimensions
  }
}

export function isDimensions(error: unknown): boolean {
  return error instanceof OmenError && error.code === 'ERR_DIMENSIONS'
}
