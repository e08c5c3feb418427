// A package registry in this process: enough for `npm publish` and `npm install`, nothing kept.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

/** Registry that holds `tarballs` ({ manifest, bytes }) and whatever is published to it. */
export async function startRegistry(tarballs = []) {
  const packages = new Map() // name -> { document, files: Map<file name, Buffer> }
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}`

  function store(manifest, bytes) {
    const { name, version } = manifest
    const file = `${name}-${version}.tgz`
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
    const dist = { tarball: `${url}/${name}/-/${file}`, integrity }
    packages.set(name, {
      document: {
        name,
        'dist-tags': { latest: version },
        versions: { [version]: { ...manifest, dist } },
      },
      files: new Map([[file, bytes]]),
    })
  }

  async function answer(request, response) {
    const send = (status, body) => {
      const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
      response.writeHead(status, { 'content-length': bytes.length }).end(bytes)
    }
    const [, name, , file] = decodeURIComponent(new URL(request.url, url).pathname).split('/')
    if (request.method === 'PUT') {
      const chunks = []
      for await (const chunk of request) chunks.push(chunk)
      const body = JSON.parse(Buffer.concat(chunks).toString())
      const [manifest] = Object.values(body.versions)
      const [attachment] = Object.values(body._attachments)
      store(manifest, Buffer.from(attachment.data, 'base64'))
      return send(201, { ok: true })
    }
    const found = packages.get(name)
    if (!found || (file && !found.files.has(file))) return send(404, { error: 'not found' })
    return send(200, file ? found.files.get(file) : found.document)
  }

  for (const { manifest, bytes } of tarballs) store(manifest, bytes)
  return {
    url,
    published: (name) => Object.values(packages.get(name).document.versions)[0],
    close: () => server.close(),
  }
}
