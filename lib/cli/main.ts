#!/usr/bin/env node
/**
 * The command line `omendb`: which command is meant, and what the process answers.
 *
 * Answers go to stdout; faults, one line each, and progress go to stderr. Exit codes: exit.ts.
 */

import { OmenError } from '../errors.js'
import { SHELL, toldIn } from '../words.js'
import { readCall } from './arguments.js'
import { COMMANDS, PROGRAMS } from './commands.js'
import { EXIT, isSystemError, systemError, UsageError } from './exit.js'
import { commandHelp, overview } from './help.js'
import { print } from './output.js'
import { version } from './version.js'
import { errorToJson } from './wire.js'

function commandOf(name: string) {
  const command = COMMANDS.find((c) => c.name === name)
  if (command === undefined) throw new UsageError(`there is no command '${name}'`)
  return command
}

function help([about, ...rest]: string[]): string | ((args: string[]) => Promise<void>) {
  if (rest.length > 0) throw new UsageError('help takes one COMMAND')
  if (about === undefined) return overview([...COMMANDS, ...PROGRAMS])
  return PROGRAMS.find((p) => p.name === about)?.run ?? commandHelp(commandOf(about))
}

async function run([name, ...args]: string[]): Promise<number | undefined> {
  const program = PROGRAMS.find((p) => p.name === name)
  if (program !== undefined) return (await program.run(args)) ?? undefined
  if (name === undefined) throw new UsageError('a command is missing')
  if (name === '--version') {
    const isJson = args.includes('--json')
    await print(isJson ? `${JSON.stringify({ version: version() })}\n` : `${version()}\n`)
  } else if (name === '--help' || name === '-h') await print(help([]) as string)
  else if (name === 'help') {
    const text = help(args)
    if (typeof text === 'string') await print(text)
    else await text(['--help'])
  } else if (name.startsWith('-')) throw new UsageError(`there is no option '${name}'`)
  else {
    const command = commandOf(name)
    const call = readCall(command, args)
    if (call !== 'help') return command.run(call)
    await print(commandHelp(command))
  }
  return EXIT.ok
}

/** Tells a fault of a call; the exit code of it. */
function tell(error: unknown, args: string[]): number {
  const [name] = args
  const isJson = args.includes('--json')
  if (error instanceof UsageError) {
    const help = COMMANDS.some((c) => c.name === name) ? `omendb help ${name}` : 'omendb --help'
    if (isJson) process.stderr.write(`${errorToJson({ code: 'USAGE', message: error.message })}\n`)
    else process.stderr.write(`omendb: ${error.message}; see ${help}\n`)
    return EXIT.unusable
  }
  const found = isSystemError(error) ? systemError(error, 'omendb') : error
  if (found instanceof OmenError) {
    const known = toldIn(found, SHELL)
    if (isJson) process.stderr.write(`${errorToJson(known)}\n`)
    else process.stderr.write(`omendb: ${known.code}: ${oneLine(known.message)}\n`)
    return EXIT.failed
  }
  // A bug of ours. What it is takes one line; where it is, who looks for it asks.
  const { message, stack } = error as Error
  const text = oneLine(message ?? String(error))
  if (isJson) process.stderr.write(`${errorToJson({ code: 'INTERNAL', message: text })}\n`)
  else process.stderr.write(`omendb: internal error: ${text}\n`)
  if (process.env.OMENDB_DEBUG !== undefined) process.stderr.write(`${stack}\n`)
  return EXIT.failed
}

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, '; ')

// The reader went away, as `head` does when it has enough. Nobody listens any more.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.pipeClosed)
  process.stderr.write(`omendb: ERR_IO: standard output: ${error.message}\n`)
  process.exit(EXIT.failed)
})
process.stderr.on('error', () => {}) // Nowhere to tell it.

const given = process.argv.slice(2)
run(given).then(
  (code) => {
    if (code !== undefined) process.exitCode = code
  },
  (error: unknown) => {
    process.exitCode = tell(error, given)
  },
)
