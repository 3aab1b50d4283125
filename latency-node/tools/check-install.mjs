// Installs what `npm run pack` made, as users do, in empty folders outside the repository, and runs it there: module
// forms, package managers, bundlers, and one process with onnxruntime-node. .ci/addon runs this.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { ownPlatform, packageName } from './platforms.mjs'
import { registry } from './registry.mjs'
import { ROOT } from './tools.mjs'

const require = createRequire(import.meta.url)
const { version } = require('../package.json')
const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const platform = ownPlatform()
const main = join(DIST, `latency-predictor-${version}.tgz`)
const tarball = join(DIST, `${packageName(platform)}-${version}.tgz`)
const PINNED = { pnpm: 'pnpm@10.34.9', yarn: 'yarn@1.22.22', berry: '@yarnpkg/cli-dist@4.18.1' }
const BUNDLERS = ['esbuild@0.28.2', 'webpack@5.112.2', 'webpack-cli@7.3.1']
const NEIGHBOUR = 'onnxruntime-node@1.30.0'

const CHECK = `
  let bits = 0
  const golden = JSON.parse(readFileSync(process.env.GOLDEN, 'utf8'))
  const predictor = Predictor.bundled()
  golden.rows.forEach((row, index) => {
    const found = predictor.predictSync(row)
    for (const [name, number] of Object.entries(golden.predictions[index])) {
      if (!Object.is(found[name], number)) throw new Error(\`row \${index}: \${name} is \${found[name]}, not \${number}\`)
      bits += 1
    }
  })
  console.log(bits)
`
const PROGRAMS = {
  'program.cjs': `const { readFileSync } = require('node:fs'); const { Predictor } = require('latency-predictor'); ${CHECK}`,
  'program.mjs': `import { readFileSync } from 'node:fs'; import { Predictor } from 'latency-predictor'; ${CHECK}`,
  'typed.mts': `
    import { readFileSync } from 'node:fs'
    import { Predictor, type Prediction, type Row } from 'latency-predictor'
    const golden: { rows: Row[]; predictions: Record<string, number>[] } = JSON.parse(readFileSync(process.env['GOLDEN'] ?? '', 'utf8'))
    const predictor: Predictor = Predictor.bundled()
    let bits = 0
    golden.rows.forEach((row, index) => {
      const found: Prediction = predictor.predictSync(row)
      for (const [name, number] of Object.entries(golden.predictions[index] ?? {})) {
        if (!Object.is(found[name as keyof Prediction], number)) throw new Error(\`row \${index}: \${name}\`)
        bits += 1
      }
    })
    console.log(bits)
  `,
  'both.cjs': `
    const steps = {
      ours: () => console.log(require('latency-predictor').Predictor.bundled().predictSync({ src: 'London', dst: 'Tokyo' }).p50_ms > 0),
      theirs: async () => {
        const session = await require('onnxruntime-node').InferenceSession.create(process.env.MODEL)
        console.log(session.inputNames.length > 0)
      },
    }
    ;(async () => { for (const name of process.argv.slice(2)) await steps[name]() })()
  `,
}

const home = mkdtempSync(join(tmpdir(), 'latency-install-'))
const env = { ...process.env, GOLDEN: join(ROOT, 'data/golden/paths.json'), MODEL: join(ROOT, 'models/latency.onnx') }
for (const name of ['LATENCY_ORT_DYLIB_PATH', 'ORT_DYLIB_PATH', 'NAPI_RS_NATIVE_LIBRARY_PATH']) delete env[name]
const golden = JSON.parse(readFileSync(env.GOLDEN, 'utf8'))
const BITS = `${golden.predictions.reduce((sum, row) => sum + Object.keys(row).length, 0)}\n`

async function run(folder, command, ...args) {
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd: folder, env, maxBuffer: 1 << 28, shell: process.platform === 'win32' })
    return stdout
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')} in ${folder}:\n${error.stdout}\n${error.stderr}`, { cause: error })
  }
}

/** An empty project with the programs. */
function project(name, files = {}) {
  const folder = join(home, name)
  mkdirSync(folder)
  const all = { ...PROGRAMS, 'package.json': '{ "name": "app", "version": "1.0.0", "private": true }', ...files }
  for (const [file, text] of Object.entries(all)) writeFileSync(join(folder, file), text)
  return folder
}

const npx = (folder, what, ...args) => run(folder, 'npx', '--yes', '--package', what, ...args)

async function npm(url, asked) {
  const folder = project('npm')
  await run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--registry', url, '--cache', join(home, 'cache'), 'latency-predictor')
  assert.deepEqual(asked.sort(), ['latency-predictor', packageName(platform)], 'npm fetched other packages')
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'))
  for (const [path, { hasInstallScript }] of Object.entries(lock.packages)) assert.ok(!hasInstallScript, `${path} has an install script`)

  assert.equal(await run(folder, 'node', 'program.cjs'), BITS)
  assert.equal(await run(folder, 'node', 'program.mjs'), BITS)
  const types = ['--types', 'node', '--typeRoots', fileURLToPath(new URL('../node_modules/@types', import.meta.url))]
  const options = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--target', 'es2022', '--module', 'nodenext']
  await run(folder, 'node', require.resolve('typescript/package.json').replace('package.json', 'bin/tsc'), ...options, ...types, 'typed.mts')
  assert.equal(await run(folder, 'node', 'typed.mjs'), BITS)
  console.log(`npm: CommonJS, ESM and TypeScript give ${BITS.trim()} golden numbers, to the bit`)

  const clean = join(home, 'ci')
  cpSync(folder, clean, { recursive: true, filter: (path) => !path.endsWith('node_modules') })
  await run(clean, 'npm', 'ci', '--no-audit', '--no-fund', '--ignore-scripts', '--registry', url, '--cache', join(home, 'cache'))
  assert.equal(await run(clean, 'node', 'program.cjs'), BITS)
  return folder
}

async function omitted(url) {
  const folder = project('omitted')
  const flags = ['--omit=optional', '--no-audit', '--no-fund', '--registry', url, '--cache', join(home, 'cache')]
  await run(folder, 'npm', 'install', ...flags, 'latency-predictor')
  const message = await run(folder, 'node', '--eval', "try { require('latency-predictor') } catch (e) { console.log(e.code, e.message) }")
  assert.match(message, new RegExp(`^ADDON_NOT_LOADED latency-predictor needs the package ${packageName(platform)}.*--omit=optional`))
  console.log('npm --omit=optional: the loader names the missing package')
}

async function pnpm(url) {
  const folder = project('pnpm')
  await npx(folder, PINNED.pnpm, 'pnpm', 'add', '--registry', url, '--store-dir', join(home, 'pnpm-store'), 'latency-predictor')
  assert.equal(await run(folder, 'node', 'program.cjs'), BITS)
  assert.equal(await run(folder, 'node', 'program.mjs'), BITS)
  console.log(`${PINNED.pnpm}: CommonJS and ESM`)
}

async function yarn(url) {
  const folder = project('yarn')
  const flags = ['--registry', url, '--cache-folder', join(home, 'yarn-cache'), '--non-interactive']
  await npx(folder, PINNED.yarn, 'yarn', 'add', ...flags, 'latency-predictor')
  assert.equal(await run(folder, 'node', 'program.cjs'), BITS)
  console.log(`${PINNED.yarn}: CommonJS`)
}

async function berry(url, linker) {
  const settings = [
    `nodeLinker: ${linker}`,
    `npmRegistryServer: '${url}'`,
    "unsafeHttpWhitelist: ['127.0.0.1']",
    'enableGlobalCache: false',
    'enableTelemetry: false',
    'enableImmutableInstalls: false',
    // Else Yarn resolves `import` only in projects whose own type is "module".
    'pnpEnableEsmLoader: true',
  ]
  const folder = project(`berry-${linker}`, { '.yarnrc.yml': settings.join('\n'), 'yarn.lock': '' })
  await npx(folder, PINNED.berry, 'yarn', 'add', 'latency-predictor')
  assert.equal(await npx(folder, PINNED.berry, 'yarn', 'node', 'program.cjs'), BITS)
  assert.equal(await npx(folder, PINNED.berry, 'yarn', 'node', 'program.mjs'), BITS)
  console.log(`${PINNED.berry} (${linker}): CommonJS and ESM`)
}

/** A bundle of the program that leaves our package external runs beside its node_modules. */
async function bundlers(folder) {
  const tools = project('bundlers')
  await run(tools, 'npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', ...BUNDLERS)
  const bin = (name) => join(tools, 'node_modules/.bin', name)
  await run(folder, bin('esbuild'), 'program.mjs', '--bundle', '--platform=node', '--external:latency-predictor', '--outfile=esbuild.cjs')
  assert.equal(await run(folder, 'node', 'esbuild.cjs'), BITS)
  const external = "module.exports = { externals: { 'latency-predictor': 'commonjs latency-predictor' }, output: { path: __dirname } }"
  writeFileSync(join(folder, 'webpack.config.cjs'), external)
  const flags = ['--config', 'webpack.config.cjs', '--mode', 'production', '--target', 'node', '--entry', './program.cjs']
  await run(folder, bin('webpack'), ...flags, '--output-filename', 'webpacked.cjs')
  assert.equal(await run(folder, 'node', 'webpacked.cjs'), BITS)
  console.log(`${BUNDLERS.slice(0, 2).join(', ')}: bundles with the package as external`)
}

/** Both ONNX Runtimes in one process, whichever comes first. */
async function neighbours(folder) {
  await run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--no-save', '--ignore-scripts', NEIGHBOUR, main, tarball)
  for (const order of [['ours', 'theirs'], ['theirs', 'ours']]) {
    assert.equal(await run(folder, 'node', 'both.cjs', ...order), 'true\ntrue\n', order.join())
  }
  console.log(`${NEIGHBOUR}: in one process, in both orders`)
}

for (const file of [main, tarball]) if (!existsSync(file)) throw new Error(`found no ${file}: run \`npm run pack\``)
const server = await registry({ main, platform, tarball })
try {
  const folder = await npm(server.url, server.asked)
  await omitted(server.url)
  await pnpm(server.url)
  await yarn(server.url)
  await berry(server.url, 'pnp')
  await berry(server.url, 'node-modules')
  await bundlers(folder)
  await neighbours(folder)
} finally {
  server.close()
  rmSync(home, { recursive: true, force: true })
}
