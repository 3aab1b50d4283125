// ONNX Runtime's library for a platform package: found on this machine or fetched from PyPI, and checked either way.
//
//   node tools/onnxruntime.mjs --all          fetch and check those of all platforms
//   node tools/onnxruntime.mjs darwin-arm64   ... of one

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { checkElf, checkMachine } from './binary.mjs'
import { PLATFORMS } from './platforms.mjs'
import { ROOT, TARGET, tool } from './tools.mjs'

/** What ONNX Runtime needs, all of it in every image that has Node.js with glibc. */
const LIBRARIES = /^(ld-linux-[\w-]+|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+))\.so\.\d$/

const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex')

/** Folders of installed Python packages that may hold the same library. */
function installed() {
  const named = process.env.LATENCY_ORT_DYLIB_PATH
  const environments = join(ROOT, '.venv/lib')
  const versions = existsSync(environments) ? readdirSync(environments) : []
  return [
    ...(named && basename(dirname(named)) === 'capi' ? [dirname(dirname(named))] : []),
    ...versions.map((version) => join(environments, version, 'site-packages/onnxruntime')),
  ]
}

/** pip compares the wheel's SHA-256, and unpacks it. */
function fetch(platform, folder) {
  const { version, wheel } = PLATFORMS[platform]
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const requirements = join(folder, 'requirements.txt')
  writeFileSync(requirements, `onnxruntime==${version} --hash=sha256:${wheel.sha256}\n`)
  const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes', '--only-binary', ':all:']
  const which = ['--platform', wheel.tag, '--implementation', 'cp', '--python-version', '3.12']
  execFileSync(tool('pip'), ['install', ...options, ...which, '--target', folder, '-r', requirements], { stdio: 'inherit' })
}

/** The folder of the Python package for a platform, and the library in it: the one of the table, to the byte. */
export function onnxruntime(platform) {
  const { library, machine, version } = PLATFORMS[platform]
  const own = join(TARGET, 'onnxruntime', platform)
  const file = (folder) => join(folder, 'capi', library.wheelFile ?? library.file)
  const right = (folder) => existsSync(file(folder)) && sha256(file(folder)) === library.sha256
  let folder = [...installed(), join(own, 'onnxruntime')].find(right)
  if (!folder) {
    fetch(platform, own)
    folder = join(own, 'onnxruntime')
    if (!existsSync(file(folder))) throw new Error(`the wheel of ONNX Runtime ${version} for ${platform} has no ${file(folder)}`)
    if (!right(folder)) throw new Error(`${file(folder)} has SHA-256 ${sha256(file(folder))}; allowed: ${library.sha256}`)
  }
  checkMachine(file(folder), machine)
  if (machine.startsWith('ELF')) checkElf(file(folder), { glibc: '2.28', libraries: LIBRARIES })
  return { folder, file: file(folder) }
}

/**
 * A copy with a SONAME of its own. onnxruntime-node asks for `libonnxruntime.so.1`, and the linker would hand it whatever
 * of that SONAME is loaded already: ours, which lacks the symbol versions of another release.
 */
export function withOwnSoname(file, copy) {
  copyFileSync(file, copy)
  chmodSync(copy, 0o755)
  execFileSync(tool('patchelf'), ['--set-soname', 'liblatency-predictor-onnxruntime.so.1', copy])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({ options: { all: { type: 'boolean' } }, allowPositionals: true })
  const unknown = positionals.filter((name) => !(name in PLATFORMS))
  if (unknown.length || (values.all ? positionals.length : !positionals.length)) {
    console.error(`found ${process.argv.slice(2).join(' ') || 'no platform'}; allowed: --all, or some of ${Object.keys(PLATFORMS).join(', ')}`)
    process.exit(2)
  }
  for (const platform of values.all ? Object.keys(PLATFORMS) : positionals) {
    const { file } = onnxruntime(platform)
    console.log(`${platform}: ONNX Runtime ${PLATFORMS[platform].version}, ${readFileSync(file).length.toLocaleString('en')} bytes, ${file}`)
  }
}
