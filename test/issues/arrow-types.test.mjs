// Types of Arrow that pyarrow, polars and DuckDB write, and an import refused.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { DB } from '../../dist/index.mjs'

const home = mkdtempSync(path.join(tmpdir(), 'omendb-arrow-'))
after(() => rmSync(home, { recursive: true, force: true }))
const command = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url))

// A file of pyarrow 25: id and note are string_view, vector is large_list(float32), tags
// large_list(string_view).
const FILE =
  'H4sIAAAAAAACA+1UO08CQRCe4+Ak5qJXoKGw2MLCymBiL3R2GhpbTlnwErgzsEFMLCgtLS0sKPwZFiQ2lpT+BEpLO5y5' +
  'HcKyPBJ7Jzc3++08dnZ2divV6sXVCcAU6dIBCIBoG3zwIAd5HCE5WcSAKI//LP81/yA/IZcYH2EcdChSnCLPAcs4UZLG' +
  'B7SWttsrEGY9Lg8FHquw2SXbc7R73BAzUrJN4zu0edsQ00PuyRuVdABe0W6sbd3AsF2M6eE+vdSPogQYhfBWWomA67Sc' +
  'U4b864Sz6RzVdezoHIh82OfK+mkkcLPp+mWHDWAHccBV9hFhbVF3CvpsXJiTy/uDFZJoF9ZTyZLHLGuW3QwLlgNLP8NF' +
  'li9WHkPLf2TpPy39xIo/sey/rbyFs+gPfNauFcfG3hq9Y5yjid0VdQ4Nf6pfGIsIDP+P97medHUZq6gRyY5Qt6ESUVe0' +
  'kripYSzUvWz1pLh+ULI798sYfbmY9+CM2gY/5GfkIfJolLP2lVkjzX30N/SJt2ae6h0KfZ9XEen6SiQN0U46cnmH0/T+' +
  '6Z728XZ46Y0I9J3A3VK/Hxp3uMYJf7EsG43+/y79/V3qYwKV9O3/BdmrDXQCBgAA'

test('lists of 64-bit offsets and texts in views are imported', async () => {
  const [file, where] = [path.join(home, 'views.arrow'), path.join(home, 'views.omendb')]
  writeFileSync(file, gunzipSync(Buffer.from(FILE, 'base64')))
  execFileSync(process.execPath, [command, 'import', file, '--to', where, '--quiet'])
  const db = await DB.open(where)
  const long = 'an identifier that is longer than twelve bytes'
  const rows = await db.get(['a', long, '\u00fc'], { include: ['metadata', 'vector'] })
  assert.deepEqual(
    rows.map(({ vector, metadata }) => [[...vector], metadata]),
    [
      [[1, 2], { tags: ['x', null], note: null }],
      [[3, 4.5], { tags: null, note: 'a text of more than twelve bytes' }],
      [[5, -6], { tags: [], note: '' }],
    ],
  )
  await db.close()
})
