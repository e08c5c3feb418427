/** Target: the collection that calls are for, and what is known of its dimensions. */

import type { NativeCollectionOptions } from '../../types/native.js'
import { OmenError } from '../errors.js'
import {
  CollectionOptionsSchema,
  create,
  OpenCollectionRequestSchema,
  OpenMode,
} from '../wire/protocol.js'
import type { Session } from './session.js'

export const OPEN_MODES = {
  open: OpenMode.OPEN,
  create: OpenMode.CREATE,
  openOrCreate: OpenMode.UNSPECIFIED,
} as const

export class Target {
  /** 0: not fixed yet, as far as is known. */
  dimensions = 0
  #opening: Promise<void> | undefined

  constructor(
    readonly session: Session,
    readonly name: string,
    readonly options: NativeCollectionOptions,
  ) {}

  /** Opens the collection on the server, in its turn among the writes to it. */
  async open(mode: OpenMode): Promise<void> {
    const limits = { signal: undefined, timeoutMs: undefined }
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

  /** Opens it at the first use; the collection `default` is opened so. */
  ensure(): Promise<void> {
    this.#opening ??= this.open(OpenMode.UNSPECIFIED).catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  /** It was dropped: it is made anew at the next use. */
  forget(): void {
    this.#opening = undefined
    this.dimensions = 0
  }

  /** Asks again for dimensions that were not fixed when it was opened. */
  async refresh(): Promise<void> {
    if (this.dimensions > 0) return
    await new Target(this.session, this.name, {}).#copyTo(this)
  }

  async #copyTo(other: Target): Promise<void> {
    await this.open(OpenMode.OPEN)
    other.dimensions = this.dimensions
  }

  /** After an error: what was known may be so no longer. */
  learn(error: unknown): void {
    if (error instanceof OmenError && error.code === 'ERR_DIMENSIONS') this.dimensions = 0
  }
}
