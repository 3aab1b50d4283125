// Both sides give the golden numbers, or nothing is measured.

import { flat, golden, named, nested } from './rows.mjs'

const NUMBERS = ['p50_ms', 'low_ms', 'high_ms']
/** Relative; the peer's sines and arc sines are not those of the core. */
const TOLERANCE = 1e-4

/** Fails on a wrong number; gives the largest relative difference of the peer. */
export async function verify(predictor, peer) {
  let largest = 0
  for (const [index, row] of golden.rows.entries()) {
    const expected = golden.predictions[index]
    same(predictor.predictSync(row), expected, index)
    same(predictor.predictSync(nested(row)), expected, index)
    same(await predictor.predict(row), expected, index)
    largest = Math.max(largest, near(await peer.predict(row), expected, index))
  }
  for (const [index, row] of flat.entries()) {
    const expected = predictor.predictSync(row)
    for (const other of [named[index], nested(row)]) same(predictor.predictSync(other), expected, JSON.stringify(other))
    largest = Math.max(largest, near(await peer.predict(row), expected, JSON.stringify(row)))
  }
  return largest
}

function same(found, expected, row) {
  for (const [name, number] of Object.entries(expected)) {
    if (typeof number !== 'number' || found[name] === number) continue
    throw new Error(`row ${row}: ${name} is ${found[name]}, not ${number}`)
  }
}

function near(found, expected, row) {
  const differences = NUMBERS.map((name) => {
    const difference = Math.abs(found[name] - expected[name]) / (expected[name] || 1)
    // NaN must not pass.
    if (!(difference <= TOLERANCE)) throw new Error(`row ${row}: the peer's ${name} is ${found[name]}, not ${expected[name]}`)
    return difference
  })
  return Math.max(...differences)
}
