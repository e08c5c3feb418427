/**
 * Pending: how many writes of each collection wait or are at work. Why not by the engine's queues:
 * a write is on its way before, as an upload whose rows still come.
 */

export class Pending {
  readonly #writes = new Map<string, number>()

  /** Counts a write of this collection for as long as it runs. */
  async during<T>(collection: string, write: () => Promise<T>): Promise<T> {
    this.#writes.set(collection, this.writes(collection) + 1)
    try {
      return await write()
    } finally {
      const rest = this.writes(collection) - 1
      // Names that callers make up are not kept.
      if (rest === 0) this.#writes.delete(collection)
      else this.#writes.set(collection, rest)
    }
  }

  writes(collection: string): number {
    return this.#writes.get(collection) ?? 0
  }
}
