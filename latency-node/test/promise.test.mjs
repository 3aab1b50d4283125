// What is off the event loop: `predict` and `loadAsync` answer as their synchronous forms do, and reject instead of throwing.

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'

import { Predictor } from 'latency-predictor'

import { changed, ownModel, rejection } from './help.mjs'

const predictor = Predictor.bundled({ sessions: 1 })
const PATH = fileURLToPath(new URL('fixtures/own_model.onnx', import.meta.url))
const ROW = { src: 'London', dst: { lat: 35.68, lon: 139.69, access: 'wifi' } }

test('predict answers what predictSync answers', async () => {
  const promise = predictor.predict(ROW)
  assert.ok(promise instanceof Promise)
  assert.deepEqual(await promise, predictor.predictSync(ROW))
  const rows = Array.from({ length: 500 }, (_, index) => ({ ...ROW, src: { lat: index % 60, lon: index % 170 } }))
  const found = await Promise.all(rows.map((row) => predictor.predict(row)))
  assert.deepEqual(found, rows.map((row) => predictor.predictSync(row)))
})

test('the row is read before predict returns', async () => {
  const row = { ...ROW }
  const promise = predictor.predict(row)
  row.src = 'Sydney'
  assert.deepEqual(await promise, predictor.predictSync(ROW))
})

test('predict rejects with what predictSync throws', async () => {
  const mine = new RangeError('mine')
  const rows = [undefined, { src: 'London' }, { ...ROW, src: 'Atlantis under the Sea' }, { ...ROW, src: { lat: 91, lon: 0 } }]
  for (const row of [...rows, { get src() { throw mine } }]) {
    let thrown
    try {
      predictor.predictSync(row)
    } catch (error) {
      thrown = error
    }
    const { code, field, message } = thrown
    const error = await rejection(predictor.predict(row))
    assert.deepEqual([error.code, error.field, error.message], [code, field, message])
    assert.ok(error instanceof Error)
  }
  for (const self of [undefined, {}, Object.create(Predictor.prototype)]) {
    assert.ok((await rejection(Predictor.prototype.predict.call(self, ROW))) instanceof Error)
  }
})

test('errors that are not of the addon are left alone', async () => {
  const mine = Object.freeze(Object.assign(new Error('mine'), { stack: '' }))
  const bare = Object.assign(new Error('mine'), { stack: undefined })
  assert.equal(await rejection(predictor.predict({ get src() { throw mine } })), mine)
  assert.equal(await rejection(predictor.predictBatch([], { signal: AbortSignal.abort(bare) })), bare)
  assert.equal(bare.stack, undefined)
})

test('an error of another thread says who awaited it', async () => {
  const own = await Predictor.loadAsync(ownModel)
  const error = await rejection(own.predict({ hops: 3 }))
  assert.equal(error.code, 'INFERENCE_FAILED')
  assert.match(error.stack, /\n {4}at /)
})

test('loadAsync loads a path, bytes, or the bundled model', async () => {
  for (const model of [PATH, ownModel, new Uint8Array(ownModel)]) {
    const own = await Predictor.loadAsync(model, { sessions: 1 })
    assert.ok(own instanceof Predictor)
    assert.equal(own.predictSync({ hops: 3, link: 'fibre' }).p50_ms, 10)
  }
  for (const nothing of [undefined, null]) {
    const bundled = await Predictor.loadAsync(nothing, { sessions: 1 })
    assert.deepEqual(bundled.modelInfo(), predictor.modelInfo())
  }
})

test('bytes may change as soon as loadAsync has returned', async () => {
  const bytes = new Uint8Array(ownModel)
  const promise = Predictor.loadAsync(bytes)
  bytes.fill(0)
  assert.equal((await promise).predictSync({ hops: 3, link: 'fibre' }).p50_ms, 10)
})

test('loadAsync rejects with what load throws', async () => {
  for (const [given, code, field] of [
    [['/nowhere/model.onnx'], 'MODEL_NOT_READABLE'],
    [[Buffer.from('<html>')], 'INVALID_MODEL'],
    [[changed('"p50_ms":18', '"p50_ms":17')], 'GOLDEN_MISMATCH'],
    [[7], 'INVALID_FIELD', 'model'],
    [[ownModel, { sesions: 1 }], 'UNKNOWN_FIELD', 'sesions'],
    [[ownModel, { sessions: 0 }], 'INVALID_FIELD', 'sessions'],
    [[ownModel, { library: '/nowhere/libonnxruntime.so' }], 'RUNTIME_NOT_LOADED'],
  ]) {
    const error = await rejection(Predictor.loadAsync(...given))
    assert.deepEqual([error.code, error.field], [code, field], error.message)
    assert.match(error.stack, /\n {4}at /)
  }
})

test('a service changes its model while it answers', async () => {
  let current = predictor
  const expected = predictor.predictSync(ROW)
  const answers = []
  const loading = Predictor.loadAsync(null, { sessions: 1 }).then((loaded) => (current = loaded))
  for (let turn = 0; turn < 100; turn += 1) answers.push(await current.predict(ROW))
  await loading
  answers.push(await current.predict(ROW))
  assert.notEqual(current, predictor)
  for (const answer of answers) assert.deepEqual(answer, expected)
})
