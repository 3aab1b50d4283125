'use strict'

// Finds and loads the addon that fits this machine.

const { existsSync } = require('node:fs')
const { join } = require('node:path')

const SUFFIXES = { linux: ['-gnu', '-musl'], win32: ['-msvc'] }

function addonError(message, cause) {
  return Object.assign(new Error(message, cause && { cause }), { code: 'ADDON_NOT_LOADED' })
}

function load() {
  const target = `${process.platform}-${process.arch}`
  const names = (SUFFIXES[process.platform] ?? ['']).map((suffix) => `latency.${target}${suffix}.node`)
  const files = names.map((name) => join(__dirname, name)).filter((file) => existsSync(file))
  if (files.length === 0) {
    throw addonError(
      `latency-predictor has no addon for ${target}: found no ${names.join(' or ')} in ${__dirname}; ` +
        'install a version of the package that has one, or build it in a checkout with `npm run build` in latency-node/'
    )
  }
  let cause
  for (const file of files) {
    try {
      const addon = require(file)
      addon.setLibraryFolder(__dirname)
      return addon
    } catch (error) {
      cause ??= error
    }
  }
  throw addonError(
    `latency-predictor cannot load its addon: ${cause.message}; install the package on the machine that runs it, ` +
      'or build it there with `npm run build` in latency-node/',
    cause
  )
}

const addon = load()

// By name, one by one: `import { Predictor }` finds them so.
exports.Predictor = addon.Predictor
exports.ERROR_CODES = Object.freeze(addon.errorCodes())
