// Kernels: nanoseconds per call of every distance kernel, per instruction set that this machine
// has.
//
// The program is C++ (bench/native/kernels_bench.cc): through N-API one call costs more than a
// kernel. It is compiled here from the engine's own source list, with what a release build uses.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { machineLine, ROOT } from '../lib/machine.mjs'
import { writeResult } from '../lib/report.mjs'

// What both builds use (binding.gyp, CMakeLists.txt).
const FLAGS = [
  ...[
    '-std=c++20',
    '-O3',
    '-ffp-contract=off',
    '-fvisibility=hidden',
    '-fvisibility-inlines-hidden',
  ],
  ...['-fno-exceptions', '-fno-rtti', '-DNDEBUG', '-Icsrc'],
]

function compile() {
  const compiler = process.env.CXX ?? 'c++'
  const sources = readFileSync(join(ROOT, 'csrc', 'sources.txt'), 'utf8')
    .split(/\s+/)
    .filter((path) => /^csrc\/(base|simd)\//.test(path))
  const folder = join(ROOT, 'out', 'bench')
  const program = join(folder, 'kernels_bench')
  mkdirSync(folder, { recursive: true })
  const args = [...FLAGS, 'bench/native/kernels_bench.cc', ...sources, '-lpthread', '-o', program]
  execFileSync(compiler, args, { cwd: ROOT, stdio: 'inherit' })
  return { program, compiler: `${compiler} ${FLAGS.join(' ')}` }
}

export async function run({ machine }) {
  const { program, compiler } = compile()
  const text = execFileSync(program, { encoding: 'utf8' }).trimEnd()
  const fenced = `\`\`\`text\n${text}\n\`\`\`\n`
  const markdown = ['## Kernels', machineLine(machine), compiler, fenced].join('\n\n')
  console.log(`\n${markdown}`)
  const data = { section: 'kernels', machine, compiler, lines: text.split('\n') }
  writeResult('kernels.json', `${JSON.stringify(data, null, 2)}\n`)
  writeResult('kernels.md', markdown)
}
