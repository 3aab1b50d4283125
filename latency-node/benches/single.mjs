// One path: the time of a call, then what it does to the event loop.

import delays from './delay.mjs'
import { fixed, quantile, table } from './measure.mjs'
import { flat, golden, named, nested } from './rows.mjs'

const SECONDS = 3
const TURN = 100
const UNCOUNTED = 20

export default async function single({ predictor, peer }) {
  await times(predictor, peer)
  await delays({ predictor, peer })
}

const sync = (call) => (rows) => {
  for (const row of rows) call(row)
}
const awaited = (call) => async (rows) => {
  for (const row of rows) await call(row)
}

/**
 * All take turns, a hundred calls at a time after some that are not counted, so that none finds the caches of another, and
 * what else the machine does disturbs all; a ratio is the median over all turns.
 */
async function times(predictor, peer) {
  const ready = flat.map((row) => peer.features(row))
  const margins = await peer.run(ready[0].matrix, 1)
  const predictSync = sync((row) => predictor.predictSync(row))
  const theirs = awaited((row) => peer.predict(row))
  const reference = 'onnxruntime-node, features in JavaScript'
  const warnings = golden.rows.reduce((sum, row) => sum + predictor.predictSync(row).warnings.length, 0) / golden.rows.length
  const contenders = [
    ['predictSync, flat names', flat, predictSync],
    ['predictSync, an object for each end', flat.map(nested), predictSync],
    ['predictSync, names of places', named, predictSync],
    ['predict (a promise), flat names', flat, awaited((row) => predictor.predict(row))],
    [reference, flat, theirs],
    ['onnxruntime-node, features at hand', ready, awaited(({ matrix }) => peer.run(matrix, 1))],
    [
      'JavaScript alone: features, and margins to answer',
      flat,
      sync((row) => {
        const { matrix, km } = peer.features(row)
        peer.answer(margins, 0, matrix, 0, km)
      }),
    ],
    [`predictSync, golden rows, ${fixed(1)(warnings)} warnings each`, golden.rows, predictSync],
    ['onnxruntime-node, features in JavaScript, golden rows', golden.rows, theirs],
  ]
  const taken = new Map(contenders.map(([name]) => [name, []]))
  const until = performance.now() + 1000 * SECONDS * contenders.length
  for (let at = 0; performance.now() < until; at += TURN) {
    for (const [name, rows, call] of contenders) {
      const from = at % rows.length
      const turn = Array.from({ length: UNCOUNTED + TURN }, (_, index) => rows[(from + index) % rows.length])
      await call(turn.slice(0, UNCOUNTED))
      const counted = turn.slice(UNCOUNTED)
      const started = performance.now()
      await call(counted)
      taken.get(name).push((1000 * (performance.now() - started)) / TURN)
    }
  }
  const turns = taken.get(reference)
  console.log(`\nOne call, ${turns.length} turns of ${TURN} calls: median, and the middle half of all turns`)
  console.log('The peer gives p50, low and high of positions: no p90 and p99, no warnings, no checks of the input, no names.\n')
  const half = (numbers, show) => {
    const [low, middle, high] = [0.25, 0.5, 0.75].map((p) => show(quantile(numbers, p)))
    return `${middle} (${low} to ${high})`
  }
  table(
    ['', 'µs', `time / ${reference}`],
    [...taken].map(([name, times]) => {
      const ratios = times.map((time, turn) => time / turns[turn])
      return [name, half(times, fixed(1)), half(ratios, fixed(2))]
    })
  )
}
