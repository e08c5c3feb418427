/** The server: its options, and what `createServer` returns. */

import type { Durability, Residency } from './options.js'

/** A key that callers send as `authorization: Bearer KEY`. Two of a kind let keys be rotated. */
export interface ApiKeys {
  /** At most two keys that may read and write, each of 16 to 256 printable characters. */
  readWrite?: readonly string[] | undefined
  /** At most two keys that may only read. */
  readOnly?: readonly string[] | undefined
}

/** Files in PEM form. */
export interface TlsFiles {
  cert: string
  key: string
}

/** What a request may ask for. Past a limit: ERR_LIMIT, ERR_BUSY or ERR_TIMEOUT, as said. */
export interface ServerLimits {
  /** Bytes of one message or body. ERR_LIMIT. Default 32 MiB. */
  bodyBytes?: number | undefined
  /** Bytes of the vectors of one upload. ERR_LIMIT. Default 1 GiB. */
  uploadBytes?: number | undefined
  /** Rows of one write. ERR_LIMIT. Default 1 000 000. */
  batchRows?: number | undefined
  /** Queries of one searchBatch, and ids of one get or delete. ERR_LIMIT. Default 10 000. */
  batchQueries?: number | undefined
  /** Hits of all queries of one searchBatch together. ERR_LIMIT. Default 1 000 000. */
  batchHits?: number | undefined
  /** `k`. ERR_LIMIT. Default 10 000, the most there is. */
  k?: number | undefined
  /** `ef`. ERR_LIMIT. Default 10 000, the most there is. */
  ef?: number | undefined
  /** Nested objects and arrays of a body of JSON, however it comes. ERR_LIMIT. Default 100. */
  jsonDepth?: number | undefined
  /** Requests at work at once. ERR_BUSY. Default 512. */
  concurrency?: number | undefined
  /** Connections of each port; further ones are closed. Default 1 024. */
  connections?: number | undefined
  /**
   * Milliseconds that a request may take, whatever it asks for, once it has come; of an upload, its
   * commit. ERR_TIMEOUT. Default 60 000.
   */
  timeoutMs?: number | undefined
  /** Milliseconds for the headers of a request to come. Default 10 000. */
  headersTimeoutMs?: number | undefined
  /**
   * Milliseconds for all of a request to come; of an upload, for each message with rows; and for a
   * message of an answer to be taken. Default 300 000.
   */
  requestTimeoutMs?: number | undefined
  /** Milliseconds that shutting down waits for running requests. Default 10 000. */
  drainMs?: number | undefined
}

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** Options of `createServer()`; omendb-server takes the same by flag, environment and file. */
export interface ServerOptions {
  /** Directory of the database. Left out: it lives in memory. */
  data?: string | undefined
  /** Default 127.0.0.1. Another than a loopback address needs `apiKeys` and `tls`. */
  host?: string | undefined
  /** REST, Connect and gRPC-web, by HTTP/1.1. 0: any free port. Default 8080. */
  port?: number | undefined
  /** gRPC, by HTTP/2. 0: any free port; false: none. Default 9090. */
  grpcPort?: number | false | undefined
  apiKeys?: ApiKeys | undefined
  tls?: TlsFiles | undefined
  /** A public address without keys or without TLS, as behind a proxy that sees to both. */
  insecure?: boolean | undefined
  /** Origins of web pages that may call: `https://example.com`. Default: none. */
  corsOrigins?: readonly string[] | undefined
  /** Names by which callers may address this server, beside those of the loopback and `host`. */
  allowedHosts?: readonly string[] | undefined
  /** The web page at `/`. Default true. */
  console?: boolean | undefined
  limits?: ServerLimits | undefined
  /** Of a database on disk. Default `sync`. */
  durability?: Durability | undefined
  /** Where the vectors of a database on disk are held. Default: in memory if they fit. */
  residency?: Residency | undefined
  /** Opens the database without writing to it. Default false. */
  readOnly?: boolean | undefined
  /** Bytes that all collections may take in memory. Default: no limit. */
  maxMemoryBytes?: number | undefined
  /** Where backups are gathered before they are sent. Default: the system's temporary directory. */
  backupDirectory?: string | undefined
  /** Where the log goes, a JSON object a line: `process.stdout`, for example. Default: nowhere. */
  log?: LogTarget | undefined
  /** What is logged. Default `info`. */
  logLevel?: LogLevel | undefined
}

/** What takes lines of the log: a stream, or an object of yours. */
export interface LogTarget {
  write(line: string): unknown
}

/** A server at work. */
export interface Server {
  /** `http://127.0.0.1:8080`: REST, Connect and gRPC-web. */
  readonly url: string
  /** `http://127.0.0.1:9090`: gRPC. */
  readonly grpcUrl: string | undefined
  /** Resolves when the database is open and requests are served. Rejects if it cannot be opened. */
  readonly ready: Promise<void>
  /** Refuses new requests, lets running ones finish, closes the database. Idempotent. */
  close(): Promise<void>
}
