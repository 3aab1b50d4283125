// Bad input gives an Error with a stable code: never a crash, never a wrong number.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { ERROR_CODES, Predictor } from 'latency-predictor'

import { changed, failure, ownModel, PACKAGE, run } from './help.mjs'

const bundled = Predictor.bundled({ sessions: 1 })
const own = Predictor.load(ownModel, { sessions: 1 })

const GOOD = { src_lat: 51.51, src_lon: -0.13, dst_lat: 35.68, dst_lon: 139.69 }
const LONDON = { lat: 51.51, lon: -0.13 }
const cyclic = {}
cyclic.src = cyclic

/** [row for the bundled model, code, field, what the message says] */
const ROWS = [
  [{ ...GOOD, src_lat: 91 }, 'INVALID_FIELD', 'src_lat', /found 91; allowed: .*-90.*90/],
  [{ src: { lat: 91, lon: 0 }, dst: 'London' }, 'INVALID_FIELD', 'src.lat', /found 91; allowed: .*-90.*90/],
  [{ ...GOOD, dst_lon: -180.5 }, 'INVALID_FIELD', 'dst_lon', /found -180\.5/],
  [{ ...GOOD, src_lat: NaN }, 'INVALID_FIELD', 'src_lat', /found NaN/],
  [{ ...GOOD, src_lat: Infinity }, 'INVALID_FIELD', 'src_lat', /found an infinite number/],
  [{ src: { lat: -Infinity, lon: 0 }, dst: 'London' }, 'INVALID_FIELD', 'src.lat', /found an infinite number/],
  [{ ...GOOD, src_access: NaN }, 'INVALID_FIELD', 'src_access', /found NaN/],
  [{ ...GOOD, src_lat: Number.MAX_VALUE }, 'INVALID_FIELD', 'src_lat', /allowed/],
  [{ ...GOOD, src_lat: '51.5' }, 'INVALID_FIELD', 'src_lat', /found the text "51\.5".*without quotes/],
  [{ ...GOOD, src_access: 'wlan' }, 'INVALID_FIELD', 'src_access', /found "wlan"; allowed: .*wifi/],
  [{ ...GOOD, src_access: 'wi\ud800fi' }, 'INVALID_FIELD', 'src_access', /allowed/],
  [{ ...GOOD, src_access: '' }, 'INVALID_FIELD', 'src_access', /allowed/],
  [{ ...GOOD, src_access: 1 }, 'INVALID_FIELD', 'src_access', /found the number 1; allowed: .*wifi/],
  [{ ...GOOD, src_lat: true }, 'INVALID_FIELD', 'src_lat', /found true or false/],
  [{ ...GOOD, src_lat: 51n }, 'INVALID_FIELD', 'src_lat', /found a BigInt/],
  [{ ...GOOD, src_lat: () => 51 }, 'INVALID_FIELD', 'src_lat', /found a function/],
  [{ ...GOOD, src_lat: Symbol('51') }, 'INVALID_FIELD', 'src_lat', /found a symbol/],
  [{ ...GOOD, src_lat: [51] }, 'INVALID_FIELD', 'src_lat', /found an array/],
  [{ ...GOOD, src_lat: Float64Array.of(51) }, 'INVALID_FIELD', 'src_lat', /found an array/],
  [{ ...GOOD, src_lat: { degrees: 51 } }, 'INVALID_FIELD', 'src_lat', /found an object/],
  [{ ...GOOD, src_lat: { valueOf: () => 51 } }, 'INVALID_FIELD', 'src_lat.valueOf', /found a function/],
  [{ ...GOOD, src_lat: new Number(51) }, 'INVALID_FIELD', 'src_lat', /found an object/],
  [{ src: { lat: { lat: 1 }, lon: 0 }, dst: 'London' }, 'INVALID_FIELD', 'src.lat', /found an object/],
  [cyclic, 'INVALID_FIELD', 'src.src', /found an object/],
  [{ src: 51, dst: 'London' }, 'INVALID_FIELD', 'src', /found a number/],
  [{ src: null, dst: 'London' }, 'INVALID_FIELD', 'src', /found nothing/],
  [{ src: ['London'], dst: 'London' }, 'INVALID_FIELD', 'src', /found an array/],
  [{ src: { place: 1 }, dst: 'London' }, 'INVALID_FIELD', 'src.place', /found the number 1/],
  [{ src: { place: 'London', ...LONDON }, dst: 'London' }, 'INVALID_FIELD', 'src.place', /either a place or coordinates/],
  [{ src: 'London', ...GOOD }, 'INVALID_FIELD', undefined, /twice/],
  [{ src: '91,0', dst: 'London' }, 'INVALID_FIELD', 'src.lat', /91/],
  [{}, 'MISSING_FIELD', 'src_lat', /required/],
  [{ ...GOOD, dst_lon: undefined }, 'MISSING_FIELD', 'dst_lon', /required/],
  [{ ...GOOD, dst_lon: null }, 'MISSING_FIELD', 'dst_lon', /required/],
  [{ src: 'London' }, 'MISSING_FIELD', 'dst.lat', /required/],
  [{ src: 'London', dst: {} }, 'MISSING_FIELD', 'dst.lat', /required/],
  [{ src: 'London', dst: Promise.resolve(LONDON) }, 'MISSING_FIELD', 'dst.lat', /required/],
  [{ ...GOOD, src_acess: 'wifi' }, 'UNKNOWN_FIELD', 'src_acess', /did you mean `src_access`/],
  [{ src: { ...LONDON, altitude: 3 }, dst: 'London' }, 'UNKNOWN_FIELD', 'src.altitude', /allowed/],
  [JSON.parse('{"src": "London", "dst": "Tokyo", "__proto__": 1}'), 'UNKNOWN_FIELD', '__proto__', /no such field/],
  [{ src: 'Atlantis under the Sea', dst: 'London' }, 'UNKNOWN_PLACE', 'src', /Atlantis/],
  [{ src: { place: 'Atlantis under the Sea' }, dst: 'London' }, 'UNKNOWN_PLACE', 'src.place', /Atlantis/],
  [{ src: 'London', dst: 'Springfield' }, 'AMBIGUOUS_PLACE', 'dst', /Springfield/],
  [undefined, 'INVALID_JSON', undefined, /found undefined; allowed: an object/],
  [null, 'INVALID_JSON', undefined, /found null/],
  ['London', 'INVALID_JSON', undefined, /found a string/],
  [[GOOD], 'INVALID_JSON', undefined, /found an array/],
  [new Float64Array(4), 'INVALID_JSON', undefined, /found an array/],
  [() => GOOD, 'INVALID_JSON', undefined, /found a function/],
]

/** What else fails, by code. */
const OTHERS = {
  MODEL_NOT_READABLE: () => Predictor.load('/nowhere/model.onnx'),
  INVALID_MODEL: () => Predictor.load(ownModel.subarray(0, ownModel.length / 2)),
  INVALID_SCHEMA: () => Predictor.load(changed('latency.schema', 'another.schema')),
  GOLDEN_MISMATCH: () => Predictor.load(changed('"p50_ms":18', '"p50_ms":17')),
  RUNTIME_NOT_LOADED: () => Predictor.load(ownModel, { library: '/nowhere/libonnxruntime.so' }),
  UNSUPPORTED: () => own.predictSync({ src: 'London', dst: 'Tokyo' }),
  INFERENCE_FAILED: () => own.predictSync({ hops: 3 }),
  INVALID_BATCH: () => bundled.predictBatchSync({ src_lat: [51.51], src_lon: [-0.13, 2.35] }),
}

/** What a caller of Node.js never sees: a signal that is aborted rejects with its own reason. */
const NEVER_HERE = ['CANCELLED']

function assertError(error, code) {
  assert.ok(error instanceof Error, String(error))
  assert.equal(Object.getPrototypeOf(error), Error.prototype)
  assert.equal(error.code, code, error.message)
  assert.ok(ERROR_CODES.includes(error.code))
  assert.ok(error.message.length > 10)
  assert.match(error.stack, /test\.mjs/)
}

for (const [index, [row, code, field, message]] of ROWS.entries()) {
  test(`row ${index}: ${code} ${field ?? ''}`, () => {
    const error = failure(() => bundled.predictSync(row))
    assertError(error, code)
    assert.match(error.message, message)
    if (field) {
      assert.equal(error.field, field)
      assert.ok(error.message.startsWith(`${field}: `), error.message)
    }
    assert.ok(!('row' in error))
    assert.ok(!('cause' in error))
    assert.ok(bundled.predictSync(GOOD).p50_ms > 0, 'it still predicts')
  })
}

for (const [code, work] of Object.entries(OTHERS)) test(code, () => assertError(failure(work), code))

test('every code of the catalogue is caused here', () => {
  const caused = new Set([...ROWS.map(([, code]) => code), ...Object.keys(OTHERS), ...NEVER_HERE])
  assert.deepEqual([...caused].sort(), [...ERROR_CODES].sort())
  assert.ok(Object.isFrozen(ERROR_CODES))
})

test('an error that was caused by another says so', () => {
  const { cause } = failure(OTHERS.MODEL_NOT_READABLE)
  assert.ok(cause instanceof Error)
  assert.match(cause.message, /No such file/)
  assert.ok(!('code' in cause))
})

test('a missing model file is named', () => {
  assert.match(failure(OTHERS.MODEL_NOT_READABLE).message, /\/nowhere\/model\.onnx/)
})

test('a model with a schema of another format is refused', () => {
  assertError(failure(() => Predictor.load(changed('"format":1', '"format":9'))), 'INVALID_SCHEMA')
})

test('what is no model at all is refused', () => {
  for (const bytes of [new Uint8Array(0), Buffer.from('<html>'), new Uint8Array(1000).fill(255)]) {
    assertError(failure(() => Predictor.load(bytes)), 'INVALID_MODEL')
  }
  for (const model of [undefined, null, 1, {}, [], new Float32Array(4), new ArrayBuffer(4), new URL('file:///model.onnx')]) {
    const error = failure(() => Predictor.load(model))
    assertError(error, 'INVALID_FIELD')
    assert.equal(error.field, 'model')
  }
})

test('bad options are refused', () => {
  for (const name of ['sessions', 'threads']) {
    for (const value of [0, -1, 1.5, NaN, Infinity, 1e9, '2', 2n, true, {}]) {
      const error = failure(() => Predictor.load(ownModel, { [name]: value }))
      assertError(error, 'INVALID_FIELD')
      assert.equal(error.field, name)
    }
  }
  for (const value of [1, {}, ['/x'], true]) assert.equal(failure(() => Predictor.bundled({ library: value })).field, 'library')
  for (const value of [1, {}, [], true, 'xgboost', '']) assert.equal(failure(() => Predictor.bundled({ engine: value })).field, 'engine')
  assert.match(failure(() => Predictor.bundled({ engine: 'xgboost' })).message, /found "xgboost"; allowed: onnxruntime, native/)
  for (const options of [1, 'x', [], () => {}]) assert.equal(failure(() => Predictor.bundled(options)).field, 'options')
  const error = failure(() => Predictor.bundled({ sesions: 1 }))
  assertError(error, 'UNKNOWN_FIELD')
  assert.equal(error.field, 'sesions')
})

test('only load and bundled make predictors, and methods need one', () => {
  assert.throws(() => new Predictor(), Error)
  for (const self of [undefined, {}, Object.create(Predictor.prototype)]) {
    for (const method of ['predictSync', 'modelInfo', 'schema']) {
      assert.throws(() => Predictor.prototype[method].call(self, GOOD), Error)
    }
  }
})

const LOAD = `
  import { Predictor } from 'latency-predictor'
  try { Predictor.bundled(OPTIONS) } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }
`

for (const [what, env, options, message] of [
  ['in no place', {}, '{}', /found no ONNX Runtime library: LATENCY_ORT_DYLIB_PATH .*pip install onnxruntime/],
  ['in a variable that names no file', { LATENCY_ORT_DYLIB_PATH: '/nowhere/libonnxruntime.so' }, '{}', /LATENCY_ORT_DYLIB_PATH names \/nowhere/],
  ['in a variable that names a folder', { ORT_DYLIB_PATH: '/' }, '{}', /ORT_DYLIB_PATH names \/, which is a folder/],
  ['in a variable that names no library', { LATENCY_ORT_DYLIB_PATH: join(PACKAGE, 'package.json') }, '{}', /not a usable ONNX Runtime library/],
  ['in an option with a relative path', {}, '{ library: "libonnxruntime.so" }', /not an absolute path/],
]) {
  test(`ONNX Runtime is looked for ${what}`, async () => {
    const { stdout } = await run(LOAD.replace('OPTIONS', options), {
      env: { LATENCY_ORT_DYLIB_PATH: undefined, ORT_DYLIB_PATH: undefined, ...env },
    })
    const error = JSON.parse(stdout)
    assert.equal(error.code, 'RUNTIME_NOT_LOADED')
    assert.match(error.message, message)
  })
}

test('the option wins over the environment', async () => {
  const library = process.env.LATENCY_ORT_DYLIB_PATH ?? process.env.ORT_DYLIB_PATH
  const code = `
    import { Predictor } from 'latency-predictor'
    console.log(Predictor.bundled({ library: ${JSON.stringify(library)} }).modelInfo().engine)
  `
  const { stdout } = await run(code, { env: { LATENCY_ORT_DYLIB_PATH: '/nowhere/libonnxruntime.so' } })
  assert.equal(stdout.trim(), 'onnxruntime')
})
