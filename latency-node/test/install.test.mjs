// The packages as they are packed, installed from a registry into an empty folder. `.ci/addon` does more, with the addon
// that is released.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { addonFile, ownPlatform, packageName, PLATFORMS } from '../tools/platforms.mjs'
import { registry } from '../tools/registry.mjs'
import { pack, publishedManifest, stageMain, stagePlatform } from '../tools/stage.mjs'
import { PACKAGE, run } from './help.mjs'

const platform = ownPlatform()
const { version } = publishedManifest()

test('npm installs the main package and this platform\'s, and nothing else is needed to predict', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'latency-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const library = process.env.LATENCY_ORT_DYLIB_PATH ?? process.env.ORT_DYLIB_PATH
  stageMain(join(folder, 'main'))
  stagePlatform(join(folder, 'platform'), platform, {
    [addonFile(platform)]: join(PACKAGE, addonFile(platform)),
    [PLATFORMS[platform].library.file]: library,
  })
  const main = pack(join(folder, 'main'), folder)
  const own = pack(join(folder, 'platform'), folder)
  assert.equal(basename(main.file), `latency-predictor-${version}.tgz`)
  assert.ok(main.files.includes('index.js') && main.files.includes('index.d.ts') && main.files.includes('LICENSE'), main.files.join())
  const command = 'bin/latency-predictor.js'
  assert.ok(main.files.includes(command), main.files.join())
  if (process.platform !== 'win32') assert.equal(statSync(join(folder, 'main', command)).mode & 0o111, 0o111)
  assert.deepEqual(main.files.filter((name) => /\.(node|so|dylib|dll|rs|toml)$|^(test|tools|src|npm)\//.test(name)), [])
  assert.deepEqual(own.files, ['LICENSE', 'README.md', addonFile(platform), PLATFORMS[platform].library.file, 'package.json'].sort())

  const server = await registry({ main: main.file, platform, tarball: own.file })
  context.after(server.close)
  const app = mkdtempSync(join(folder, 'app-'))
  writeFileSync(join(app, 'package.json'), '{ "private": true }')
  const flags = ['--no-audit', '--no-fund', '--registry', server.url, '--cache', join(folder, 'cache')]
  const shell = process.platform === 'win32'
  await promisify(execFile)('npm', ['install', ...flags, 'latency-predictor'], { cwd: app, shell })
  assert.deepEqual(server.asked.sort(), ['latency-predictor', packageName(platform)].sort())
  assert.deepEqual(readdirSync(join(app, 'node_modules')).filter((name) => !name.startsWith('.')).sort(), server.asked)

  const golden = JSON.parse(readFileSync(new URL('../../data/golden/paths.json', import.meta.url), 'utf8'))
  const env = { LATENCY_ORT_DYLIB_PATH: undefined, ORT_DYLIB_PATH: undefined, NAPI_RS_NATIVE_LIBRARY_PATH: undefined }
  const row = JSON.stringify(golden.rows[0])
  const forms = {
    commonjs: "const { Predictor } = require('latency-predictor')",
    module: "import { Predictor } from 'latency-predictor'",
  }
  for (const [type, load] of Object.entries(forms)) {
    const { stdout } = await run(`${load}; console.log(JSON.stringify(Predictor.bundled().predictSync(${row})))`, { env, type, cwd: app })
    const found = JSON.parse(stdout)
    for (const [name, number] of Object.entries(golden.predictions[0])) assert.equal(found[name], number, `${type}: ${name}`)
  }

  // The command, by its path and as npm finds it.
  for (const [file, args] of [[join(app, 'node_modules/.bin/latency-predictor'), []], ['npx', ['--no-install', 'latency-predictor']]]) {
    const predicting = promisify(execFile)(file, args, { cwd: app, shell, env: { ...process.env, ...env } })
    predicting.child.stdin.end(row)
    const found = JSON.parse((await predicting).stdout)
    for (const [name, number] of Object.entries(golden.predictions[0])) assert.equal(found[name], number, `${file}: ${name}`)
  }
})
