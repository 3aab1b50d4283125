// An npm registry on loopback that has our packages and no others: what package managers do with them can be seen before
// they are published.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { packageName, PLATFORMS } from './platforms.mjs'
import { publishedManifest } from './stage.mjs'

const PACKAGE = fileURLToPath(new URL('..', import.meta.url))

/**
 * Serves the tarballs of the main package and of one platform package. Of the others it has the manifests alone, as a
 * package manager must not fetch more of them.
 */
export async function registry({ main, platform, tarball }) {
  const asked = []
  const packages = new Map([['latency-predictor', { manifest: publishedManifest(), file: main }]])
  for (const name of Object.keys(PLATFORMS)) {
    const manifest = JSON.parse(readFileSync(join(PACKAGE, 'npm', name, 'package.json'), 'utf8'))
    packages.set(packageName(name), { manifest, file: name === platform ? tarball : undefined })
  }
  const server = createServer((request, response) => {
    const [, name, , archive] = request.url.split('/')
    const found = packages.get(decodeURIComponent(name))
    if (archive) asked.push(name)
    if (!found || (archive && !found.file)) return response.writeHead(404, { 'content-type': 'application/json' }).end('{}')
    if (archive) return response.end(readFileSync(found.file))
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(document(found, `http://${request.headers.host}/${name}/-/${name}.tgz`)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    /** The names of the packages whose tarballs were asked for. */
    asked,
    close: () => server.close(),
  }
}

/** What a registry says about a package. */
function document({ manifest, file }, tarball) {
  const { name, version } = manifest
  const integrity = `sha512-${createHash('sha512').update(file ? readFileSync(file) : '').digest('base64')}`
  return {
    name,
    'dist-tags': { latest: version },
    time: { [version]: '2020-01-01T00:00:00.000Z' },
    versions: { [version]: { ...manifest, dist: { tarball, integrity } } },
  }
}
