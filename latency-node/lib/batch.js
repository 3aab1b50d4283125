'use strict'

// Batches: rows and columns are read in pieces of some milliseconds, so that the asynchronous form leaves the event loop to
// others in between. What is read, checked and predicted is the addon's business.

const { setImmediate } = require('node:timers/promises')
const { isFloat64Array, isSharedArrayBuffer, isTypedArray } = require('node:util').types

const addon = require('./addon')

/** What the addon answers when it has read all there is. */
const ALL = 0xffffffff
/** Of one batch: what is read of more would not fit into most memories. */
const MAX_ROWS = 2 ** 27

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
    checkLength(length)
    if (waiting > 0) yield
    for (let at = 0; at < length; yield) at = addon.readRows(batch, rows, at, length)
    return
  }
  if (rows === null || typeof rows !== 'object' || isNoRecord(rows)) {
    throw addon.inputError('INVALID_BATCH', undefined, `found ${kindOf(rows)}; allowed: an array of rows, or an object of columns`)
  }
  const columns = Object.entries(rows).filter(([, column]) => column !== undefined)
  checkLengths(columns)
  // All of them before anybody else has a turn, who may write to them.
  for (const [name, column] of columns.filter(([, column]) => isTypedArray(column))) {
    // Another thread may write to the original while it is read.
    const owned = isSharedArrayBuffer(column.buffer) ? column.slice() : column
    if (borrowed && isFloat64Array(owned)) borrowed.push([name, owned])
    else addon.readColumn(batch, name, owned, 0)
  }
  if (waiting > 0) yield
  for (const [name, column] of columns.filter(([, column]) => !isTypedArray(column))) {
    for (let at = 0; at < ALL; yield) at = addon.readColumn(batch, name, column, at)
  }
}

/** What holds values in a way of its own, and would seem to be no columns: a Set, a generator, a promise not awaited. */
function isNoRecord(rows) {
  return ArrayBuffer.isView(rows) || [Symbol.iterator, Symbol.asyncIterator, 'then'].some((name) => typeof rows[name] === 'function')
}

/** Before anything is read: an array may claim more cells than there is memory for. */
function checkLengths(columns) {
  const lists = columns.filter(([, column]) => Array.isArray(column) || isTypedArray(column))
  for (const [name, { length }] of lists) {
    checkLength(length)
    const rows = lists[0][1].length
    if (length === rows) continue
    const message = `found a column of length ${length}, but the first one has length ${rows}; give columns of equal length`
    throw addon.inputError('INVALID_BATCH', name, message)
  }
}

function checkLength(rows) {
  if (rows <= MAX_ROWS) return
  throw addon.inputError('INVALID_BATCH', undefined, `found ${rows} rows; allowed: up to ${MAX_ROWS}; predict them in several batches`)
}

/** The answer as JavaScript has it. */
function* take(batch, notes) {
  const answer = addon.takeNumbers(batch)
  warnOfIgnored(answer.ignored_columns)
  if (!notes) return answer
  if (waiting > 0) yield
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
    await turn()
    signal?.throwIfAborted()
  }
}

let lastTurn = Promise.resolve()
let waiting = 0

/** The next turn of the event loop that no other batch has: however many there are, they read one piece in each. */
async function turn() {
  waiting += 1
  lastTurn = lastTurn.then(() => setImmediate())
  await lastTurn
  waiting -= 1
}

/** The promise, or the signal's reason as soon as it is aborted. */
function abortable(promise, signal, cancel) {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => {
      cancel()
      reject(signal.reason)
    })
    promise.then(resolve, reject).finally(forget)
  })
}

/** By signal, what to call when it is aborted. */
const callbacks = new WeakMap()

/** One listener for each signal: Node warns of those that have many, as one for all of a service's batches would. */
function onAbort(signal, callback) {
  let entry = callbacks.get(signal)
  if (!entry) {
    const all = new Set()
    entry = { all, listener: () => all.forEach((call) => call()) }
    callbacks.set(signal, entry)
    signal.addEventListener('abort', entry.listener, { once: true })
  }
  entry.all.add(callback)
  return () => {
    entry.all.delete(callback)
    if (entry.all.size > 0 || callbacks.get(signal) !== entry) return
    callbacks.delete(signal)
    signal.removeEventListener('abort', entry.listener)
  }
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
    if (name === 'signal' && !isSignal(value)) {
      throw addon.inputError('INVALID_FIELD', name, `found ${kindOf(value)}; allowed: an AbortSignal`)
    }
  }
  return options
}

const isSignal = (value) => ['throwIfAborted', 'addEventListener'].every((name) => typeof value[name] === 'function')

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
