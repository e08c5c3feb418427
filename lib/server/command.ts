/**
 * The command `omendb-server`: options from flags, then the environment, then a file; signals; the
 * exit code.
 *
 * Each option has one name in three spellings: `limits.bodyBytes` in a file, `--limit-body-bytes`,
 * and OMENDB_LIMIT_BODY_BYTES. A fault of the start is one line and exit code 2.
 */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { ServerOptions } from '../../types/server.js'
import { OmenError } from '../errors.js'
import { argumentError } from '../options.js'
import { isPlain } from '../text.js'
import { inWords, START } from '../words.js'
import { standardOutput } from './log.js'
import { RunningServer } from './server.js'
import { LIMITS } from './settings.js'
import { type Environment, refuseMisspelt, unknownVariables } from './variables.js'

/** `switch`: true or false are said, since it is on where it is left out. */
type Kind = 'text' | 'number' | 'flag' | 'list' | 'port' | 'switch'

interface Spelling {
  /** Path within the options. */
  readonly path: string
  readonly flag: string
  readonly variable: string
  readonly kind: Kind
  readonly help: string
}

const OPTIONS: readonly (readonly [path: string, flag: string, kind: Kind, help: string])[] = [
  ['data', 'data', 'text', 'directory of the database; left out: in memory'],
  ['host', 'host', 'text', 'address to bind (127.0.0.1)'],
  ['port', 'port', 'number', 'REST, Connect, gRPC-web (8080)'],
  ['grpcPort', 'grpc-port', 'port', 'gRPC (9090); none: no gRPC'],
  ['apiKeys.readWrite', 'api-key', 'list', 'key that may read and write; two at most'],
  ['apiKeys.readOnly', 'read-only-api-key', 'list', 'key that may only read; two at most'],
  ['tls.cert', 'tls-cert', 'text', 'certificate, a file in PEM form'],
  ['tls.key', 'tls-key', 'text', 'its key, a file in PEM form'],
  ['insecure', 'insecure', 'flag', 'a public address without keys or TLS'],
  ['corsOrigins', 'cors-origin', 'list', 'origin whose pages may call; may be repeated'],
  ['allowedHosts', 'allowed-host', 'list', 'further name of this server; may be repeated'],
  ['console', 'console', 'switch', 'the web page at /: true (default) or false'],
  ['durability', 'durability', 'text', 'sync (default), periodic or os'],
  ['residency', 'residency', 'text', 'memory or mapped; left out: memory if the vectors fit'],
  ['readOnly', 'read-only', 'flag', 'open the database without writing to it'],
  ['maxMemoryBytes', 'max-memory-bytes', 'number', 'what all collections may take'],
  ['backupDirectory', 'backup-directory', 'text', 'where backups are gathered'],
  ['logLevel', 'log-level', 'text', 'fatal, error, warn, info, debug, trace, silent'],
]

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)
}

function spelling(where: string, flag: string, kind: Kind, help: string): Spelling {
  const variable = `OMENDB_${flag.replaceAll('-', '_').toUpperCase()}`
  return { path: where, flag, variable, kind, help }
}

/** Every option in its spellings. */
export const SPELLINGS: readonly Spelling[] = [
  ...OPTIONS.map(([where, flag, kind, help]) => spelling(where, flag, kind, help)),
  ...Object.entries(LIMITS).map(([name, [otherwise]]) =>
    spelling(`limits.${name}`, `limit-${dashed(name)}`, 'number', `(${otherwise})`),
  ),
]

const VARIABLES = ['OMENDB_CONFIG', ...SPELLINGS.map(({ variable }) => variable)]

export const HELP = `Usage: omendb-server [options]

Serves a database over REST, Connect, gRPC-web and gRPC. Each option may also be given as a variable
of the environment (--grpc-port as OMENDB_GRPC_PORT; lists separated by commas), or in a JSON file
whose keys are those of createServer() (--config FILE, OMENDB_CONFIG). Flags win over variables, and
these over the file. Keys are better given by the environment: flags are seen by other users.

Options:
${SPELLINGS.map(({ flag, kind, help }) => {
  const value = kind === 'flag' ? '' : kind === 'number' ? ' N' : ' VALUE'
  return `      --${`${flag}${value}`.padEnd(34)} ${help}`
}).join('\n')}
      --${'config FILE'.padEnd(34)} options as a JSON object
  -h, --${'help'.padEnd(34)} this text
      --${'version'.padEnd(34)} the version of the package

Exit code: 0 after SIGINT or SIGTERM; 2 if the server could not start.
`

function parsedValue({ kind, flag }: Spelling, text: string): unknown {
  if (kind === 'number' || (kind === 'port' && text !== 'none')) {
    if (!/^\d+$/.test(text)) throw argumentError(`--${flag} takes an integer, not '${text}'`)
    return Number(text)
  }
  if (kind === 'port') return false
  if (kind === 'list') return listOf(text)
  if (kind !== 'flag' && kind !== 'switch') return text
  if (['true', '1'].includes(text)) return true
  if (['false', '0', ''].includes(text)) return false
  throw argumentError(`--${flag} is true or false, not '${text}'`)
}

function listOf(text: string): string[] {
  return text.split(',').filter((part) => part !== '')
}

/** A key that was meant and is not there would leave the server open. */
function checkKeys({ path: where }: Spelling, name: string, value: unknown): void {
  if (!where.startsWith('apiKeys.') || !Array.isArray(value) || value.length > 0) return
  throw argumentError(`${name} is set and holds no key: give one, or leave it out`)
}

function put(options: Record<string, unknown>, where: string, value: unknown): void {
  const [first, second] = where.split('.') as [string, string | undefined]
  if (second === undefined) {
    options[first] = value
    return
  }
  const inner = options[first]
  options[first] = { ...(isPlain(inner) ? inner : {}), [second]: value }
}

function readFile(file: string): Record<string, unknown> {
  let parsed: unknown
  try {
    // Editors of Windows put a mark of UTF-8 first.
    parsed = JSON.parse(readFileSync(file, 'utf8').replace(/^\ufeff/, ''))
  } catch (error) {
    throw argumentError(`cannot read the options in ${file}: ${(error as Error).message}`)
  }
  if (isPlain(parsed)) return parsed
  throw argumentError(`${file} holds no JSON object`)
}

/** The options of a call, or the text that it asks for. Throws ERR_ARGUMENT. */
export function readCommand(args: string[], env: Environment): ServerOptions | string {
  const flags = Object.fromEntries(
    SPELLINGS.map(({ flag, kind }) => [
      flag,
      { type: kind === 'flag' ? 'boolean' : 'string', multiple: kind === 'list' } as const,
    ]),
  )
  const { values } = parseFlags(args, flags)
  if (values.help) return HELP
  if (values.version) return `${version()}\n`
  refuseMisspelt(env, VARIABLES)
  const file = (values.config as string | undefined) ?? env.OMENDB_CONFIG
  const options = file === undefined ? {} : readFile(file)
  for (const option of SPELLINGS) {
    const given = values[option.flag]
    const variable = env[option.variable]
    let value: unknown
    if (typeof given === 'boolean') value = given
    else if (Array.isArray(given)) value = given.flatMap(listOf)
    else if (typeof given === 'string') value = parsedValue(option, given)
    else if (variable !== undefined) value = parsedValue(option, variable)
    else continue
    checkKeys(option, given === undefined ? option.variable : `--${option.flag}`, value)
    put(options, option.path, value)
  }
  return options as ServerOptions
}

type Flags = Record<string, { type: 'boolean' | 'string'; multiple: boolean }>

function parseFlags(args: string[], flags: Flags) {
  try {
    return parseArgs({
      args,
      options: {
        ...flags,
        config: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    }) as { values: Record<string, string | boolean | string[] | undefined> }
  } catch (error) {
    throw argumentError((error as Error).message.split('. ')[0] as string)
  }
}

function version(): string {
  const file = path.join(__dirname, '../../../package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** Runs until a signal ends it. Tells a fault of the start in one line. */
export async function runCommand(args: string[]): Promise<void> {
  let server: RunningServer | undefined
  try {
    const options = readCommand(args, process.env)
    if (typeof options === 'string') {
      process.stdout.write(options)
      return
    }
    for (const name of unknownVariables(process.env, VARIABLES)) {
      process.stderr.write(`omendb-server: ${name} is no option of the server, and is ignored\n`)
    }
    server = await RunningServer.start({ log: standardOutput(), ...options })
    closeOnSignals(server)
    await server.ready
  } catch (error) {
    if (!(error instanceof OmenError)) throw error
    const text = inWords(error.message, START).split('\n').join(' ')
    process.stderr.write(`omendb-server: ${error.code}: ${text}\n`)
    process.exitCode = 2
    await server?.close()
  }
}

function closeOnSignals(server: RunningServer): void {
  let signals = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    // A second one does not wait; what was acknowledged is stored.
    if (++signals > 1) process.exit(1)
    server.log.info({ signal }, 'shutting down')
    server.close().catch((error: unknown) => {
      server.log.fatal({ error }, 'the database was closed with an error')
      process.exitCode = 1
    })
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}
