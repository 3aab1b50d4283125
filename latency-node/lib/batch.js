'use strict'

// Batches: rows and columns are read in pieces of some milliseconds, so that the asynchronous form leaves the event loop to
// others in between. What is read, checked and predicted is the addon's business.

const { setImmediate } = require('node:timers/promises')
const { isFloat64Array, isSharedArrayBuffer } = require('node:util').types

const addon = require('./addon')

/** What the addon answers when it has read all there is. */
const ALL = 0xffffffff

function predictBatchSync(rows, options) {
  const { notes } = readOptions(options, ['notes'])
  const batch = addon.startBatch(this, !notes)
  const borrowed = []
  for (const _ of read(batch, rows, borrowed));
  addon.predictFilledSync(
    batch,
    borrowed.map(([name]) => name),
    borrowed.map(([, column]) => column)
  )
  const answer = take(batch, notes)
  for (;;) {
    const { done, value } = answer.next()
    if (done) return value
  }
}

async function predictBatch(rows, options) {
  const { notes, signal } = readOptions(options, ['notes', 'signal'])
  signal?.throwIfAborted()
  const batch = addon.startBatch(this, !notes)
  await inTurns(read(batch, rows), signal)
  // What was read may have aborted it.
  signal?.throwIfAborted()
  await abortable(addon.predictFilled(batch), signal, () => addon.cancelBatch(batch))
  return inTurns(take(batch, notes), signal)
}

/** Reads an array of rows, or an object of columns; those that can be `borrowed` are left to the caller. */
function* read(batch, rows, borrowed) {
  if (Array.isArray(rows)) {
    const { length } = rows
    for (let at = 0; at < length; yield) at = addon.readRows(batch, rows, at, length)
    return
  }
  if (rows === null || typeof rows !== 'object' || ArrayBuffer.isView(rows)) {
    throw addon.inputError('INVALID_BATCH', undefined, `found ${kindOf(rows)}; allowed: an array of rows, or an object of columns`)
  }
  for (const [name, column] of Object.entries(rows)) {
    if (column === undefined) continue
    const owned = ArrayBuffer.isView(column) && isSharedArrayBuffer(column.buffer) ? unshared(column) : column
    if (borrowed && isFloat64Array(owned)) borrowed.push([name, owned])
    else for (let at = 0; at < ALL; yield) at = addon.readColumn(batch, name, owned, at)
  }
}

/** Another thread may write to the original while it is read. */
function unshared(column) {
  return column.slice?.() ?? column
}

/** The answer as JavaScript has it. */
function* take(batch, notes) {
  const answer = addon.takeNumbers(batch)
  warnOfIgnored(answer.ignored_columns)
  if (!notes) return answer
  for (const [name, more] of [
    ['warnings', addon.takeWarnings],
    ['errors', addon.takeErrors],
  ]) {
    answer[name] = []
    for (let piece = more(batch); piece.length > 0; piece = more(batch)) {
      answer[name].push(...piece)
      yield
    }
  }
  answer.missing = addon.takeMissing(batch)
  return answer
}

/** Runs a generator to its end, and lets others run wherever it yields. */
async function inTurns(work, signal) {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
    await setImmediate()
    signal?.throwIfAborted()
  }
}

/** The promise, or the signal's reason as soon as it is aborted. */
function abortable(promise, signal, cancel) {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => {
      cancel()
      reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function readOptions(options, allowed) {
  if (options === undefined || options === null) return {}
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw addon.inputError('INVALID_FIELD', 'options', `found ${kindOf(options)}; allowed: an object`)
  }
  for (const [name, value] of Object.entries(options)) {
    if (!allowed.includes(name)) {
      throw addon.inputError('UNKNOWN_FIELD', name, `unknown option; allowed: ${allowed.join(', ')}`)
    }
    if (value === undefined || value === null) continue
    if (name === 'notes' && typeof value !== 'boolean') {
      throw addon.inputError('INVALID_FIELD', name, `found ${kindOf(value)}; allowed: true or false`)
    }
    if (name === 'signal' && typeof value.throwIfAborted !== 'function') {
      throw addon.inputError('INVALID_FIELD', name, `found ${kindOf(value)}; allowed: an AbortSignal`)
    }
  }
  return options
}

function kindOf(value) {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  const type = typeof value
  return type === 'object' ? `an object of the class ${value.constructor?.name ?? 'null'}` : `a ${type}`
}

const warned = new Set()

/** A name that is spelt wrong would be lost without a word. Once for each set of columns. */
function warnOfIgnored(columns) {
  const names = columns.join(', ')
  if (columns.length === 0 || warned.has(names) || warned.size > 100) return
  warned.add(names)
  process.emitWarning(`columns that the model does not use: ${names}`, { type: 'LatencyWarning', code: 'LATENCY_IGNORED_COLUMNS' })
}

module.exports = { predictBatch, predictBatchSync }
