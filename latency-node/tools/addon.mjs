// Builds the addon as it is released.

import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import { checkElf, checkMachine } from './binary.mjs'
import { addonFile, PLATFORMS } from './platforms.mjs'
import { BIN, TARGET, tool } from './tools.mjs'

const PACKAGE = fileURLToPath(new URL('..', import.meta.url))
/** Of Node.js 18 and later, and of ONNX Runtime. */
const GLIBC = '2.28'
/** What every Linux has that runs Node.js. ONNX Runtime is not among them: it is loaded by its path. */
const LIBRARIES = /^(ld-linux-[\w-]+|lib(c|m|dl|pthread|gcc_s))\.so\.\d$/

/** Builds the addon of this machine's platform, and gives its file. */
export function build(platform) {
  const { target } = PLATFORMS[platform]
  const folder = join(TARGET, 'addon', platform)
  rmSync(folder, { recursive: true, force: true })
  // zig links against the symbols of an older glibc than this machine's.
  const onLinux = platform.startsWith('linux')
  if (onLinux) tool('cargo-zigbuild')
  const options = ['--platform', '--release', '--no-js', '--dts', 'index.d.ts', '--output-dir', relative(PACKAGE, folder)]
  const which = onLinux ? ['--cross-compile', '--target', `${target}.${GLIBC}`] : ['--target', target]
  const cli = createRequire(import.meta.url).resolve('@napi-rs/cli/package.json').replace('package.json', 'dist/cli.js')
  execFileSync(process.execPath, [cli, 'build', ...options, ...which, '--', '--locked'], {
    cwd: PACKAGE,
    env: { ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH}` },
    stdio: 'inherit',
  })
  if (!readFileSync(join(folder, 'index.d.ts')).equals(readFileSync(join(PACKAGE, 'index.d.ts')))) {
    throw new Error(`index.d.ts is not what the crate's types give: run \`npm run build\`, and commit it`)
  }
  return join(folder, addonFile(platform))
}

/** Fails if an addon is for another platform, or needs more than every system of that platform has. */
export function check(file, platform) {
  const { machine } = PLATFORMS[platform]
  checkMachine(file, machine)
  return machine.startsWith('ELF') ? checkElf(file, { glibc: GLIBC, libraries: LIBRARIES }) : undefined
}
