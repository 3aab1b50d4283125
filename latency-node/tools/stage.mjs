// Lays out what is packed, and packs it. What is committed stays as it is.

import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { packageName, PLATFORMS } from './platforms.mjs'
import { ROOT } from './tools.mjs'

const PACKAGE = fileURLToPath(new URL('..', import.meta.url))

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'))
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)

function fresh(folder) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
}

/**
 * The main package's manifest as it is published. Only here it names the platform packages: in a checkout `npm ci` would
 * fail for want of those that are not published yet.
 */
export function publishedManifest() {
  const { scripts, devDependencies, overrides, napi, ...manifest } = readJson(join(PACKAGE, 'package.json'))
  const names = Object.keys(PLATFORMS).map(packageName)
  return { ...manifest, optionalDependencies: Object.fromEntries(names.map((name) => [name, manifest.version])) }
}

/** Copies what `files` lists into a folder. */
export function stageMain(folder) {
  fresh(folder)
  const manifest = publishedManifest()
  writeJson(join(folder, 'package.json'), { ...manifest, files: [...manifest.files, 'GUIDE.md'] })
  for (const name of [...manifest.files, 'README.md']) cpSync(join(PACKAGE, name), join(folder, name), { recursive: true })
  copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
  copyFileSync(join(ROOT, 'docs/node.md'), join(folder, 'GUIDE.md'))
}

/** Copies the platform's manifest and the `natives`, `{ name there: file }`, into a folder. */
export function stagePlatform(folder, platform, natives) {
  fresh(folder)
  const manifest = readJson(join(PACKAGE, 'npm', platform, 'package.json'))
  const odd = Object.keys(natives).filter((name) => !manifest.files.includes(name))
  if (odd.length) throw new Error(`\`files\` of npm/${platform}/package.json lack ${odd.join(', ')}`)
  for (const name of ['package.json', 'README.md']) copyFileSync(join(PACKAGE, 'npm', platform, name), join(folder, name))
  copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
  for (const [name, file] of Object.entries(natives)) copyFileSync(file, join(folder, name))
}

/** Packs a folder; gives the tarball's path, its size and the size of what is in it. */
export function pack(folder, out) {
  mkdirSync(out, { recursive: true })
  // npm is a script on Windows, which only a shell runs.
  const options = { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32' }
  const [packed] = Object.values(JSON.parse(execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', out], options)))
  const file = join(out, packed.filename)
  return { file, files: packed.files.map(({ path }) => path).sort(), packed: statSync(file).size, unpacked: packed.unpackedSize }
}
