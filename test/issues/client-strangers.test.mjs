// An address where no OmenDB server answers is told at once, with what to do: no pause makes it
// better, and a caller who waits seconds for it looks for the fault elsewhere.
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { Client } from '../../dist/client.mjs'
import { createServer } from '../../dist/server.mjs'

/** A call that fails without a repetition; `count` says how often somebody was asked. */
async function toldAtOnce(address, message, count = () => 1) {
  const client = new Client(address, { retries: 10 })
  await assert.rejects(client.listCollections(), { code: 'ERR_UNAVAILABLE', message })
  await client.close()
  assert.equal(count(), 1)
}

async function answering(t, head, headers = {}) {
  let asked = 0
  const server = http.createServer((request, response) => {
    asked += 1
    request.resume().on('end', () => response.writeHead(head, headers).end('<html>'))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return [`127.0.0.1:${server.address().port}`, () => asked]
}

// Four attempts, and "Response does not match the HTTP/1.1 protocol".
test('the gRPC port of a server', async (t) => {
  const server = await createServer({ port: 0, grpcPort: 0 })
  t.after(() => server.close())
  await toldAtOnce(server.grpcUrl, /; if this is the gRPC port of the server, give that of HTTP/)
  const tls = server.url.replace('http:', 'https:')
  await toldAtOnce(tls, /: wrong version number; if the server has no TLS, its address begins with/)
})

test('what answers 404, and a redirect', async (t) => {
  const [web, webAsked] = await answering(t, 404)
  await toldAtOnce(web, /no OmenDB server answers at .*: its answer is HTTP status 404/, webAsked)
  const [to, toAsked] = await answering(t, 302, { location: 'https://db.example.com/' })
  await toldAtOnce(to, /unexpected redirect; give the address that it redirects to/, toAsked)
})

// Its code was taken for one of RPC: "Retry when the server is ready", after four more attempts.
test('a path of REST in place of the address', async (t) => {
  const server = await createServer({ port: 0, grpcPort: false })
  t.after(() => server.close())
  for (const path of ['/v1', '/v1/collections', '/v1/collections/movies']) {
    await toldAtOnce(
      server.url + path,
      /no OmenDB server answers at .*: its answer is HTTP status 404/,
    )
  }
})

// A proxy whose server is not there yet answers so: that may pass.
test('what answers 502 is asked again', async (t) => {
  const [web, asked] = await answering(t, 502)
  const client = new Client(web, { retries: 1 })
  await assert.rejects(client.listCollections(), { code: 'ERR_UNAVAILABLE', message: /status 502/ })
  await client.close()
  assert.equal(asked(), 2)
})
