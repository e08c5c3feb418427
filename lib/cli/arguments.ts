/**
 * Arguments: the shape of a command in the table, and one call of it.
 *
 * The table (commands.ts) is the only place that knows options: the parser, the help texts and the
 * test of docs/cli.md read it.
 */

import { parseArgs } from 'node:util'
import { UsageError } from './exit.js'

export interface Option {
  name: string
  short?: string
  /** What its value is called in help. Left out: a flag without a value. */
  value?: string
  help: string
}

export interface Command {
  name: string
  /** As in `PATH` or `FILE...`. */
  positionals: string
  /** How many positionals: at least, at most. */
  takes: [min: number, max: number]
  summary: string
  /** Paragraphs, wrapped by help.ts. */
  description: string[]
  options: Option[]
  examples: string[]
  /** Loads the command's own modules and runs it. Returns the exit code. */
  run(call: Call): Promise<number>
}

/** A command that another part of the package has, with options and help texts of its own. */
export interface Program extends Pick<Command, 'name' | 'positionals' | 'summary'> {
  /** Sets the exit code of the process if it fails. */
  run(args: string[]): Promise<void>
}

export const COMMON: Option[] = [
  { name: 'json', help: 'JSON instead of text' },
  { name: 'help', short: 'h', help: 'this text' },
]

type Values = Record<string, string | boolean | undefined>

/** One call of a command: its options, each read and checked once. */
export class Call {
  readonly #values: Values

  constructor(
    readonly command: Command,
    readonly positionals: string[],
    values: Values,
  ) {
    this.#values = values
  }

  get json(): boolean {
    return this.flag('json')
  }

  flag(name: string): boolean {
    return this.#values[name] === true
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  /** The first positional; the table says that there is one. */
  get path(): string {
    return this.positionals[0] as string
  }

  required(name: string): string {
    const value = this.text(name)
    if (value === undefined) throw new UsageError(`${this.command.name} needs --${name}`)
    return value
  }

  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new UsageError(`--${name} is an integer from ${min} to ${max}, not '${text}'`)
    }
    return value
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    if (!(allowed as readonly string[]).includes(text)) {
      throw new UsageError(`--${name} is one of ${allowed.join(', ')}, not '${text}'`)
    }
    return text as T
  }

  /** A JSON value. */
  parsed(name: string): unknown {
    const text = this.text(name)
    if (text === undefined) return undefined
    try {
      return JSON.parse(text)
    } catch (error) {
      throw new UsageError(`--${name} is not JSON: ${(error as Error).message}`)
    }
  }
}

function config(options: Option[]) {
  return Object.fromEntries(
    options.map(({ name, short, value }) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  )
}

/** Reads the arguments behind the command's name. `help` means that only help was asked for. */
export function readCall(command: Command, args: string[]): Call | 'help' {
  const { values, positionals } = parse([...command.options, ...COMMON], args)
  if (values.help === true) return 'help'
  const [min, max] = command.takes
  if (positionals.length < min) {
    throw new UsageError(`${command.name} needs ${command.positionals}`)
  }
  if (positionals.length > max) {
    const extra = positionals[max]
    throw new UsageError(`${command.name} takes ${command.positionals}; what is '${extra}'?`)
  }
  for (const [name, value] of Object.entries(values)) {
    if (value === '') throw new UsageError(`--${name} needs a value`)
  }
  if (positionals.includes('')) throw new UsageError(`${command.name}: an argument is empty`)
  return new Call(command, positionals, values)
}

/** parseArgs, its faults as UsageError. */
function parse(options: Option[], args: string[]): { values: Values; positionals: string[] } {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: config(options),
    })
    return { values: values as Values, positionals }
  } catch (error) {
    // The first sentence says what is wrong; the next ones explain parseArgs.
    throw new UsageError((error as Error).message.split(/\. |\n/)[0] as string)
  }
}
