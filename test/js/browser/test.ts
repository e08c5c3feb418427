// node:test, as far as the suite of the interface uses it, for browsers: cases are gathered, and
// the test that loaded the page runs them one by one.

type Context = { after(done: () => unknown): void }
type Case = (t: Context) => Promise<void>

const cases = new Map<string, Case>()

export default function test(name: string, _options: object, run: Case): void {
  cases.set(name, run)
}

const page = globalThis as unknown as Record<string, unknown>

page.caseNames = (): string[] => [...cases.keys()]

/** The text of what a case failed with; undefined where it passed. */
page.runCase = async (name: string): Promise<string | undefined> => {
  const last: (() => unknown)[] = []
  try {
    await (cases.get(name) as Case)({ after: (done) => last.push(done) })
    return undefined
  } catch (error) {
    return (error as Error).stack ?? String(error)
  } finally {
    for (const done of last.reverse()) await done()
  }
}
