// The command `latency-predictor`: rows of NDJSON in, predictions out.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { Predictor } from 'latency-predictor'

import { changed, ownModel, PACKAGE, read } from './help.mjs'

const { bin, version } = JSON.parse(read('../package.json'))
const PROGRAM = join(PACKAGE, bin['latency-predictor'])
const OWN_MODEL = ['--model', fileURLToPath(new URL('fixtures/own_model.onnx', import.meta.url))]
const golden = JSON.parse(read('../../data/golden/paths.json'))
const predictor = Predictor.bundled({ sessions: 1 })

const ROW = { src: 'London', dst: { lat: 35.68, lon: 139.69, access: 'wifi' } }
const LINE = `${JSON.stringify(ROW)}\n`

function start(args = []) {
  // Whatever keeps it from its end should fail, not hang.
  const child = spawn(process.execPath, [PROGRAM, ...args], { timeout: 120_000 })
  // A program that has read enough leaves the rest unread.
  child.stdin.on('error', () => {})
  child.errors = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (child.errors += text))
  return child
}

/** Runs it to its end; what it printed is `lines`. */
async function run(input, args = []) {
  const child = start(args)
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  const lines = stdout.split('\n')
  assert.equal(lines.pop(), '', 'the last line has an end too')
  return { code, stdout, stderr: child.errors, lines }
}

/** What the line of a row should say. */
function expected(row, index, by = predictor) {
  try {
    return by.predictSync(row)
  } catch ({ code, field, message }) {
    const plain = field === undefined ? message : message.replace(`${field}: `, '')
    return { error: { code, ...(field !== undefined && { field }), row: index, message: plain } }
  }
}

test('golden rows have their golden numbers, to the byte, with warnings and what is missing', async () => {
  const { code, stderr, lines } = await run(golden.rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  assert.equal(stderr, '')
  assert.equal(code, 0)
  assert.equal(lines.length, golden.rows.length)
  lines.forEach((line, index) => {
    const found = JSON.parse(line)
    for (const [name, number] of Object.entries(golden.predictions[index])) {
      assert.ok(Object.is(found[name], number), `row ${index}: ${name}`)
      assert.ok(line.includes(`"${name}":${JSON.stringify(number)},`), `row ${index}: ${name}`)
    }
    assert.deepEqual(found, predictor.predictSync(golden.rows[index]))
  })
})

test('a row at fault has its error in its place, as over HTTP', async () => {
  const rows = [
    ROW,
    { src: 'Nowhereville', dst: 'Tokyo' },
    { src: 'Springfield', dst: 'Tokyo' },
    { src: { lat: 91, lon: 0 }, dst: 'Tokyo' },
    { src: '-89.0,0', dst: 'Tokyo' },
    { src: 'London' },
    { src: 'London', dst: 'Tokyo', colour: 'red' },
    5,
    null,
    [ROW],
    {},
    ROW,
  ]
  const { code, stderr, lines } = await run(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const found = lines.map((line) => JSON.parse(line))
  assert.deepEqual(found, rows.map((row, index) => expected(row, index)))
  assert.deepEqual(Object.keys(found[3].error), ['code', 'field', 'row', 'message'])
  assert.deepEqual(found[3].error, { code: 'INVALID_FIELD', field: 'src.lat', row: 3, message: 'found 91; allowed: a number from -90 to 90 (degree)' })
  assert.equal(found[4].warnings[0].code, 'OUT_OF_RANGE')
  assert.equal(code, 3)
  assert.match(stderr, /^12 rows = 3 predicted \+ 9 rejected; .*\n$/)
})

test('lines may end as on Windows, be empty, begin with a byte order mark, and lack their end', async () => {
  const { code, lines } = await run(`\uFEFF${LINE.replace('\n', '\r\n')}\r\n  \t\n\n${LINE}{"src": 1}\n\n${LINE.trimEnd()}`)
  assert.equal(code, 3)
  assert.deepEqual(lines.map((line) => JSON.parse(line)), [ROW, ROW, { src: 1 }, ROW].map((row, index) => expected(row, index)))
})

test('no row is no mistake', async () => {
  for (const input of ['', '\n', '\uFEFF\r\n']) assert.deepEqual(await run(input), { code: 0, stdout: '', stderr: '', lines: [] })
})

test('a line that is not JSON is said to be none, and harms no other', async () => {
  const bad = ['{', '{"src_lat": NaN}', 'src,dst', '{"src": "London"} {"src": "Paris"}', "{'src': 'London'}", '\uFEFF{}', '\u00A0']
  const { code, lines } = await run([...bad, LINE].join('\n'))
  assert.equal(code, 3)
  bad.forEach((_, row) => {
    const { error } = JSON.parse(lines[row])
    assert.deepEqual([error.code, error.row], ['INVALID_JSON', row])
    assert.match(error.message, /^found something that is not JSON \(.+\); allowed: one object such as .*null, not NaN/)
  })
  assert.deepEqual(JSON.parse(lines[bad.length]), predictor.predictSync(ROW))
})

test('bytes that are not UTF-8 are said to be none; the replacement character itself is', async () => {
  const latin1 = Buffer.from('{"src": "M\u00FCnchen", "dst": "Tokyo"}\n', 'latin1')
  const surrogate = Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22, 0x0a])
  const rows = ['\uFFFD', 'M\u00FCnchen', '\u6771\u4EAC'].map((src) => ({ src, dst: 'Tokyo' }))
  const good = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  const { lines } = await run(Buffer.concat([latin1, surrogate, Buffer.from(good)]))
  const found = lines.map((line) => JSON.parse(line))
  for (const row of [0, 1]) {
    assert.deepEqual(found[row], { error: { code: 'INVALID_JSON', row, message: 'found bytes that are not UTF-8; allowed: JSON in UTF-8' } })
  }
  assert.deepEqual(found.slice(2), rows.map((row, index) => expected(row, index + 2)))
})

test('a line that is too long is counted, not kept', async () => {
  const most = 1024 * 1024
  const padded = (bytes) => LINE.replace('\n', `${' '.repeat(bytes - LINE.length + 1)}\n`)
  const lengths = [5 * most, most, most + 1]
  const { code, lines } = await run([LINE, ...lengths.map(padded), LINE].join('') + padded(2 * most).trimEnd() + ' '.repeat(most))
  const tooLong = (row, bytes) => ({ error: { code: 'INVALID_JSON', row, message: `found ${bytes} bytes for one row; allowed: up to ${most}` } })
  const good = predictor.predictSync(ROW)
  const last = most + LINE.length - 1
  assert.deepEqual(lines.map((line) => JSON.parse(line)), [good, tooLong(1, 5 * most), good, tooLong(3, most + 1), good, tooLong(5, last)])
  assert.equal(code, 3)
})

test('a row is answered when it is there, however it comes', async () => {
  const child = start()
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const rows = [ROW, { src: 'M\u00FCnchen', dst: 'Tokyo' }, { src: 'Nowhereville', dst: 'Tokyo' }, ROW]
  for (const [index, row] of rows.entries()) {
    for (const byte of Buffer.from(`${JSON.stringify(row)}\n`)) {
      if (!child.stdin.write(Buffer.of(byte))) await once(child.stdin, 'drain')
    }
    assert.deepEqual(JSON.parse((await answers.next()).value), expected(row, index))
  }
  child.stdin.end()
  assert.deepEqual(await once(child, 'close'), [3, null])
})

test('input is read no faster than output is taken', async () => {
  const child = start()
  // As long as nobody listens, no more is read than fits into the pipe.
  const piece = Buffer.from(LINE.repeat(500))
  const pieces = 400
  let accepted = 0
  let last = Date.now()
  const writing = (async () => {
    for (let count = 0; count < pieces; count += 1) {
      await new Promise((resolve) => child.stdin.write(piece, resolve))
      accepted += piece.length
      last = Date.now()
    }
    child.stdin.end()
  })()
  // Until it has begun, and then comes to a halt.
  await once(child.stdout, 'readable')
  while (Date.now() - last < 2000) await setTimeout(100)
  const stalled = accepted
  assert.ok(pieces * piece.length > 10_000_000 && stalled < 1_000_000, `${stalled} bytes were read`)

  let rows = 0
  child.stdout.on('data', (data) => {
    for (const byte of data) rows += byte === 0x0a ? 1 : 0
  })
  await writing
  assert.deepEqual(await once(child, 'close'), [0, null])
  assert.equal(rows, 500 * pieces)
})

test('when the reader has read enough it ends, quietly, though its input does not', async () => {
  const child = start()
  child.stdin.write(LINE)
  await once(child.stdout, 'data')
  child.stdout.destroy()
  const ended = once(child, 'close')
  // The first line may still fit into what the system holds.
  const writing = setInterval(() => child.stdin.write(LINE), 50)
  assert.deepEqual(await ended, [0, null])
  clearInterval(writing)
  assert.equal(child.errors, '')
})

test('a model of one\'s own', async () => {
  const own = Predictor.load(ownModel, { sessions: 1 })
  // Numbers of all sizes; the model has none for a row without a link.
  const rows = [0.05, 3, 40, 0.00001, 0, 64, 65].map((hops) => ({ hops, link: 'copper' }))
  rows.splice(3, 0, { hops: 3 })
  const { code, lines } = await run(rows.map((row) => JSON.stringify(row)).join('\n'), OWN_MODEL)
  const found = lines.map((line) => JSON.parse(line))
  assert.deepEqual(found, rows.map((row, index) => expected(row, index, own)))
  assert.equal(found[0].p50_ms, 1.1)
  assert.equal(found[3].error.code, 'INFERENCE_FAILED')
  assert.equal(found[4].low_ms, 0.00002)
  assert.equal(code, 3)
})

test('numbers of every size have the shortest form that single predictions have', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'latency-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  const model = changed('"hop","min":0,"max":64,', '"ho","min":0,"max":9e9,')
  const file = join(folder, 'model.onnx')
  writeFileSync(file, model)
  const own = Predictor.load(model, { sessions: 1 })
  // low_ms is 2 * hops: sizes from 1e-6 to 1e9, and what lies in the middle between two decimals.
  const sizes = Array.from({ length: 3000 }, (_, index) => 10 ** ((index / 3000) * 15 - 6) / 2)
  const middles = Array.from({ length: 200 }, (_, index) => 8192 + index / 32)
  const rows = [...sizes, ...middles].map((hops) => ({ hops, link: 'copper' }))
  const { lines } = await run(rows.map((row) => JSON.stringify(row)).join('\n'), ['--model', file])
  rows.forEach((row, index) => {
    const { warnings, missing, ...numbers } = own.predictSync(row)
    assert.equal(lines[index], JSON.stringify({ ...numbers, warnings, missing }))
  })
})

test('--help and --version', async () => {
  const help = await run('', ['--help'])
  assert.match(help.stdout, /^Usage: latency-predictor \[--model FILE\] < .*Exit codes: 0 /s)
  assert.deepEqual([help.code, help.stderr], [0, ''])
  assert.ok(help.lines.every((line) => line.length <= 120))
  assert.equal((await run('', ['-h'])).stdout, help.stdout)
  assert.deepEqual(await run('', ['--version']), { code: 0, stdout: `latency-predictor ${version}\n`, stderr: '', lines: [`latency-predictor ${version}`] })
  const example = help.lines.find((line) => line.startsWith('  {'))
  assert.equal((await run(example)).code, 0)
})

test('a mistake of usage: what was found, what is allowed, exit code 2', async () => {
  for (const [args, message] of [
    [['--rows', '5'], 'found the option --rows; allowed: --model FILE, --help, --version'],
    [['--constructor'], 'found the option --constructor; allowed: --model FILE, --help, --version'],
    [['-x'], 'found the option -x; allowed: --model FILE, --help, --version'],
    [['rows.ndjson'], 'found `rows.ndjson`; rows come from standard input: `latency-predictor < rows.ndjson`'],
    [['--model'], 'found --model without a value; write `--model FILE`'],
    [['--model='], 'found --model without a value; write `--model FILE`'],
    [['--help=yes'], 'found a value for --help; it takes none'],
  ]) {
    const { code, stdout, stderr } = await run(LINE, args)
    assert.deepEqual([code, stdout, stderr], [2, '', `${message}; \`latency-predictor --help\` says more\n`])
  }
})

test('a model that does not load: why, exit code 1, and no stack', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'latency-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  const cut = join(folder, 'cut.onnx')
  writeFileSync(cut, ownModel.subarray(0, -100))
  for (const [file, code] of [[join(folder, 'missing.onnx'), 'MODEL_NOT_READABLE'], [cut, 'INVALID_MODEL']]) {
    const found = await run(LINE, ['--model', file])
    assert.deepEqual([found.code, found.stdout], [1, ''])
    assert.match(found.stderr, new RegExp(`^${code} .*\n$`))
  }
})

test('an addon that does not load is said the same way', async () => {
  const child = spawn(process.execPath, [PROGRAM], { env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: 'addon.node' } })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  assert.deepEqual(await once(child, 'close'), [1, null])
  assert.match(stderr, /^ADDON_NOT_LOADED NAPI_RS_NATIVE_LIBRARY_PATH names addon\.node.*\n$/)
})
