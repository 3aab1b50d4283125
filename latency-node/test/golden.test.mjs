// The same bits as every other language: the golden vectors of data/golden.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Predictor } from 'latency-predictor'

import { bits, NUMBERS, read } from './help.mjs'

const golden = JSON.parse(read('../../data/golden/paths.json'))
const predictor = Predictor.bundled({ engine: 'onnxruntime' })
const native = Predictor.bundled({ engine: 'native' })

/** `{src_lat: 1}` → `{src: {lat: 1}}`. */
function nested(flat) {
  const row = {}
  for (const [name, value] of Object.entries(flat)) {
    const [, end, part] = /^(src|dst)_(.*)$/.exec(name)
    row[end] = { ...row[end], [part]: value }
  }
  return row
}

function assertSame(found, expected, index) {
  for (const name of NUMBERS) {
    assert.equal(typeof found[name], 'number', `row ${index}: ${name}`)
    assert.deepEqual(bits([found[name]]), bits([expected[name]]), `row ${index}: ${name} is ${found[name]}, not ${expected[name]}`)
    // The shortest decimal form of the f32, not the long one of its double.
    assert.equal(found[name], Number(String(expected[name])), `row ${index}: ${name}`)
  }
}

test('the golden vectors belong to the bundled model', () => {
  assert.equal(predictor.modelInfo().sha256, golden.model.sha256)
  assert.equal(golden.rows.length, 1000)
  assert.equal(golden.predictions.length, 1000)
})

test('flat rows give the golden bits', () => {
  golden.rows.forEach((row, index) => assertSame(predictor.predictSync(row), golden.predictions[index], index))
})

test('the native engine gives the golden bits, alone and in a batch', () => {
  assert.equal(predictor.modelInfo().engine, 'onnxruntime')
  assert.equal(native.modelInfo().engine, 'native')
  golden.rows.forEach((row, index) => assertSame(native.predictSync(row), golden.predictions[index], index))
  const { p50_ms: found } = native.predictBatchSync(golden.rows)
  assert.deepEqual(bits(found), bits(golden.predictions.map(({ p50_ms }) => p50_ms)))
})

test('nested rows give the golden bits', () => {
  golden.rows.forEach((row, index) => assertSame(predictor.predictSync(nested(row)), golden.predictions[index], index))
})
