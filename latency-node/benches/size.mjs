// What a user of this platform downloads and has on disk: our two packages, and the peer with what it depends on.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { ownPlatform, packageName } from '../tools/platforms.mjs'
import { ROOT } from '../tools/tools.mjs'
import { count, fixed, table } from './measure.mjs'
import { FOLDER, install, npm, PEER } from './peer.mjs'

const { version } = createRequire(import.meta.url)('../package.json')
const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const TARGET = join(ROOT, 'target/bench-node')

export default function size() {
  const platform = packageName(ownPlatform())
  const packed = ['latency-predictor', platform].map((name) => join(DIST, `${name}-${version}.tgz`))
  const missing = packed.find((file) => !existsSync(file))
  if (missing) return console.log(`\nSizes: found no ${basename(missing)}; make it with \`npm run pack\``)
  const ours = join(TARGET, 'ours')
  rmSync(ours, { recursive: true, force: true })
  install(ours, ...packed)
  const sides = [
    [`latency-predictor and ${platform}`, total(packed), bytes(join(ours, 'node_modules'))],
    [`${PEER} and what it depends on`, total(tarballs()), bytes(join(FOLDER, 'node_modules'))],
  ]
  const [, [, download, installed]] = sides
  console.log(`\nWhat npm installs, without what the peer's install script fetches for CUDA on Linux\n`)
  const mega = (number) => `${fixed(1)(number / 1e6)} MB (${count(number)} bytes)`
  table(
    ['', 'download', 'installed', 'download / the peer', 'installed / the peer'],
    sides.map(([name, less, more]) => [name, mega(less), mega(more), fixed(2)(less / download), fixed(2)(more / installed)])
  )
  const natives = join(FOLDER, 'node_modules/onnxruntime-node/bin')
  const [own] = readdirSync(natives).map((api) => join(natives, api, process.platform, process.arch))
  console.log(`\nThe peer brings all platforms; its files for ${process.platform}-${process.arch} take ${mega(bytes(own))}.`)
}

/** The files that npm fetched for the peer. */
function tarballs() {
  const { packages } = JSON.parse(readFileSync(join(FOLDER, 'package-lock.json'), 'utf8'))
  const { '': _, ...installed } = packages
  const names = Object.entries(installed).map(([path, { version }]) => `${path.replace(/.*node_modules\//, '')}@${version}`)
  const folder = join(TARGET, 'tarballs')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  npm(TARGET, 'pack', '--ignore-scripts', '--prefer-offline', '--pack-destination', folder, ...names)
  const files = readdirSync(folder)
  if (files.length !== names.length) throw new Error(`found ${files.length} tarballs for ${names.length} packages`)
  return files.map((file) => join(folder, file))
}

const total = (files) => files.reduce((sum, file) => sum + statSync(file).size, 0)

/** What the files in a folder hold. */
function bytes(folder) {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
  return total(entries.map((entry) => join(entry.parentPath ?? entry.path, entry.name)))
}
