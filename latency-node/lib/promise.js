'use strict'

const addon = require('./addon')

const CODES = new Set(addon.errorCodes())

/**
 * The method, as one that never throws: what it throws rejects the promise. Errors that come from another thread get the
 * stack of whoever awaits them.
 */
function rejecting(method) {
  const { name } = method
  const wrapped = {
    async [name](...given) {
      try {
        return await method.apply(this, given)
      } catch (error) {
        // Only what the addon made: other errors belong to the caller.
        if (CODES.has(error?.code) && !error.stack?.includes('\n    at ')) Error.captureStackTrace(error, wrapped)
        throw error
      }
    },
  }[name]
  return wrapped
}

module.exports = { rejecting }
