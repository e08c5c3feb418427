// gRPC as standard clients know it: reflection and health, spoken by @grpc/grpc-js from descriptors
// that the server itself gives; and every code of the table over every transport.
import assert from 'node:assert/strict'
import test from 'node:test'
import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import * as grpc from '@grpc/grpc-js'
import { Client, ERROR_CODES, type ErrorCode, OmenError } from 'omendb'
import type { Server } from 'omendb/server'
import { clientOf, serve } from './server-support.js'

const same = (bytes: Buffer) => bytes

function standard(server: Server): grpc.Client {
  const address = (server.grpcUrl as string).slice('http://'.length)
  return new grpc.Client(address, grpc.credentials.createInsecure())
}

/** A message with one text field, as its bytes. */
const textField = (number: number, text: string) =>
  Buffer.concat([Buffer.from([number * 8 + 2, text.length]), Buffer.from(text)])

function ask(client: grpc.Client, request: Buffer): Promise<Buffer> {
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'
  const call = client.makeBidiStreamRequest(path, same, same)
  call.write(request)
  call.end()
  return new Promise((resolve, reject) => {
    call.on('data', resolve)
    call.on('error', reject)
  })
}

test('reflection tells enough to call the server', async (t) => {
  const server = await serve(t)
  const client = standard(server)
  t.after(() => client.close())
  const services = (await ask(client, textField(7, ''))).toString('latin1')
  for (const name of ['omendb.v1.OmenDB', 'grpc.health.v1.Health'])
    assert.ok(services.includes(name))
  // Messages are read with descriptors that came from the server alone.
  const own = await ask(client, textField(4, 'grpc.reflection.v1.ServerReflection'))
  const start = own.indexOf('\n\x23grpc/reflection/v1/reflection.proto', 0, 'latin1')
  assert.ok(start > 0)
  const reflection = fromBinary(FileDescriptorProtoSchema, own.subarray(start))
  const file = createFileRegistry(create(FileDescriptorSetSchema, { file: [reflection] }))
  const response = file.getMessage('grpc.reflection.v1.ServerReflectionResponse')
  assert.ok(response)
  const answer = fromBinary(response, await ask(client, textField(4, 'omendb.v1.OmenDB.Search')))
  const { messageResponse } = answer as unknown as {
    messageResponse: { value: { fileDescriptorProto: Uint8Array[] } }
  }
  const given = messageResponse.value.fileDescriptorProto.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  )
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: given }))
  const service = registry.getService('omendb.v1.OmenDB')
  const count = service?.methods.find(({ name }) => name === 'Count')
  assert.ok(service && count && service.methods.length >= 21)
  const db = new Client(server.url)
  await db.add({ id: 1, vector: [1, 2] })
  const request = create(count.input, { collection: 'default' } as never)
  const reply = await new Promise<Buffer>((resolve, reject) => {
    const path = '/omendb.v1.OmenDB/Count'
    const bytes = Buffer.from(toBinary(count.input, request))
    client.makeUnaryRequest(path, same, same, bytes, (e, r) =>
      e ? reject(e) : resolve(r as Buffer),
    )
  })
  assert.equal((fromBinary(count.output, reply) as unknown as { count: bigint }).count, 1n)
  const unknown = (await ask(client, textField(4, 'no.such.Thing'))).toString('latin1')
  assert.ok(unknown.includes('there is no no.such.Thing'))
  await db.close()
})

test('health tells whether the database is open', async (t) => {
  const server = await serve(t)
  const client = standard(server)
  t.after(() => client.close())
  const check = (name: string) =>
    new Promise<Buffer | number>((resolve) => {
      const path = '/grpc.health.v1.Health/Check'
      client.makeUnaryRequest(path, same, same, textField(1, name), (e, r) =>
        resolve(e ? e.code : (r as Buffer)),
      )
    })
  const serving = Buffer.from([8, 1])
  assert.deepEqual(await check(''), serving)
  assert.deepEqual(await check('omendb.v1.OmenDB'), serving)
  assert.equal(await check('other.Service'), grpc.status.NOT_FOUND)
  const watched = client.makeServerStreamRequest(
    '/grpc.health.v1.Health/Watch',
    same,
    same,
    textField(1, ''),
  )
  const first = await new Promise<Buffer>((resolve) => watched.once('data', resolve))
  assert.deepEqual(first, serving)
  watched.on('error', () => {}) // It is cancelled.
  watched.cancel()
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
  assert.equal((await fetch(`${server.url}/readyz`)).status, 200)
})

// Whatever a handler throws comes through: the code, the message, the details, the status.
test('every code comes over every transport as it is', async (t) => {
  const core = require('../../dist/lib/server/core.js')
  const { HANDLERS } = core
  const original = HANDLERS.count
  t.after(() => {
    HANDLERS.count = original
  })
  const server = await serve(t)
  const clients = (['Connect', 'gRPC'] as const).map((way) => clientOf(server, way, { retries: 0 }))
  await clients[0]?.add({ id: 1, vector: [1, 2] })
  const details = { row: 3, path: 'a.b', id: 2n ** 63n }
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    HANDLERS.count = async () => {
      throw new OmenError(code, `what ${code} says, 100% "ä"; yes`, { details })
    }
    for (const client of clients) {
      const error = await client.count().catch((e: unknown) => e)
      assert.ok(error instanceof OmenError)
      assert.equal(error.code, code)
      assert.deepEqual(error.details, details)
      assert.match(error.message, new RegExp(`^what ${code} says, 100% "ä"; yes$`))
    }
  }
  for (const client of clients) await client.close()
})

test('metrics count what was answered, by method and code', async (t) => {
  const server = await serve(t)
  const client = new Client(server.url)
  await client.add({ id: 1, vector: [1, 2] })
  await client.search([1, 2])
  await client.search([1]).catch(() => {})
  const standard = clientOf(server, 'gRPC')
  await standard.count()
  await fetch(`${server.url}/v1/collections/none`)
  const text = await (await fetch(`${server.url}/metrics`)).text()
  for (const line of [
    'omendb_requests_total{transport="connect",method="search",code="OK"} 1',
    'omendb_requests_total{transport="grpc",method="count",code="OK"} 1',
    'omendb_requests_total{transport="connect",method="search",code="ERR_DIMENSIONS"} 1',
    'omendb_requests_total{transport="rest",method="GET /v1/collections/:name",' +
      'code="ERR_NOT_FOUND"} 1',
    'omendb_request_seconds_count{transport="connect",method="search"} 2',
    'omendb_rows{collection="default"} 1',
    'omendb_remembered_writes 3',
  ])
    assert.ok(text.split('\n').includes(line), `${line} is not in ${text}`)
  await Promise.all([client.close(), standard.close()])
})
