'use strict'

const addon = require('./lib/addon')

// By name, one by one: `import { Predictor }` finds them so.
exports.Predictor = addon.Predictor
exports.ERROR_CODES = Object.freeze(addon.errorCodes())
