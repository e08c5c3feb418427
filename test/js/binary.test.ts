// What the built addon must and must not contain, read with the compiler's own binutils (Linux).
//
// Why: one stray AVX instruction in a shared inline function kills old processors with SIGILL, one
// exported symbol mixes two C++ runtimes, one external buffer breaks Electron. None shows in a
// functional test on a new machine.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import test from 'node:test'

const root = path.resolve(__dirname, '../..')
const built = path.join(root, 'build/Release')
const addon = path.join(built, 'omendb.node')
const objects = path.join(built, 'obj.target/omendb/csrc')
// Mach-O and PE have other tools and other rules.
const linux = { skip: process.platform === 'linux' ? false : 'reads ELF files' }

function tool(name: string, ...args: string[]): string[] {
  const out = execFileSync(name, args, { encoding: 'utf8', maxBuffer: 1 << 30 })
  return out.split('\n').filter((line) => line !== '')
}

/** Calls `visit(symbol, instruction)` for each instruction of a file. */
async function disassemble(file: string, visit: (symbol: string, text: string) => void) {
  const child = spawn('objdump', ['-d', '--no-show-raw-insn', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  let symbol = ''
  for await (const line of createInterface({ input: child.stdout })) {
    const header = /^[0-9a-f]+ <(.+)>:$/.exec(line)
    if (header) symbol = header[1] as string
    else visit(symbol, line)
  }
  assert.deepEqual(await closed, [0, null])
}

/** Object files of one instruction set: csrc/simd/ files that switch the target on. */
function instructionSetObjects(): string[] {
  const files = readFileSync(path.join(root, 'csrc/sources.txt'), 'utf8').trim().split('\n')
  return files
    .filter((f) => f.startsWith('csrc/simd/') && /avx|neon|sse/.test(path.basename(f)))
    .map((f) => path.join(objects, `${f.slice('csrc/'.length, -'.cc'.length)}.o`))
}

// The linker keeps one copy of a weak symbol, perhaps the one compiled for the newest processor.
test('files of one instruction set define no weak symbols', linux, () => {
  assert.ok(existsSync(objects), `${objects} is missing: run npm run build:addon`)
  assert.ok(readdirSync(path.join(objects, 'simd')).length > 0)
  for (const file of instructionSetObjects()) {
    const weak = tool('nm', '--defined-only', file).filter((l) => / [WVu] /.test(l))
    assert.deepEqual(weak, [], file)
  }
})

// Wide registers are used only where the processor was asked first.
test('no ymm or zmm register outside omen::simd', linux, async () => {
  const outside = new Set<string>()
  let wide = 0
  await disassemble(addon, (symbol, text) => {
    if (!/%[yz]mm\d|%k[1-7]\b/.test(text)) return
    wide += 1
    if (!/^_ZNK?4omen4simd/.test(symbol)) outside.add(symbol)
  })
  assert.deepEqual([...outside], [])
  if (process.arch === 'x64') assert.ok(wide > 1000, `only ${wide} wide instructions: no kernels?`)
})

// Electron's memory cage forbids buffers that V8 did not allocate.
test('the addon imports no maker of external buffers', linux, () => {
  const imports = tool('nm', '-D', '--undefined-only', addon)
  assert.ok(
    imports.some((l) => l.includes('napi_create_')),
    'the list of imports was read',
  )
  assert.deepEqual(
    imports.filter((l) => /create_external_\w*(buffer|string)/.test(l)),
    [],
  )
})

// Only Node's entry points are visible: the C++ runtime inside must not meet Node's own.
test(
  'the addon exports its entry points alone, is pinned, and brings its C++ runtime',
  linux,
  () => {
    const exported = tool('nm', '-D', '--defined-only', addon).map((l) => l.split(' ').at(-1))
    assert.deepEqual(exported.sort(), [
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ])
    const dynamic = tool('readelf', '-d', addon).join('\n')
    assert.match(dynamic, /FLAGS_1.*NODELETE/)
    assert.doesNotMatch(dynamic, /NEEDED.*(libstdc\+\+|libgcc_s|libc\+\+)/)
  },
)

// Bugs are made on purpose in test builds alone.
test('the addon can be told to make no mistakes', () => {
  const bytes = readFileSync(addon)
  assert.equal(bytes.includes('OMENDB_PLANTED'), false)
  assert.equal(bytes.includes('no-directory-sync'), false)
})
