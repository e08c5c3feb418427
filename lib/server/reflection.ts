/**
 * The standard reflection service: what this server offers, for tools such as grpcurl.
 *
 * All files lie in one registry; a file is answered together with those that it imports.
 */

import type { DescFile } from '@bufbuild/protobuf'
import { createRegistry, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { Code, type ConnectRouter } from '@connectrpc/connect'
import { file_grpc_health_v1_health, Health } from '../wire/gen/grpc/health/v1/health_pb.js'
import {
  file_grpc_reflection_v1_reflection,
  ServerReflection,
  type ServerReflectionRequest,
} from '../wire/gen/grpc/reflection/v1/reflection_pb.js'
import { file_omendb_v1_omendb, OmenDB } from '../wire/protocol.js'

const FILES = [
  file_omendb_v1_omendb,
  file_grpc_health_v1_health,
  file_grpc_reflection_v1_reflection,
]
const registry = createRegistry(...FILES)
const SERVICES = [OmenDB, Health, ServerReflection]

function fileNamed(path: string): DescFile | undefined {
  return FILES.find(({ proto }) => proto.name === path)
}

function fileOf(symbol: string): DescFile | undefined {
  const described = registry.get(symbol)
  if (described !== undefined) return described.kind === 'extension' ? undefined : described.file
  // A method or a field: what it belongs to has its file.
  const dot = symbol.lastIndexOf('.')
  return dot < 0 ? undefined : fileOf(symbol.slice(0, dot))
}

function withImports(file: DescFile, seen = new Set<DescFile>()): Set<DescFile> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const imported of file.dependencies) withImports(imported, seen)
  return seen
}

function filesAnswer(file: DescFile | undefined, what: string) {
  if (file === undefined) return notFound(what)
  const fileDescriptorProto = [...withImports(file)].map((f) =>
    toBinary(FileDescriptorProtoSchema, f.proto),
  )
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } } as const
}

function notFound(what: string) {
  const value = { errorCode: Code.NotFound as number, errorMessage: `there is no ${what}` }
  return { case: 'errorResponse', value } as const
}

function answer({ messageRequest }: ServerReflectionRequest) {
  switch (messageRequest.case) {
    case 'listServices': {
      const service = SERVICES.map(({ typeName: name }) => ({ name }))
      return { case: 'listServicesResponse', value: { service } } as const
    }
    case 'fileByFilename':
      return filesAnswer(fileNamed(messageRequest.value), messageRequest.value)
    case 'fileContainingSymbol':
      return filesAnswer(fileOf(messageRequest.value), messageRequest.value)
    case 'allExtensionNumbersOfType':
    case 'fileContainingExtension':
      return notFound('extension')
    default:
      return notFound('such request')
  }
}

export function addReflection(router: ConnectRouter): void {
  router.service(ServerReflection, {
    async *serverReflectionInfo(requests: AsyncIterable<ServerReflectionRequest>) {
      for await (const originalRequest of requests) {
        const { host: validHost } = originalRequest
        yield { validHost, originalRequest, messageResponse: answer(originalRequest) }
      }
    },
  })
}
