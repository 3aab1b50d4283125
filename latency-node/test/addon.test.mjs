// The loader, in packages laid out as npm does it: which addon it takes, and what it says if there is none.

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { before, test } from 'node:test'

import { addonFile, ownPlatform, packageName } from '../tools/platforms.mjs'
import { PACKAGE, read, run } from './help.mjs'

const ADDON = addonFile(ownPlatform())
const NAME = packageName(ownPlatform())
const { version } = JSON.parse(read('../package.json'))
const UNSET = { LATENCY_ORT_DYLIB_PATH: undefined, ORT_DYLIB_PATH: undefined, NAPI_RS_NATIVE_LIBRARY_PATH: undefined }
const ENGINE = "require('latency-predictor').Predictor.bundled().modelInfo().engine"
const FAILURE = `try { require('latency-predictor') } catch ({ code, message, cause }) { [code, message, cause?.code ?? cause?.message] }`
const ON_MUSL = "Object.defineProperty(process, 'report', { value: { getReport: () => ({ header: {} }) } });"
const LIBRARY = process.env.LATENCY_ORT_DYLIB_PATH ?? process.env.ORT_DYLIB_PATH

/** What a program gives in a folder of its own that has the main package, and the platform package as `platform` makes it. */
async function evaluate(context, code, { platform, env = {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'latency-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const main = join(folder, 'node_modules/latency-predictor')
  mkdirSync(main, { recursive: true })
  for (const name of ['index.js', 'lib', 'package.json']) cpSync(join(PACKAGE, name), join(main, name), { recursive: true })
  const own = join(folder, 'node_modules', NAME)
  if (platform) {
    mkdirSync(own)
    platform(own, main)
  }
  const { stdout } = await run(`console.log(JSON.stringify(eval(${JSON.stringify(code)})))`, {
    type: 'commonjs',
    cwd: folder,
    env: { ...UNSET, ...env },
  })
  return { answer: JSON.parse(stdout), own, main }
}

function manifest(folder, changes = {}) {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: NAME, version, ...changes }))
}

function complete(folder) {
  manifest(folder)
  symlinkSync(join(PACKAGE, ADDON), join(folder, ADDON))
  symlinkSync(LIBRARY, join(folder, basename(LIBRARY)))
}

before(() => assert.ok(LIBRARY, 'LATENCY_ORT_DYLIB_PATH must name the ONNX Runtime library'))

test('the addon and the library of the platform package are taken', async (context) => {
  const { answer } = await evaluate(context, ENGINE, { platform: complete })
  assert.equal(answer, 'onnxruntime')
})

test('the platform package wins over an addon beside index.js', async (context) => {
  const platform = (own, main) => {
    complete(own)
    writeFileSync(join(main, ADDON), 'not an addon')
  }
  const { answer } = await evaluate(context, ENGINE, { platform })
  assert.equal(answer, 'onnxruntime')
})

test('a missing platform package is named, with every cure', async (context) => {
  const { answer: [code, message, cause] } = await evaluate(context, FAILURE)
  assert.equal(code, 'ADDON_NOT_LOADED')
  assert.equal(cause, 'MODULE_NOT_FOUND')
  for (const words of [
    `the package ${NAME}`, '--omit=optional', 'npm/cli/issues/4828', 'supportedArchitectures', 'external', `npm install ${NAME}@${version}`,
  ]) {
    assert.ok(message.includes(words), `${words}: ${message}`)
  }
})

test('a checkout that is not built is told how to', async (context) => {
  const platform = (own, main) => {
    rmSync(own, { recursive: true })
    writeFileSync(join(main, 'Cargo.toml'), '')
  }
  const { answer: [code, message], main } = await evaluate(context, FAILURE, { platform })
  assert.equal(code, 'ADDON_NOT_LOADED')
  assert.equal(message, `found no ${ADDON} in ${main}: build it with \`npm run build\` in that folder`)
})

test('a platform package of another version is refused before its addon is loaded', async (context) => {
  const platform = (own) => {
    manifest(own, { version: '99.0.0' })
    writeFileSync(join(own, ADDON), 'not an addon')
  }
  const { answer: [code, message] } = await evaluate(context, FAILURE, { platform })
  assert.equal(code, 'ADDON_NOT_LOADED')
  assert.match(message, new RegExp(`is version ${version}, but ${NAME} is version 99\\.0\\.0`))
  assert.match(message, new RegExp(`npm install latency-predictor@${version}`))
})

test('a platform without a package is told which have one', async (context) => {
  const code = `Object.defineProperty(process, 'arch', { value: 'riscv64' }); ${FAILURE}`
  const { answer: [name, message] } = await evaluate(context, code)
  assert.equal(name, 'ADDON_NOT_LOADED')
  assert.match(message, /has no addon for \w+-riscv64; allowed: linux-x64-gnu, .*win32-x64-msvc$/)
})

test('musl is told to take an image with glibc', { skip: process.platform !== 'linux' }, async (context) => {
  const absent = await evaluate(context, `${ON_MUSL} ${FAILURE}`)
  // Yarn 1 installs the package for glibc there.
  const platform = (own) => {
    manifest(own)
    writeFileSync(join(own, ADDON), 'not an addon')
  }
  const unfit = await evaluate(context, `${ON_MUSL} ${FAILURE}`, { platform })
  for (const { answer: [code, message] } of [absent, unfit]) {
    assert.equal(code, 'ADDON_NOT_LOADED')
    assert.match(message, /musl \(Alpine Linux\).*node:22-slim/)
  }
  assert.equal(unfit.answer[2], 'ERR_DLOPEN_FAILED')
})

test('an addon that asks for a newer glibc says which', { skip: process.platform !== 'linux' }, async (context) => {
  const platform = (own) => {
    const bytes = readFileSync(join(PACKAGE, ADDON))
    // The linker finds versions by their hash, then compares their names.
    const at = /\0GLIBC_2\.\d\d\0/.exec(bytes.toString('latin1')).index
    bytes.write('GLIBC_9.99', at + 1)
    manifest(own)
    writeFileSync(join(own, ADDON), bytes)
  }
  const { answer: [code, message, cause], own } = await evaluate(context, FAILURE, { platform })
  assert.equal(code, 'ADDON_NOT_LOADED')
  assert.equal(cause, 'ERR_DLOPEN_FAILED')
  const { glibcVersionRuntime } = process.report.getReport().header
  assert.ok(message.includes(`cannot load ${join(own, ADDON)}: it needs glibc 9.99, and found ${glibcVersionRuntime}`), message)
  assert.ok(message.includes('the published addon, which needs 2.28'), message)
})

test('an addon that is damaged says what the system said', async (context) => {
  const platform = (own) => {
    manifest(own)
    writeFileSync(join(own, ADDON), 'not an addon')
  }
  const { answer: [code, message, cause] } = await evaluate(context, FAILURE, { platform })
  assert.equal(code, 'ADDON_NOT_LOADED')
  assert.equal(cause, 'ERR_DLOPEN_FAILED')
  assert.match(message, /delete node_modules and install again/)
})

test('NAPI_RS_NATIVE_LIBRARY_PATH names the addon, and nothing else is tried', async (context) => {
  const path = (value) => ({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: value } })
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: join(PACKAGE, ADDON), LATENCY_ORT_DYLIB_PATH: LIBRARY }
  assert.equal((await evaluate(context, ENGINE, { env })).answer, 'onnxruntime')

  const missing = await evaluate(context, FAILURE, { platform: complete, ...path('/nowhere/latency.node') })
  assert.match(missing.answer[1], /cannot load \/nowhere\/latency\.node/)
  const relative = await evaluate(context, FAILURE, { platform: complete, ...path('latency.node') })
  assert.match(relative.answer[1], /names latency\.node; allowed: the absolute path/)
  const other = await evaluate(context, FAILURE, { platform: complete, ...path(join(PACKAGE, 'package.json')) })
  assert.match(other.answer[1], /is not latency-predictor's addon: unset it/)
  for (const { answer: [code] } of [missing, relative, other]) assert.equal(code, 'ADDON_NOT_LOADED')
})
