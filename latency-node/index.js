'use strict'

const { inspect } = require('node:util')

const addon = require('./lib/addon')
const { predictBatch, predictBatchSync } = require('./lib/batch')
const { rejecting } = require('./lib/promise')

const { Predictor } = addon

// What is asynchronous goes through JavaScript, because a promise's method never throws.
const loadAsync = rejecting(function loadAsync(model, options) {
  return addon.loadAsync(model, options)
})
const predict = rejecting(function predict(row) {
  return addon.predict(this, row)
})

function define(target, methods) {
  for (const [name, value] of Object.entries(methods)) Object.defineProperty(target, name, { value, writable: true, configurable: true })
}
define(Predictor, { loadAsync })
define(Predictor.prototype, { predict, predictBatch: rejecting(predictBatch), predictBatchSync })
Object.defineProperty(Predictor.prototype, inspect.custom, { value: shown, writable: true, configurable: true })

/** In a console: `Predictor { name: 'latency', version: '00e823b4e883' }`. */
function shown(depth, options) {
  let info
  try {
    const { name, version, engine } = this.modelInfo()
    info = { name, version, engine }
  } catch {
    // The class's prototype, and what inherits from it, is no predictor.
    info = {}
  }
  return `Predictor ${inspect(info, options)}`
}

// By name, one by one: `import { Predictor }` finds them so.
exports.Predictor = Predictor
exports.findPlace = addon.findPlace
exports.suggestPlaces = addon.suggestPlaces
exports.cloudRegions = addon.cloudRegions
exports.ERROR_CODES = Object.freeze(addon.errorCodes())
exports.ATTRIBUTION = addon.attribution()
