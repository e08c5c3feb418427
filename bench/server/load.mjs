// The load, in a process of its own: node bench/server/load.mjs, with a job as JSON on stdin:
// { kind, port, path, type, bodies (base64), seconds, connections }.
//
//   http    HTTP/1.1 by autocannon
//   http2   node:http2, SESSIONS sessions with the calls in flight spread over them
//   grpc    the same by @grpc/grpc-js, a standard client of gRPC
// Prints { count, qps, p50Ms, p99Ms, errors } as JSON.
import http2 from 'node:http2'
import { connect } from 'node:net'
import grpc from '@grpc/grpc-js'
import autocannon from 'autocannon'
import { percentile } from '../lib/measure.mjs'

const SESSIONS = 4

async function overHttp({ port, path, type, bodies, seconds, connections }) {
  const headers = { 'content-type': type }
  const requests = bodies.map((body) => ({ method: 'POST', path, headers, body }))
  const url = `http://127.0.0.1:${port}`
  const result = await autocannon({ url, duration: seconds, connections, requests })
  const { requests: counted, latency, non2xx, errors } = result
  return {
    count: counted.total,
    qps: counted.total / result.duration,
    p50Ms: latency.p50,
    p99Ms: latency.p99,
    errors: non2xx + errors,
  }
}

/** `connections` calls in flight until the time is over. @param call  One, true if it went well. */
async function inFlight({ bodies, seconds, connections }, call) {
  const times = []
  let errors = 0
  const start = performance.now()
  const end = start + seconds * 1000
  await Promise.all(
    Array.from({ length: connections }, async (_, c) => {
      for (let i = c; performance.now() < end; i++) {
        const begun = performance.now()
        if (!(await call(c % SESSIONS, bodies[i % bodies.length]))) errors++
        times.push(performance.now() - begun)
      }
    }),
  )
  const count = times.length
  const qps = count / ((performance.now() - start) / 1000)
  return { count, qps, p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99), errors }
}

async function overHttp2(job) {
  const { port, path, type } = job
  const createConnection = () => connect({ port, host: '127.0.0.1', noDelay: true })
  const sessions = Array.from({ length: SESSIONS }, () =>
    http2.connect(`http://127.0.0.1:${port}`, { createConnection }),
  )
  const headers = { ':method': 'POST', ':path': path, 'content-type': type, te: 'trailers' }
  const found = await inFlight(job, (s, body) => {
    const stream = sessions[s].request(headers)
    let status
    stream.on('trailers', (trailers) => {
      status = trailers['grpc-status']
    })
    stream.end(body)
    stream.resume()
    return new Promise((resolve) => {
      stream.on('error', () => {})
      stream.on('close', () => resolve(status === '0'))
    })
  })
  for (const session of sessions) session.close()
  return found
}

async function overGrpc(job) {
  const same = (bytes) => bytes
  const credentials = grpc.credentials.createInsecure()
  const options = { 'grpc.use_local_subchannel_pool': 1 }
  const clients = Array.from(
    { length: SESSIONS },
    () => new grpc.Client(`127.0.0.1:${job.port}`, credentials, options),
  )
  const found = await inFlight(
    job,
    (c, body) =>
      new Promise((resolve) => {
        clients[c].makeUnaryRequest(job.path, same, same, body, (error) => resolve(!error))
      }),
  )
  for (const client of clients) client.close()
  return found
}

let text = ''
for await (const piece of process.stdin) text += piece
const job = JSON.parse(text)
const bodies = job.bodies.map((body) => Buffer.from(body, 'base64'))
const runs = { http: overHttp, http2: overHttp2, grpc: overGrpc }
console.log(JSON.stringify(await runs[job.kind]({ ...job, bodies })))
