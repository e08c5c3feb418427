// What the tests of the command line share: running it, its parts, and files written by hand.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after } from 'node:test'
import { DB, type Id } from 'omendb'

export const root = path.resolve(__dirname, '../..')
const packageJson = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
export const main = path.join(root, packageJson.bin.omendb)
export const home = realpathSync(mkdtempSync(path.join(tmpdir(), 'omendb-cli-')))
after(() => rmSync(home, { recursive: true, force: true }))

let made = 0
/** A path below `home` that nothing has. */
export const fresh = (name = 'db'): string => path.join(home, `${++made}-${name}`)

export interface Ran {
  code: number | null
  out: string
  err: string
}

/** Runs the command line; `input` is its standard input. */
export function omendb(args: string[], input?: Uint8Array | string): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...args], { cwd: home, stdio: 'pipe' })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (d: Buffer) => out.push(d))
  child.stderr.on('data', (d: Buffer) => err.push(d))
  child.stdin.on('error', () => {}) // It may end without having read everything.
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() })
    })
  })
}

/** As omendb, for a call that must succeed; returns stdout. */
export async function done(args: string[], input?: Uint8Array | string): Promise<string> {
  const { code, out, err } = await omendb(args, input)
  if (code !== 0) throw new Error(`omendb ${args.join(' ')}: ${code}\n${err}`)
  return out
}

export interface Stored {
  vector: number[]
  metadata: unknown
}

/** All records of a collection by id; fails if an id comes twice. */
export async function contents(where: string, name = 'default'): Promise<Map<Id, Stored>> {
  const db = await DB.open(where, { readOnly: true })
  try {
    const collection = await db.collection(name, { createIfMissing: false })
    const out = new Map<Id, Stored>()
    for await (const r of collection.records({ include: ['metadata', 'vector'] })) {
      if (out.has(r.id)) throw new Error(`the id ${String(r.id)} comes twice`)
      out.set(r.id, { vector: Array.from(r.vector), metadata: r.metadata })
    }
    return out
  } finally {
    await db.close()
  }
}

/** A part of the command line, as it was built. */
export function part<T>(name: string): T {
  return require(path.join(root, 'dist/lib/cli', name)) as T
}

/** The bytes of an fvecs file. */
export function fvecs(rows: readonly (readonly number[] | Float32Array)[]): Buffer {
  return Buffer.concat(
    rows.map((row) => {
      const bytes = Buffer.alloc(4 + 4 * row.length)
      bytes.writeInt32LE(row.length)
      row.forEach((value, i) => {
        bytes.writeFloatLE(value, 4 + 4 * i)
      })
      return bytes
    }),
  )
}

/** The bytes of an npy file, by hand: any header text, any version. */
export function npy(header: string, data: Uint8Array, version = 1): Buffer {
  const prefix = version === 1 ? Buffer.alloc(10) : Buffer.alloc(12)
  prefix.write('\u0093NUMPY', 'latin1')
  prefix[6] = version
  const length = Math.ceil((prefix.length + header.length + 1) / 64) * 64 - prefix.length
  if (version === 1) prefix.writeUInt16LE(length, 8)
  else prefix.writeUInt32LE(length, 8)
  return Buffer.concat([prefix, Buffer.from(`${header.padEnd(length - 1)}\n`, 'utf8'), data])
}

export function npyHeader(descr: string, shape: string, fortran = 'False'): string {
  return `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`
}
