/** What the process answers, and the fault of a call that cannot be understood. */

export const EXIT = { ok: 0, damaged: 1, unusable: 2 } as const

export class UsageError extends Error {}
