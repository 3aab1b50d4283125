'use strict'

// Rows in, predictions out, one JSON object on each line (NDJSON), in the same order. What is held at a time is what one read
// brings: whoever reads slowly slows down whoever writes.

const addon = require('./addon')

/** Of one line. More is counted and not kept: input without an end of line must not fill the memory. */
const MAX_LINE_BYTES = 1024 * 1024
/** That are answered together. */
const MAX_LINES = 1024
const END_OF_LINE = 0x0a

const ALLOWED =
  'allowed: one object such as {"src": "London", "dst": "Tokyo"} on each line; null, not NaN, where a value is not known'

/**
 * The answers to the rows that `source` brings as bytes, as text of whole lines: as soon as there is no more to read, and no
 * faster than they are taken. `report` hears how many rows there were so far, and how many of them were rejected.
 */
async function* predictLines(source, predictor, report) {
  let [rows, rejected] = [0, 0]
  for await (const lines of linesOf(source)) {
    const answers = await answer(predictor, lines.map(parse).filter(Boolean))
    let text = ''
    for (const found of answers) {
      if (found instanceof Error) rejected += 1
      text += `${JSON.stringify(found instanceof Error ? { error: shown(found, rows) } : found)}\n`
      rows += 1
    }
    report?.({ rows, rejected })
    if (text) yield text
  }
}

/** As HTTP has it: where it is stands beside the message, not in front of it. Lines with nothing on them are no rows. */
function shown(error, row) {
  const { code, field } = error
  let { message } = error
  for (const where of [`row ${error.row}: `, `${field}: `]) if (message.startsWith(where)) message = message.slice(where.length)
  return { code, field, row, message }
}

/** The lines that are complete, whenever something has come: as bytes, or an error for one that is too long. */
async function* linesOf(source) {
  let pieces = []
  let bytes = 0
  let isFirst = true
  const add = (piece) => {
    bytes += piece.length
    if (bytes > MAX_LINE_BYTES) pieces = []
    else pieces.push(piece)
  }
  const take = () => {
    let line = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
    if (bytes > MAX_LINE_BYTES) line = invalidJson(`found ${bytes} bytes for one row; allowed: up to ${MAX_LINE_BYTES}`)
    else if (isFirst) line = withoutMark(line)
    pieces = []
    bytes = 0
    isFirst = false
    return line
  }
  for await (const chunk of source) {
    const lines = []
    let from = 0
    for (let end = chunk.indexOf(END_OF_LINE); end >= 0; end = chunk.indexOf(END_OF_LINE, from)) {
      add(chunk.subarray(from, end))
      from = end + 1
      // Short lines are many, and their answers long.
      if (lines.push(take()) === MAX_LINES) yield lines.splice(0)
    }
    if (from < chunk.length) add(chunk.subarray(from))
    if (lines.length > 0) yield lines
  }
  if (bytes > 0) yield [take()]
}

/** Programs on Windows put a byte order mark in front. */
const withoutMark = (line) => (line.subarray(0, 3).equals(Buffer.from('\uFEFF')) ? line.subarray(3) : line)

/** What stands on a line, or the error that is wrong with it; nothing for a line that is empty. */
function parse(line) {
  if (line instanceof Error) return { error: line }
  const text = line.toString()
  if (/^[ \t\r]*$/.test(text)) return undefined
  // Each byte that is no UTF-8 was replaced by this character, which may stand there by right too.
  if (text.includes('\uFFFD') && !Buffer.from(text).equals(line)) {
    return { error: invalidJson('found bytes that are not UTF-8; allowed: JSON in UTF-8') }
  }
  try {
    return { row: JSON.parse(text) }
  } catch ({ message }) {
    return { error: invalidJson(`found something that is not JSON (${message}); ${ALLOWED}`) }
  }
}

const invalidJson = (message) => Object.assign(new Error(message), { code: 'INVALID_JSON' })

/** The prediction for each line, or the error: as `predictSync` returns and throws them, to the bit. */
async function answer(predictor, lines) {
  const rows = lines.filter(({ error }) => !error).map(({ row }) => row)
  const predictions = (await together(predictor, rows)).values()
  return lines.map(({ error }) => error ?? predictions.next().value)
}

/** As a batch, which takes a third of the time. */
async function together(predictor, rows) {
  let found
  try {
    found = await predictor.predictBatch(rows, { notes: true })
  } catch {
    // A number that is not finite fails the whole batch.
    return rows.map((row) => alone(predictor, row))
  }
  const columns = Object.entries(found)
    .filter(([, column]) => column instanceof Float32Array)
    .map(([name, column]) => [name, addon.shortest(column)])
  const optional = Object.entries(found.missing)
  const predictions = rows.map((_, index) => {
    const prediction = {}
    for (const [name, column] of columns) prediction[name] = column[index]
    prediction.warnings = []
    prediction.missing = optional.filter(([, missing]) => missing[index] === 1).map(([field]) => field)
    return prediction
  })
  for (const { row, ...warning } of found.warnings) predictions[row].warnings.push(warning)
  for (const error of found.errors) predictions[error.row] = error
  return predictions
}

function alone(predictor, row) {
  try {
    const { warnings, missing, ...numbers } = predictor.predictSync(row)
    return { ...numbers, warnings, missing }
  } catch (error) {
    return error
  }
}

module.exports = { predictLines }
