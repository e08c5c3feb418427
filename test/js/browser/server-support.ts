// The suite's way to a database, for browsers: a client to a server that the test outside starts.
import { Client, type ClientOptions } from 'omendb'

export const WAYS = ['browser'] as const
export type Way = 'browser' | 'REST'

type Outside = { startServer(): Promise<string> }

export async function open(
  t: { after(done: () => unknown): void },
  _way: Way,
  options: Omit<ClientOptions, 'headers'>,
): Promise<Client> {
  const url = await (globalThis as unknown as Outside).startServer()
  const client = new Client(url, options)
  t.after(() => client.close())
  return client
}
