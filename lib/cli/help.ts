/** Help texts, made from the table of commands. */

import { COMMON, type Command, type Option, type Program } from './arguments.js'

const WIDTH = 96

export function overview(commands: readonly (Command | Program)[]): string {
  const names = commands.map((c) => `${c.name} ${c.positionals}`.trimEnd())
  const column = Math.max(...names.map((n) => n.length)) + 2
  const list = commands.map((c, i) => `  ${(names[i] as string).padEnd(column)}${c.summary}`)
  return `Usage: omendb COMMAND [options]

Commands:
${list.join('\n')}

Options:
  -h, --help     this text; of a command: omendb help COMMAND
      --version  the version of the package

Exit code: 0 done; 1 the command failed; 2 the call is wrong; 130 interrupted.
`
}

export function commandHelp(command: Command): string {
  const options = [...command.options, ...COMMON]
  const heads = options.map(head)
  const column = Math.max(...heads.map((h) => h.length)) + 2
  const lines = options.flatMap((option, i) => {
    const [first, ...rest] = wrap(option.help, WIDTH - column)
    return [`${(heads[i] as string).padEnd(column)}${first}`, ...rest.map((r) => indent(r, column))]
  })
  const paragraphs = command.description.map((p) => wrap(p, WIDTH).join('\n'))
  const examples = command.examples.map((e) => `  ${e}`)
  return `Usage: omendb ${command.name} ${command.positionals} [options]

${paragraphs.join('\n\n')}

Options:
${lines.join('\n')}
${examples.length === 0 ? '' : `\nExamples:\n${examples.join('\n')}\n`}`
}

function head({ name, short, value }: Option): string {
  const letter = short === undefined ? '    ' : `-${short}, `
  return `  ${letter}--${name}${value === undefined ? '' : ` ${value}`}`
}

function indent(text: string, columns: number): string {
  return `${' '.repeat(columns)}${text}`
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
