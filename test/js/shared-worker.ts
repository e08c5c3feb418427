// The worker of workers.test.ts: opens the named database and does what it is told.
import { parentPort, workerData } from 'node:worker_threads'
import { DB } from 'omendb'

interface Order {
  name: string
  first: number
  rows: number
  dimensions: number
}

async function run({ name, first, rows, dimensions }: Order): Promise<void> {
  const db = new DB({ name, metric: 'l2' })
  const vectors = Array.from({ length: rows }, (_, i) => {
    const vector = new Float32Array(dimensions).fill(1)
    vector[0] = first + i
    return vector
  })
  const ids = vectors.map((_, i) => first + i)
  for (let i = 0; i < rows; i += 50) {
    const part = { ids: ids.slice(i, i + 50), vectors: vectors.slice(i, i + 50) }
    await db.upsert({ ...part, metadata: part.ids.map((n) => ({ n })) })
    const [hit] = db.searchSync(part.vectors[0] as Float32Array, { k: 1, exact: true })
    if (hit?.distance !== 0) throw new Error(`own write not seen: ${JSON.stringify(hit)}`)
  }
  parentPort?.postMessage(await db.count({ n: { $gte: first, $lt: first + rows } }))
  await db.close()
}

void run(workerData as Order)
