// The delay of the event loop while predictions are asked for at a fixed rate: how long a message from another thread waits.
// A timer would not do: it is exact to a millisecond, in which all that is compared here is over.

import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { MessageChannel, Worker } from 'node:worker_threads'

import { count, fixed, quantile, spread, table } from './measure.mjs'
import { flat } from './rows.mjs'

const RATE = 1000
const SECONDS = 2
const ROUNDS = 7
/** ms */
const SETTLE = 100

export default async function delays({ predictor, peer }) {
  const sides = {
    'requests that are not predicted': () => undefined,
    predictSync: (row) => predictor.predictSync(row),
    'predict (a promise)': (row) => predictor.predict(row),
    'onnxruntime-node, features in JavaScript': (row) => peer.predict(row),
  }
  const rounds = new Map(Object.keys(sides).map((name) => [name, []]))
  // The first round is not counted.
  for (let number = 0; number <= ROUNDS; number++) {
    for (const [name, answer] of Object.entries(sides)) {
      const found = await round(answer)
      if (number > 0) rounds.get(name).push(found)
    }
  }
  const rule = `medians of ${ROUNDS} rounds of ${SECONDS} s (lowest to highest)`
  console.log(`\n${count(RATE)} requests per second, from another thread: ${rule}`)
  console.log('Delay: how long a message that has nothing to do with the requests waits for the event loop.')
  console.log('Answer: from request to prediction.\n')
  table(
    ['', 'event loop busy, %', 'delay p50, µs', 'p99', 'max', 'answer p50, µs', 'p99'],
    [...rounds].map(([name, found]) => [
      name,
      spread(found.map(({ busy }) => 100 * busy), fixed(1)),
      ...[0.5, 0.99, 1].map((p) => spread(found.map(({ delays }) => quantile(delays, p)), count)),
      ...[0.5, 0.99].map((p) => spread(found.map(({ answers }) => quantile(answers, p)), count)),
    ])
  )
}

/** The clock that all threads share, µs. */
const now = () => Number(process.hrtime.bigint()) / 1000

/** Listens to a thread of its own until it ends. */
async function listen(even, hear) {
  const { port1, port2 } = new MessageChannel()
  const workerData = { port: port2, rate: RATE, seconds: SECONDS, even }
  const worker = new Worker(new URL('load.mjs', import.meta.url), { workerData, transferList: [port2] })
  await new Promise((resolve, reject) => {
    worker.on('error', reject)
    port1.on('message', (sent) => (sent === null ? resolve() : hear(sent)))
  })
  port1.close()
  await worker.terminate()
}

/** One round: the delays, the times to the answers, and the share of time in which the event loop was not waiting. */
async function round(answer) {
  const [delays, answers] = [[], []]
  let start
  let asked = 0
  // At random times, from another thread than the requests: else they would come before or after them more often than not.
  const probes = listen(false, (sent) => delays.push(now() - sent))
  await listen(true, (sent) => {
    start ??= performance.eventLoopUtilization()
    const found = answer(flat[asked++ % flat.length])
    if (found instanceof Promise) found.then(() => answers.push(now() - sent))
    else answers.push(now() - sent)
  })
  const { utilization } = performance.eventLoopUtilization(start)
  await probes
  // What is under way does not run into the next round.
  await setTimeout(SETTLE)
  return { delays, answers, busy: utilization }
}
