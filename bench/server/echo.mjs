// Echoes: what the network and the libraries alone cost. Each takes a POST of any body, reads it
// whole, and answers as many bytes as a search does.
//
//   libraries  Fastify for REST, @connectrpc/connect for Connect and gRPC, as anybody uses them;
//   bare       node:http and node:http2 with no library at all.
import http from 'node:http'
import http2 from 'node:http2'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { fastify } from 'fastify'
import protocol from '../../dist/lib/wire/protocol.js'

const { create, OmenDB, RowsSchema } = protocol
const HOST = '127.0.0.1'

async function listening(server) {
  server.on('connection', (socket) => socket.setNoDelay(true))
  await new Promise((resolve) => server.listen(0, HOST, resolve))
  return server.address().port
}

/** The body, whole. */
function bodyOf(request) {
  return new Promise((resolve) => {
    const pieces = []
    request.on('data', (piece) => pieces.push(piece))
    request.on('end', () => resolve(Buffer.concat(pieces)))
  })
}

async function fastifyEcho(answer, contentType) {
  const app = fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post('/', (_request, reply) => reply.header('content-type', contentType).send(answer))
  await app.listen({ port: 0, host: HOST })
  return { port: app.server.address().port, path: '/', end: () => app.close() }
}

const RPC = `/${OmenDB.typeName}/Search`

async function connectEcho(rows, isGrpc) {
  const routes = (router) => router.service(OmenDB, { search: async () => rows })
  const handler = connectNodeAdapter({ routes, acceptCompression: [] })
  const server = isGrpc ? http2.createServer(handler) : http.createServer(handler)
  const port = await listening(server)
  return { port, path: RPC, end: () => ended(server) }
}

function ended(server) {
  server.closeAllConnections?.()
  server.close()
}

async function bareEcho(answer, contentType) {
  const server = http.createServer(async (request, response) => {
    await bodyOf(request)
    const headers = { 'content-type': contentType, 'content-length': answer.length }
    response.writeHead(200, headers).end(answer)
  })
  return { port: await listening(server), path: '/', end: () => ended(server) }
}

async function bareGrpcEcho(answer) {
  const server = http2.createServer()
  server.on('stream', async (stream) => {
    await bodyOf(stream)
    const headers = { ':status': 200, 'content-type': 'application/grpc' }
    stream.respond(headers, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(answer)
  })
  return { port: await listening(server), path: RPC, end: () => ended(server) }
}

/**
 * The echoes of one transport. @param answer  The bytes that a search answers, as they travel.
 *
 * @returns {Promise<Record<'libraries' | 'bare', { port: number, path: string, end(): void }>>}
 */
export async function echoesOf(transport, answer) {
  if (transport === 'gRPC') {
    const rows = create(RowsSchema, {
      distances: answer.subarray(0, Math.max(0, answer.length - 8)),
    })
    return { libraries: await connectEcho(rows, true), bare: await bareGrpcEcho(answer) }
  }
  if (transport === 'Connect') {
    const rows = create(RowsSchema, {
      distances: answer.subarray(0, Math.max(0, answer.length - 3)),
    })
    return {
      libraries: await connectEcho(rows, false),
      bare: await bareEcho(answer, 'application/proto'),
    }
  }
  const type = 'application/json'
  return { libraries: await fastifyEcho(answer, type), bare: await bareEcho(answer, type) }
}
