// Compressed Arrow files: read to the bit like those that are not, whoever packed them; frames that
// are damaged end with an error or the right number of bytes.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import test from 'node:test'
import * as arrow from 'apache-arrow'
import { OmenError } from 'omendb'
import { fresh, part } from './cli-support.js'
import { random, runSeed } from './support.js'

const { decompressLz4Frame, unpackedLz4Bytes } = part<{
  decompressLz4Frame(input: Uint8Array, bytes: number): Uint8Array
  unpackedLz4Bytes(input: Uint8Array): number
}>('formats/lz4-frame.js')
const { openSource } = part<{
  openSource(
    file: string,
    format: string,
  ): Promise<{
    source: { chunks(from: number): AsyncIterable<unknown>; close(): Promise<void> }
  }>
}>('formats/index.js')

type Next = () => number
const below = (next: Next, n: number): number => Math.floor(next() * n)

/** Bytes of which parts come again, near and far. */
function repetitive(next: Next, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let at = 0; at < length; ) {
    const run = Math.min(length - at, 1 + below(next, 400))
    const from = below(next, at)
    for (let i = 0; i < run; i++) {
      out[at + i] = at > 0 && next() < 0.97 ? (out[from + i] as number) : below(next, 256)
    }
    at += run
  }
  return out
}

function lengthBytes(out: number[], length: number): void {
  let left = length - 15
  for (; left >= 255; left -= 255) out.push(255)
  out.push(left)
}

/** One block of LZ4, greedy: matches may lie before `start`, up to 65 535 bytes back. */
function packBlock(data: Uint8Array, start: number, end: number, isLinked: boolean): number[] {
  const out: number[] = []
  const places = new Map<number, number>()
  const word = (at: number) =>
    (data[at] as number) | ((data[at + 1] as number) << 8) | ((data[at + 2] as number) << 16)
  const first = isLinked ? Math.max(0, start - 65_535) : start
  for (let at = first; at < start; at++) places.set(word(at), at)
  let literals = start
  const sequence = (to: number, distance: number, match: number): void => {
    const count = to - literals
    const long = match - 4
    out.push((Math.min(count, 15) << 4) | (distance > 0 ? Math.min(long, 15) : 0))
    if (count >= 15) lengthBytes(out, count)
    for (let i = literals; i < to; i++) out.push(data[i] as number)
    if (distance === 0) return
    out.push(distance & 255, distance >> 8)
    if (long >= 15) lengthBytes(out, long)
  }
  for (let at = start; at < end; ) {
    const found = at + 12 < end ? places.get(word(at)) : undefined
    places.set(word(at), at)
    let match = 0
    if (found !== undefined && at - found <= 65_535) {
      while (at + match < end - 5 && data[found + match] === data[at + match]) match++
    }
    if (match < 4) at++
    else {
      sequence(at, at - (found as number), match)
      at += match
      literals = at
    }
  }
  sequence(end, 0, 4)
  return out
}

const u32 = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255]

interface FrameShape {
  block: number
  isLinked: boolean
  hasSize: boolean
  hasBlockChecksums: boolean
  hasChecksum: boolean
}

/** A frame; its checksums are zeros, which nobody looks at. */
function packFrame(data: Uint8Array, shape: FrameShape, next: Next): Uint8Array {
  const flags =
    0x40 |
    (shape.isLinked ? 0 : 0x20) |
    (shape.hasBlockChecksums ? 0x10 : 0) |
    (shape.hasSize ? 8 : 0) |
    (shape.hasChecksum ? 4 : 0)
  const out = [...u32(0x184d2204), flags, 0x40]
  if (shape.hasSize) out.push(...u32(data.length), ...u32(0))
  out.push(0)
  for (let at = 0; at < data.length; at += shape.block) {
    const end = Math.min(at + shape.block, data.length)
    const isPlain = next() < 0.2
    const block = isPlain ? [...data.subarray(at, end)] : packBlock(data, at, end, shape.isLinked)
    out.push(...u32((block.length | (isPlain ? 0x80000000 : 0)) >>> 0))
    for (const byte of block) out.push(byte)
    if (shape.hasBlockChecksums) out.push(...u32(0))
  }
  out.push(...u32(0))
  if (shape.hasChecksum) out.push(...u32(0))
  return Uint8Array.from(out)
}

function drawShape(next: Next): FrameShape {
  const coin = () => next() < 0.5
  return {
    block: 64 + below(next, 5000),
    isLinked: coin(),
    hasSize: coin(),
    hasBlockChecksums: coin(),
    hasChecksum: coin(),
  }
}

test('LZ4 frames of any shape give back what was packed', () => {
  const next = random(runSeed(21))
  let packed = 0
  let plain = 0
  for (let round = 0; round < 150; round++) {
    const data = repetitive(next, below(next, 30_000))
    const parts = [data.subarray(0, data.length >> 1), data.subarray(data.length >> 1)]
    const frames = Buffer.concat(parts.map((p) => packFrame(p, drawShape(next), next)))
    assert.deepEqual(decompressLz4Frame(frames, data.length), data)
    assert.equal(unpackedLz4Bytes(frames), data.length)
    packed += frames.length
    plain += data.length
  }
  assert.ok(packed < 0.7 * plain, `${packed} of ${plain} bytes: little was packed`)
})

test('damaged LZ4 frames end with an error or as many bytes as were asked for', () => {
  const next = random(runSeed(22))
  const data = repetitive(next, 3000)
  const whole = packFrame(data, { ...drawShape(next), block: 1000 }, next)
  for (let cut = 0; cut < whole.length - 8; cut++) {
    assert.throws(() => decompressLz4Frame(whole.subarray(0, cut), 3000), /^Error: /)
  }
  let refused = 0
  for (let round = 0; round < 5000; round++) {
    const bytes = Uint8Array.from(whole)
    for (let n = below(next, 3); n >= 0; n--) bytes[below(next, bytes.length)] = below(next, 256)
    try {
      assert.equal(decompressLz4Frame(bytes, 3000).length, 3000)
    } catch (error) {
      assert.ok(error instanceof Error && !(error instanceof RangeError), String(error))
      refused++
    }
  }
  assert.ok(refused > 500, `${refused} of 5000 were refused`)
  for (const bytes of [0, 2999, 3001]) assert.throws(() => decompressLz4Frame(whole, bytes))
})

function piped(command: string, args: string[], input: Uint8Array): Uint8Array {
  const { status, stdout, stderr } = spawnSync(command, args, { input, maxBuffer: 2 ** 28 })
  assert.equal(status, 0, String(stderr))
  return Uint8Array.from(stdout)
}
const has = (command: string): boolean => spawnSync(command, ['--version']).status === 0
const missing = (command: string) => (has(command) ? false : `${command} is not installed`)

test('frames of lz4 itself are unpacked', { skip: missing('lz4') }, () => {
  const next = random(runSeed(23))
  for (const args of [
    ['-B4', '-BD'],
    ['-B4', '-BI', '--content-size'],
    ['-9', '-BD', '-BX'],
  ]) {
    for (const length of [0, 1, 12, 300_000, 1_000_000]) {
      const data = repetitive(next, length)
      const frame = piped('lz4', ['-c', ...args], data)
      assert.deepEqual(decompressLz4Frame(frame, length), data)
    }
  }
})

const { CompressionType } = arrow
const own = (data: Uint8Array): Uint8Array =>
  packFrame(data, { ...drawShape(random(1)), block: 65_536, isLinked: true }, () => 1)

/** An Arrow file or stream of `rows` records, its buffers packed by `encode`. */
async function arrowFile(
  isStream: boolean,
  compressionType: arrow.CompressionType | null,
  encode: (data: Uint8Array) => Uint8Array,
): Promise<string> {
  // The library is a copy of its own, whose codecs no test reads by.
  if (compressionType !== null) arrow.compressionRegistry.set(compressionType, { encode })
  const rows = Array.from({ length: 1000 }, (_, i) => i)
  const table = arrow.tableFromArrays({
    id: BigUint64Array.from(rows, BigInt),
    x: Float32Array.from(rows, (i) => i / 3),
    text: rows.map((i) => (i % 7 === 0 ? null : `row ${i % 50}`)),
  })
  const vector = new arrow.FixedSizeList(4, new arrow.Field('item', new arrow.Float32(), false))
  const child = arrow.makeData({
    type: new arrow.Float32(),
    data: Float32Array.from({ length: 4000 }, (_, i) => (i % 100) / 8),
  })
  const vectors = arrow.makeVector(arrow.makeData({ type: vector, length: 1000, child }))
  const whole = table.assign(new arrow.Table({ vector: vectors }))
  const Writer = isStream ? arrow.RecordBatchStreamWriter : arrow.RecordBatchFileWriter
  const writer = new Writer({ compressionType })
  writer.write(whole)
  writer.finish()
  const file = fresh(isStream ? 'packed.arrows' : 'packed.arrow')
  writeFileSync(file, await writer.toUint8Array())
  return file
}

/**
 * The same file as the format wants it: before each packed buffer stands how long it was. The
 * library writes how long it is packed.
 */
function corrected(file: string, packed: [packed: Uint8Array, plain: Uint8Array][]): string {
  const bytes = readFileSync(file)
  for (const [one, plain] of packed) {
    if (one.length >= plain.length) continue // It lies there as it was.
    const at = bytes.indexOf(one)
    assert.equal(bytes.readBigInt64LE(at - 8), BigInt(one.length))
    for (let i = at; i >= 0; i = bytes.indexOf(one, i + 1)) {
      bytes.writeBigInt64LE(BigInt(plain.length), i - 8)
    }
  }
  writeFileSync(file, bytes)
  return file
}

async function read(file: string): Promise<unknown[]> {
  const { source } = await openSource(file, 'arrow')
  const out: unknown[] = []
  try {
    for await (const chunk of source.chunks(0))
      out.push(...(chunk as { records: unknown[] }).records)
  } finally {
    await source.close()
  }
  return out
}

test('compressed Arrow files and streams are read like plain ones', async () => {
  const packers: [arrow.CompressionType, (data: Uint8Array) => Uint8Array][] = [
    [CompressionType.LZ4_FRAME, own],
  ]
  if (has('lz4')) {
    packers.push([CompressionType.LZ4_FRAME, (d) => piped('lz4', ['-c', '-BD', '-B4'], d)])
  }
  if (has('zstd'))
    packers.push([
      CompressionType.ZSTD,
      (d) => piped('zstd', ['-c', `--stream-size=${d.length}`], d),
    ])
  for (const isStream of [false, true]) {
    const plainFile = await arrowFile(isStream, null, own)
    const plain = await read(plainFile)
    assert.equal(plain.length, 1000)
    for (const [type, encode] of packers) {
      const packed: [Uint8Array, Uint8Array][] = []
      const file = await arrowFile(isStream, type, (data) => {
        const one = encode(data)
        packed.push([one, data])
        return one
      })
      assert.ok(readFileSync(file).length < readFileSync(plainFile).length)
      assert.deepEqual(await read(file), plain)
      assert.deepEqual(await read(corrected(file, packed)), plain)
    }
  }
})

test('damaged compressed Arrow files end with an OmenError or rows, soon', async () => {
  const next = random(runSeed(24))
  for (const isStream of [false, true]) {
    const made = await arrowFile(isStream, CompressionType.LZ4_FRAME, own)
    assert.equal((await read(made)).length, 1000)
    const whole = readFileSync(made)
    const file = fresh(isStream ? 'damaged.arrows' : 'damaged.arrow')
    let refused = 0
    for (let run = 0; run < 150; run++) {
      const bytes = Buffer.from(whole)
      for (let n = below(next, 4); n >= 0; n--) {
        bytes[Math.floor((next() < 0.5 ? 1 : 0.1) * next() * bytes.length)] = below(next, 256)
      }
      writeFileSync(file, run % 3 === 0 ? bytes.subarray(0, below(next, bytes.length)) : bytes)
      const started = performance.now()
      await read(file).catch((error: unknown) => {
        assert.ok(error instanceof OmenError, `run ${run}: ${(error as Error).stack}`)
        refused++
      })
      assert.ok(performance.now() - started < 3000, `run ${run}`)
    }
    assert.ok(refused > 30, `${refused} of 150 were refused`)
  }
})
