// A thread that sends the time at a rate, whether anyone has time for it or not: at even intervals, or at random ones. The last
// message is null.

import { workerData } from 'node:worker_threads'

const { port, rate, seconds, even } = workerData
const cell = new Int32Array(new SharedArrayBuffer(4))
const now = () => Number(process.hrtime.bigint()) / 1000

function sleepUntil(time) {
  const left = time - now()
  if (left > 0) Atomics.wait(cell, 0, 0, left / 1000)
}

const end = now() + 1e6 * seconds
for (let next = now(); next < end; next += ((even ? 1 : -Math.log(1 - Math.random())) * 1e6) / rate) {
  sleepUntil(next)
  port.postMessage(now())
}
port.postMessage(null)
