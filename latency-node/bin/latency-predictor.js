#!/usr/bin/env node
'use strict'

// The command of this package: predicts rows from standard input. For usage see HELP.

const { fstatSync } = require('node:fs')
const { pipeline } = require('node:stream/promises')
const { parseArgs } = require('node:util')

const { version } = require('../package.json')

const EXAMPLE = '{"src": "London", "dst": {"lat": 35.68, "lon": 139.69, "access": "wifi"}}'

const HELP = `Usage: latency-predictor [--model FILE] < rows.ndjson > predictions.ndjson

Predicts network round-trip times. Standard input has one row on each line, a JSON object:

  ${EXAMPLE}

Standard output has one line for each row, in the same order: its prediction, or {"error": {"code", "field", "row",
"message"}} if it has none; \`row\` counts from 0, and empty lines do not count. A row is answered as soon as it is there,
and input is read no faster than output is taken.

  --model FILE  a model of your own, an .onnx file; default: the bundled model
  -h, --help    print this
  --version     print the version

Exit codes: 0 all rows are predicted, 1 an error, 2 a mistake of usage, 3 done, and some rows were rejected.
`

const OPTIONS = { model: { type: 'string' }, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } }

class UsageError extends Error {}

/** What is asked for. */
function readArguments() {
  // Not strict: what is wrong is said in words of our own.
  const { values, positionals } = parseArgs({ options: OPTIONS, strict: false, allowPositionals: true })
  for (const [name, value] of Object.entries(values)) {
    const option = name.length === 1 ? `-${name}` : `--${name}`
    if (!Object.hasOwn(OPTIONS, name)) {
      throw new UsageError(`found the option ${option}; allowed: --model FILE, --help, --version`)
    }
    const takesValue = OPTIONS[name].type === 'string'
    if (takesValue && (value === true || value === '')) {
      throw new UsageError(`found ${option} without a value; write \`${option} FILE\``)
    }
    if (!takesValue && value !== true) throw new UsageError(`found a value for ${option}; it takes none`)
  }
  if (positionals.length > 0) {
    const [file] = positionals
    throw new UsageError(`found \`${file}\`; rows come from standard input: \`latency-predictor < ${file}\``)
  }
  return values
}

const count = (number) => number.toLocaleString('en')
const words = ({ rows, rejected }) =>
  `${count(rows)} ${rows === 1 ? 'row' : 'rows'} = ${count(rows - rejected)} predicted + ${count(rejected)} rejected`

/** Shows how far it is now and then, where somebody looks and sees nothing else. */
class Progress {
  tally = { rows: 0, rejected: 0 }
  #isShown = process.stderr.isTTY && fstatSync(process.stdout.fd).isFile()
  #last = Date.now()

  update(tally) {
    this.tally = tally
    if (!this.#isShown || Date.now() - this.#last < 1000) return
    this.#last = Date.now()
    process.stderr.write(`\r${words(tally)}`)
  }

  /** What becomes of its line in the end: it gives way. */
  clear() {
    if (this.#isShown) process.stderr.write('\r\x1b[K')
  }

  summary() {
    const { rejected } = this.tally
    const cure = '; in place of each that was rejected the output has {"error": …}, which says what is wrong'
    if (rejected > 0 || this.#isShown) console.error(`${words(this.tally)}${rejected > 0 ? cure : ''}`)
  }
}

async function predict(model) {
  // Node.js reads a folder as if it were empty.
  if (fstatSync(process.stdin.fd).isDirectory()) throw new UsageError('found a folder as standard input; allowed: a file, or a pipe')
  // Only now: --help needs no addon.
  const { Predictor } = require('..')
  const { predictLines } = require('../lib/ndjson')
  const options = { sessions: 1 }
  const predictor = model ? Predictor.load(model, options) : Predictor.bundled(options)
  if (process.stdin.isTTY) {
    const key = process.platform === 'win32' ? 'Ctrl-Z, Enter' : 'Ctrl-D'
    console.error(`reading rows, one on each line, such as ${EXAMPLE}; end with ${key}`)
  }
  const progress = new Progress()
  const answers = (source) => predictLines(source, predictor, (tally) => progress.update(tally))
  try {
    await pipeline(process.stdin, answers, process.stdout)
  } finally {
    progress.clear()
  }
  progress.summary()
  return progress.tally.rejected > 0 ? 3 : 0
}

async function main() {
  const { help, version: isAsked, model } = readArguments()
  if (help) return pipeline([HELP], process.stdout)
  if (isAsked) return pipeline([`latency-predictor ${version}\n`], process.stdout)
  process.exitCode = await predict(model)
}

main().catch((error) => {
  // Whoever reads has read enough, as `head` does.
  if (error.code === 'EPIPE') return
  process.exitCode = 1
  if (error instanceof UsageError) {
    process.exitCode = 2
    console.error(`${error.message}; \`latency-predictor --help\` says more`)
  } else if (error.syscall) {
    // The system cannot read or write: EISDIR, ENOSPC.
    console.error(`FILE_ERROR ${error.message}`)
  } else if (error.code) {
    console.error(`${error.code} ${error.message}`)
  } else {
    console.error(error)
  }
})
