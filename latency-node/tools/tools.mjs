// The programs that packing needs beside Rust and npm, in a Python environment of their own: target/pack/tools.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const TARGET = join(ROOT, 'target/pack')

const REQUIREMENTS = join(ROOT, '.ci/pack.txt')
const ENVIRONMENT = join(TARGET, 'tools')
/** Where its programs lie. */
export const BIN = join(ENVIRONMENT, process.platform === 'win32' ? 'Scripts' : 'bin')

/** The path of one of them; makes the environment if it is missing, or if the requirements changed. */
export function tool(name) {
  const installed = join(ENVIRONMENT, 'installed.txt')
  const wanted = readFileSync(REQUIREMENTS, 'utf8')
  if (!existsSync(installed) || readFileSync(installed, 'utf8') !== wanted) {
    execFileSync(process.platform === 'win32' ? 'python' : 'python3', ['-m', 'venv', '--clear', ENVIRONMENT])
    execFileSync(join(BIN, 'pip'), ['install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS], { stdio: 'inherit' })
    writeFileSync(installed, wanted)
  }
  return join(BIN, name)
}
