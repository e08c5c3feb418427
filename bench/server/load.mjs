// The load, in a process of its own: node bench/server/load.mjs, with a job as JSON on stdin.
//
// Over HTTP/1.1 it is autocannon's; over gRPC that of @grpc/grpc-js, a standard client, with as
// many calls in flight. Prints { qps, p50Ms, p99Ms, errors } as JSON.
import grpc from '@grpc/grpc-js'
import autocannon from 'autocannon'
import { percentile } from '../lib/measure.mjs'

async function overHttp({ url, seconds, connections, requests }) {
  const options = { url, duration: seconds, connections }
  const result = await autocannon({
    ...options,
    requests: requests.map(({ body, ...request }) => ({
      ...request,
      ...(body === undefined ? {} : { body: Buffer.from(body, 'base64') }),
    })),
  })
  const { requests: counted, latency, non2xx, errors } = result
  const p50Ms = latency.p50
  return {
    qps: counted.total / result.duration,
    p50Ms,
    p99Ms: latency.p99,
    errors: non2xx + errors,
  }
}

async function overGrpc({ address, path, seconds, connections, bodies }) {
  const same = (bytes) => bytes
  const messages = bodies.map((body) => Buffer.from(body, 'base64'))
  const credentials = grpc.credentials.createInsecure()
  const clients = Array.from(
    { length: Math.min(4, connections) },
    () => new grpc.Client(address, credentials, { 'grpc.use_local_subchannel_pool': 1 }),
  )
  const times = []
  let errors = 0
  const start = performance.now()
  const end = start + seconds * 1000
  await Promise.all(
    Array.from({ length: connections }, async (_, c) => {
      for (let i = c; performance.now() < end; i++) {
        const begun = performance.now()
        await new Promise((resolve) => {
          const message = messages[i % messages.length]
          clients[c % clients.length].makeUnaryRequest(path, same, same, message, (error) => {
            if (error) errors++
            resolve()
          })
        })
        times.push(performance.now() - begun)
      }
    }),
  )
  const qps = times.length / ((performance.now() - start) / 1000)
  for (const client of clients) client.close()
  times.sort((a, b) => a - b)
  return { qps, p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99), errors }
}

let text = ''
for await (const piece of process.stdin) text += piece
const job = JSON.parse(text)
console.log(JSON.stringify(await (job.kind === 'grpc' ? overGrpc(job) : overHttp(job))))
