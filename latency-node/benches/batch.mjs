// 100,000 rows: how long the event loop is blocked at a time, and how long it takes.

import { setTimeout } from 'node:timers/promises'

import { clocks, count, fixed, median, spread, table } from './measure.mjs'
import { nested, objects, table as columns } from './rows.mjs'

const ROWS = 100_000
const ROUNDS = 7
/** Every so many rows have no such latitude. */
const FAULT = 100
const PIECE = 1000
const TOLERANCE = 1e-4
/** ms, for what was started before. */
const SETTLE = 50

export default async function batch({ predictor, peer }) {
  const { coordinates, access } = columns(ROWS)
  const words = { ...coordinates, ...access }
  const faulty = { ...coordinates, src_lat: coordinates.src_lat.map((lat, row) => (row % FAULT ? lat : 91)) }
  const flat = () => objects(words)
  const ends = () => flat().map(nested)
  const noted = await verify({ predictor, peer, coordinates, words, flat, ends, faulty })

  const whole = 'onnxruntime-node, features in JavaScript'
  // The rows, made anew for each round so that no other has 100,000 objects in its heap; and what is done with them.
  const sync = {
    'predictBatchSync, typed arrays': [() => coordinates, (rows) => predictor.predictBatchSync(rows)],
    'predictBatchSync, array of objects': [flat, (rows) => predictor.predictBatchSync(rows)],
  }
  const predictBatch = (rows) => predictor.predictBatch(rows)
  const withNotes = (rows) => predictor.predictBatch(rows, { notes: true })
  const contenders = {
    'predictBatch, typed arrays': [() => coordinates, predictBatch],
    'predictBatch, typed arrays and an array of words': [() => words, predictBatch],
    'predictBatch, array of objects': [flat, predictBatch],
    'predictBatch, array of objects with an object for each end': [ends, predictBatch],
    [`predictBatch, typed arrays, notes: true, ${noted}`]: [() => faulty, withNotes],
    [`${whole}, one run`]: [() => coordinates, (rows) => peer.predictBatch(rows)],
    [`${whole}, ${count(PIECE)} rows a run`]: [() => coordinates, (rows) => peer.predictBatch(rows, PIECE)],
  }

  const nothing = 'nothing, for a second'
  const turns = await rounds({ ...contenders, [nothing]: [() => 1000, (ms) => setTimeout(ms)] }, longestTurn)
  console.log(`\n${count(ROWS)} rows: the longest turn of the event loop, ms, in each of ${ROUNDS} rounds`)
  console.log('Without the time in which its thread had no core, because others did; in the last column with it.\n')
  table(
    ['', 'median', 'all rounds', 'median with waiting'],
    [...turns].map(([name, found]) => {
      const ran = found.map((longest) => longest.ran)
      return [name, fixed(1)(median(ran)), ran.map(fixed(1)).join(' '), fixed(1)(median(found.map(({ wall }) => wall)))]
    })
  )

  const times = await rounds({ ...sync, ...contenders }, timed)
  const reference = times.get(`${whole}, one run`)
  console.log(`\n${count(ROWS)} rows: the time until all are predicted, median of ${ROUNDS} rounds (lowest to highest)\n`)
  table(
    ['', 'rows per second', 'time / onnxruntime-node, one run'],
    [...times].map(([name, found]) => {
      const ratios = found.map((time, round) => time / reference[round])
      return [name, spread(found.map((time) => (1000 * ROWS) / time), count), spread(ratios, fixed(2))]
    })
  )
}

/** All forms give the same numbers, and the peer nearly; fails on wrong ones. Says how much the notes hold. */
async function verify({ predictor, peer, coordinates, words, flat, ends, faulty }) {
  const same = (found, expected, what) => {
    for (const name of ['p50_ms', 'low_ms', 'high_ms', 'p90_ms', 'p99_ms']) {
      if (Buffer.compare(bytes(found[name]), bytes(expected[name]))) throw new Error(`${what} gives another ${name}`)
    }
  }
  const expected = predictor.predictBatchSync(words)
  same(await predictor.predictBatch(words), expected, 'predictBatch')
  same(await predictor.predictBatch(flat()), expected, 'an array of objects')
  same(await predictor.predictBatch(ends()), expected, 'an array of objects with an object for each end')
  const { errors, warnings } = await predictor.predictBatch(faulty, { notes: true })
  if (errors.length !== ROWS / FAULT) throw new Error(`found ${errors.length} errors, not ${ROWS / FAULT}`)
  let largest = 0
  const both = [
    [words, expected],
    [coordinates, predictor.predictBatchSync(coordinates)],
  ]
  for (const [columns, ours] of both) {
    for (const theirs of [await peer.predictBatch(columns), await peer.predictBatch(columns, PIECE)]) {
      for (const name of ['p50_ms', 'low_ms', 'high_ms']) {
        ours[name].forEach((number, row) => (largest = Math.max(largest, Math.abs(theirs[name][row] / number - 1))))
      }
    }
  }
  if (!(largest <= TOLERANCE)) throw new Error(`the peer's numbers differ by ${largest}; allowed: ${TOLERANCE}`)
  console.log(`\nThe forms of a batch agree to the bit, the peer to ${largest.toExponential(1)}`)
  return `${count(warnings.length)} warnings and ${count(errors.length)} errors`
}

const bytes = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)

/** All take turns. */
async function rounds(contenders, measure) {
  const found = new Map(Object.keys(contenders).map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, [make, work]] of Object.entries(contenders)) {
      const rows = make()
      await setTimeout(SETTLE)
      found.get(name).push(await measure(() => work(rows)))
    }
  }
  return found
}

async function timed(work) {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** The longest turn of the event loop from the call to its answer, ms: by the clock, and without waiting for a core. */
async function longestTurn(work) {
  const longest = { wall: 0, ran: 0 }
  let [time, wait] = clocks()
  let over = false
  const look = () => {
    const last = [time, wait]
    ;[time, wait] = clocks()
    const wall = time - last[0]
    longest.wall = Math.max(longest.wall, wall)
    longest.ran = Math.max(longest.ran, wall - (wait - last[1]))
  }
  const turn = () => {
    if (over) return
    look()
    setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  look()
  over = true
  return longest
}
