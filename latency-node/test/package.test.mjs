// The package's surface: module forms, types.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { promisify } from 'node:util'

import * as module from 'latency-predictor'

import { PACKAGE, read } from './help.mjs'

const require = createRequire(import.meta.url)
const manifest = JSON.parse(read('../package.json'))

test('import and require give the same class', () => {
  const required = require('latency-predictor')
  assert.equal(module.Predictor, required.Predictor)
  assert.equal(module.default, required)
  assert.deepEqual(Object.keys(required), ['Predictor', 'findPlace', 'suggestPlaces', 'cloudRegions', 'ERROR_CODES', 'ATTRIBUTION'])
  assert.equal(require('latency-predictor/package.json').version, manifest.version)
})

test('the types are true', async () => {
  const compiler = require.resolve('typescript/package.json').replace('package.json', 'bin/tsc')
  const options = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2022', '--module', 'nodenext', '--types', 'node']
  const check = promisify(execFile)(process.execPath, [compiler, ...options, 'test/types.ts', 'test/types.cts'], { cwd: PACKAGE })
  await check.catch(({ stdout }) => assert.fail(stdout))
})

test('the types list every error code', () => {
  const types = read('../index.d.ts').toString()
  const [, union] = /type ErrorCode =([^/]*)/.exec(types)
  assert.deepEqual(union.match(/[A-Z_]{4,}/g), [...module.ERROR_CODES])
})

test('the lock file names no registry', () => {
  assert.doesNotMatch(read('../package-lock.json').toString(), /"resolved": "\w+:/)
})
