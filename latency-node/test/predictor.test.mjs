import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { test } from 'node:test'

import { Predictor } from 'latency-predictor'

import { ownModel, read } from './help.mjs'

const bundled = Predictor.bundled({ sessions: 1 })
const own = Predictor.load(ownModel, { sessions: 1, threads: 1 })

const LONDON = { lat: 51.51, lon: -0.13 }
const TOKYO = { lat: 35.68, lon: 139.69, access: 'wifi' }
const FLAT = { src_lat: 51.51, src_lon: -0.13, dst_lat: 35.68, dst_lon: 139.69, dst_access: 'wifi' }

test('the bundled model predicts', () => {
  const found = bundled.predictSync({ src: 'London', dst: TOKYO })
  const names = ['distance_km', 'floor_ms', 'high_ms', 'low_ms', 'missing', 'p50_ms', 'p90_ms', 'p99_ms', 'warnings']
  assert.deepEqual(Object.keys(found).sort(), names)
  assert.equal(Object.getPrototypeOf(found), Object.prototype)
  assert.ok(found.floor_ms > 90 && found.floor_ms < 100, `floor ${found.floor_ms}`)
  assert.ok(found.distance_km > 9_500 && found.distance_km < 9_650, `distance ${found.distance_km}`)
  assert.ok(found.floor_ms <= found.low_ms && found.low_ms <= found.p50_ms && found.p50_ms <= found.high_ms)
  assert.ok(found.p50_ms <= found.p90_ms && found.p90_ms <= found.p99_ms)
  assert.ok(Array.isArray(found.warnings))
})

test('every way to write a row gives the same prediction', () => {
  const expected = bundled.predictSync(FLAT)
  const { dst_access, ...coordinates } = FLAT
  const rows = [
    { src: LONDON, dst: TOKYO },
    { src: '51.51,-0.13', dst: TOKYO },
    { src: { place: '51.51,-0.13' }, dst: { ...TOKYO, place: null } },
    { src: LONDON, ...Object.fromEntries(Object.entries(FLAT).filter(([name]) => name.startsWith('dst'))) },
    Object.assign(Object.create(null), FLAT),
    Object.freeze({ ...FLAT }),
    new (class Path {
      constructor() {
        Object.assign(this, FLAT)
      }
    })(),
    {
      ...coordinates,
      get dst_access() {
        return dst_access
      },
    },
    new Proxy(FLAT, {}),
    { ...FLAT, [Symbol('mine')]: 1 },
  ]
  for (const row of rows) assert.deepEqual(bundled.predictSync(row), expected)
})

test('null and undefined are the same as leaving a field out', () => {
  const { dst_access, ...known } = FLAT
  const expected = bundled.predictSync(known)
  for (const nothing of [null, undefined]) {
    assert.deepEqual(bundled.predictSync({ ...known, src_access: nothing, dst_access: nothing, src_tier: nothing }), expected)
    assert.deepEqual(bundled.predictSync({ src: LONDON, dst: { ...TOKYO, access: nothing } }), expected)
  }
  assert.deepEqual(bundled.predictSync({ ...known, src: undefined, not_a_field: undefined }), expected)
})

test('a row is read, never written, and its getters run once', () => {
  let reads = 0
  const row = Object.defineProperty({ ...FLAT }, 'src_lat', {
    enumerable: true,
    get: () => {
      reads += 1
      return 51.51
    },
  })
  const before = JSON.stringify(FLAT)
  bundled.predictSync(row)
  assert.equal(reads, 1)
  bundled.predictSync(FLAT)
  assert.equal(JSON.stringify(FLAT), before)
})

test('what a getter or a proxy throws arrives as it is', () => {
  const mine = new RangeError('mine')
  const fail = () => {
    throw mine
  }
  const rows = [{ get src() { fail() } }, { src: { get lat() { fail() } } }, new Proxy({}, { ownKeys: fail }), new Proxy({ a: 1 }, { get: fail })]
  for (const row of rows) assert.throws(() => bundled.predictSync(row), (error) => error === mine)
  const thrown = { get src() { throw 'a string' } }
  assert.throws(() => bundled.predictSync(thrown), (error) => error === 'a string')
  assert.ok(bundled.predictSync(FLAT).p50_ms > 0)
})

test('a model without places has no floor and no distance: absent, not null', () => {
  const found = own.predictSync({ hops: 3, link: 'fibre' })
  assert.deepEqual(found, { p50_ms: 10, low_ms: 9, high_ms: 11, p90_ms: 12, p99_ms: 13, warnings: [], missing: [] })
})

test('numbers are the shortest form of the f32', () => {
  assert.equal(own.predictSync({ hops: 0.05, link: 'copper' }).p50_ms, 1.1)
})

test('values that training never saw are answered with a warning', () => {
  const { warnings } = own.predictSync({ hops: 40, link: 'fibre' })
  assert.equal(warnings.length, 1)
  assert.deepEqual(Object.keys(warnings[0]), ['code', 'field', 'message'])
  assert.equal(warnings[0].code, 'OUT_OF_RANGE')
  assert.equal(warnings[0].field, 'hops')
  assert.match(warnings[0].message, /found 40; training saw 1 to 30/)
})

test('a model loads from a path and from bytes', () => {
  const path = fileURLToPath(new URL('fixtures/own_model.onnx', import.meta.url))
  const padded = new Uint8Array(ownModel.length + 10)
  padded.set(ownModel, 5)
  for (const model of [path, ownModel, new Uint8Array(ownModel), padded.subarray(5, 5 + ownModel.length)]) {
    assert.equal(Predictor.load(model, { sessions: 1 }).predictSync({ hops: 3, link: 'fibre' }).p50_ms, 10)
  }
})

test('bytes may change after loading', () => {
  const bytes = new Uint8Array(ownModel)
  const predictor = Predictor.load(bytes, { sessions: 2 })
  bytes.fill(0)
  assert.equal(predictor.predictSync({ hops: 3, link: 'fibre' }).p50_ms, 10)
})

test('options that are null or undefined are defaults', () => {
  for (const options of [undefined, null, {}, { engine: null, library: undefined, sessions: null, threads: undefined }]) {
    assert.equal(Predictor.load(ownModel, options).modelInfo().name, 'own-model')
  }
})

test('two predictors answer side by side', () => {
  const alone = bundled.predictSync(FLAT)
  for (let round = 0; round < 10; round += 1) {
    assert.equal(own.predictSync({ hops: round, link: 'copper' }).p50_ms, 1 + 2 * round)
    assert.deepEqual(bundled.predictSync(FLAT), alone)
  }
})

test('modelInfo says what is loaded', () => {
  const file = read('../../models/latency.onnx')
  const info = bundled.modelInfo()
  const sha256 = createHash('sha256').update(file).digest('hex')
  assert.deepEqual(
    { ...info, name: '', features: 0, provenance: {} },
    { name: '', version: sha256.slice(0, 12), engine: 'onnxruntime', sha256, bytes: file.length, features: 0, provenance: {} }
  )
  assert.deepEqual(own.modelInfo().provenance, { made_by: 'make_own_model.py' })
})

test('a console shows what is loaded', () => {
  const { version } = bundled.modelInfo()
  assert.equal(inspect(bundled), `Predictor { name: 'latency', version: '${version}', engine: 'onnxruntime' }`)
  assert.equal(inspect(Object.create(Predictor.prototype)), 'Predictor {}')
})

test('schema says what the model takes and gives', () => {
  const schema = own.schema()
  assert.deepEqual(schema.fields.map(({ name, type, required }) => [name, type, required]), [
    ['hops', 'number', true],
    ['link', 'category', false],
  ])
  assert.deepEqual(schema.golden, [{ row: { hops: 7, link: 'fibre' }, prediction: { low_ms: 17, p50_ms: 18, high_ms: 19, p90_ms: 20, p99_ms: 21 } }])
  const names = bundled.schema().fields.map(({ name }) => name)
  for (const name of Object.keys(FLAT)) assert.ok(names.includes(name), name)
})
