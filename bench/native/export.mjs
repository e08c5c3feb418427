// Writes a set as the files that engine_bench reads: node bench/native/export.mjs sift out/sift
//
// base.f32 and query.f32 hold little-endian float32 rows, gt.i32 the numbers of the 100 nearest
// rows of each query, nearest first.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openSet } from '../lib/data.mjs'

const [name, folder] = process.argv.slice(2)
if (folder === undefined) {
  console.error('usage: node bench/native/export.mjs SET FOLDER')
  process.exit(2)
}
const { base, queries, truth, depth, dimensions, metric } = openSet(name)
const files = { 'base.f32': base, 'query.f32': queries, 'gt.i32': truth }
mkdirSync(folder, { recursive: true })
for (const [file, array] of Object.entries(files))
  writeFileSync(
    join(folder, file),
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
  )
console.log(`${base.length / dimensions} x ${dimensions}, truth ${depth} deep; metric=${metric}`)
