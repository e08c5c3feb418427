#!/usr/bin/env node
/**
 * The command line `omendb`: which command is meant, and what the process answers.
 *
 * Answers go to stdout, faults to stderr. The exit code is 0: all is well; 1: damage was found, or
 * something was lost; 2: nothing was looked at, since the call or the path is wrong.
 */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { OmenError } from '../errors.js'
import { CHECK_HELP, check } from './check.js'
import { EXIT, UsageError } from './exit.js'

const HELP = `Usage: omendb COMMAND [options]

Commands:
  check PATH    verifies a database, or rescues what is readable of a damaged one

Options:
  -h, --help     this text, or that of a command: omendb check --help
      --version  the version of the package
`

function version(): string {
  const file = path.join(__dirname, '../../../package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** `parseArgs`, its faults as UsageError. */
function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
        json: { type: 'boolean' },
        salvage: { type: 'string' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parsed(args)
  const [command, ...rest] = positionals
  if (values.version) {
    process.stdout.write(`${version()}\n`)
    return EXIT.ok
  }
  if (command !== undefined && command !== 'check') {
    throw new UsageError(`there is no command '${command}'`)
  }
  if (values.help) {
    process.stdout.write(command === 'check' ? CHECK_HELP : HELP)
    return EXIT.ok
  }
  if (command === undefined) throw new UsageError('a command is missing')
  const [where] = rest
  if (where === undefined || where === '')
    throw new UsageError('check needs the PATH of a database')
  if (rest.length > 1) throw new UsageError(`check takes one PATH; what is '${rest[1]}'?`)
  if (values.salvage === '') throw new UsageError('--salvage needs the path of a new directory')
  return check(where, { json: values.json === true, out: values.salvage })
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.exitCode = EXIT.unusable
    if (error instanceof UsageError) {
      process.stderr.write(`omendb: ${error.message}; see omendb --help\n`)
    } else if (error instanceof OmenError) {
      process.stderr.write(`omendb: ${error.code}: ${error.message}\n`)
    } else throw error
  },
)
