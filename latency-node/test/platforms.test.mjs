// What is said of the platforms in several places is the same: package.json, npm/, the loader, the tools, the workspace.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { addonFile, LICENSES, packageName, PLATFORMS } from '../tools/platforms.mjs'
import { publishedManifest } from '../tools/stage.mjs'
import { PACKAGE, read } from './help.mjs'

const readJson = (path) => JSON.parse(read(path))
const manifest = readJson('../package.json')
const platforms = Object.keys(PLATFORMS)

test('the version is the workspace\'s', () => {
  const [, version] = /\[workspace\.package\]\nversion = "(.*)"/.exec(read('../../Cargo.toml'))
  assert.equal(manifest.version, version)
  assert.equal(readJson('../package-lock.json').version, version)
  for (const platform of platforms) assert.equal(readJson(`../npm/${platform}/package.json`).version, version, platform)
})

test('every platform has its target, its package and its place in the loader, and no other has', () => {
  assert.deepEqual(manifest.napi.targets, platforms.map((platform) => PLATFORMS[platform].target))
  assert.deepEqual(readdirSync(join(PACKAGE, 'npm')).sort(), [...platforms].sort())
  const [, table] = /const PLATFORMS = \{([^}]*)\}/.exec(read('../lib/addon.js'))
  const entries = [...table.matchAll(/'(.*)': '(.*)'/g)].map(([, machine, platform]) => [machine, platform])
  assert.deepEqual(entries, platforms.map((platform) => [platform.split('-').slice(0, 2).join('-'), platform]))
})

test('the published package asks for exactly this version of every platform package', () => {
  const { optionalDependencies, devDependencies, scripts } = publishedManifest()
  assert.deepEqual(optionalDependencies, Object.fromEntries(platforms.map((platform) => [packageName(platform), manifest.version])))
  assert.deepEqual({ devDependencies, scripts }, { devDependencies: undefined, scripts: undefined })
  assert.equal(manifest.optionalDependencies, undefined, 'npm ci in a checkout would look for packages that are not published')
})

for (const platform of platforms) {
  test(`the package for ${platform} is for that platform alone, and lists what travels in it`, () => {
    const own = readJson(`../npm/${platform}/package.json`)
    const [os, cpu, abi] = platform.split('-')
    assert.equal(own.name, packageName(platform))
    assert.deepEqual([own.os, own.cpu, own.libc], [[os], [cpu], abi === 'gnu' ? ['glibc'] : undefined])
    // The addon is the loader's alone.
    assert.deepEqual([own.main, own.exports], [undefined, { './package.json': './package.json' }])
    assert.deepEqual(own.files, [addonFile(platform), PLATFORMS[platform].library.file, ...Object.keys(LICENSES)])
    assert.deepEqual([own.license, own.engines], [manifest.license, manifest.engines])
    assert.deepEqual([own.scripts, own.dependencies], [undefined, undefined])
    const words = read(`../npm/${platform}/README.md`).toString()
    for (const part of [packageName(platform), PLATFORMS[platform].version, PLATFORMS[platform].needs]) assert.ok(words.includes(part), part)
  })
}

test('ONNX Runtime is the one of the whole project, but where that has no wheel', () => {
  const pinned = read('../../.ci/onnxruntime.txt').toString()
  const [, version] = /^onnxruntime==(\S+)/m.exec(pinned)
  const others = platforms.filter((platform) => PLATFORMS[platform].version !== version)
  assert.deepEqual(others, ['darwin-x64'])
  for (const platform of platforms.filter((name) => !others.includes(name))) {
    assert.ok(pinned.includes(PLATFORMS[platform].wheel.sha256), `.ci/onnxruntime.txt lacks the wheel of ${platform}`)
  }
})
