// Life and death: worker threads end, processes exit.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { Predictor } from 'latency-predictor'

import { run } from './help.mjs'

const ROW = { src: '51.51,-0.13', dst: '35.68,139.69' }

const WORKER = `
  import { parentPort, workerData } from 'node:worker_threads'
  const { Predictor } = await import(workerData.module)
  const predictor = Predictor.bundled({ sessions: 1 })
  try { predictor.predictSync({ src: 1 }) } catch ({ code }) { if (code !== 'INVALID_FIELD') throw new Error(code) }
  parentPort.postMessage(predictor.predictSync(workerData.row))
`

function inWorker() {
  return new Promise((resolve, reject) => {
    let answer
    const url = new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`)
    const worker = new Worker(url, { workerData: { module: import.meta.resolve('latency-predictor'), row: ROW } })
    worker.on('message', (message) => (answer = message))
    worker.on('error', reject)
    worker.on('exit', (code) => resolve({ answer, code }))
  })
}

test('a worker thread predicts and ends', async () => {
  const expected = Predictor.bundled({ sessions: 1 }).predictSync(ROW)
  assert.deepEqual(await inWorker(), { answer: expected, code: 0 })
  const several = await Promise.all([inWorker(), inWorker(), inWorker()])
  for (const one of several) assert.deepEqual(one, { answer: expected, code: 0 })
})

test('an addon that only a worker loads may go with it', async () => {
  const code = `
    import { Worker } from 'node:worker_threads'
    const url = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(WORKER)}))
    const workerData = { module: import.meta.resolve('latency-predictor'), row: ${JSON.stringify(ROW)} }
    for (let round = 0; round < 3; round += 1) {
      const code = await new Promise((resolve, reject) => new Worker(url, { workerData }).on('error', reject).on('exit', resolve))
      console.log(code)
    }
  `
  assert.equal((await run(code)).stdout, '0\n0\n0\n')
})

test('a worker that is stopped in the middle of it harms nobody', async () => {
  const code = `
    import { Worker } from 'node:worker_threads'
    import { Predictor } from 'latency-predictor'
    const endless = \`
      const { parentPort, workerData } = require('node:worker_threads')
      const { Predictor } = require('latency-predictor')
      const predictor = Predictor.bundled({ sessions: 1 })
      parentPort.postMessage('started')
      for (;;) predictor.predictSync(workerData)
    \`
    const worker = new Worker(endless, { eval: true, execArgv: [], workerData: ${JSON.stringify(ROW)} })
    await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
    await worker.terminate()
    console.log(Predictor.bundled().predictSync(${JSON.stringify(ROW)}).p50_ms > 0)
  `
  assert.equal((await run(code)).stdout, 'true\n')
})

for (const [what, end] of [
  ['ends by itself', ''],
  ['calls process.exit', 'process.exit(0)'],
]) {
  test(`a process that ${what} right after a prediction exits with 0`, async () => {
    const code = `
      const { Predictor } = require('latency-predictor')
      const one = Predictor.bundled(), two = Predictor.bundled({ sessions: 2, threads: 2 })
      console.log(one.predictSync(${JSON.stringify(ROW)}).p50_ms > 0 && two.predictSync(${JSON.stringify(ROW)}).p50_ms > 0)
      ${end}
    `
    const { stdout, stderr } = await run(code, { type: 'commonjs' })
    assert.equal(stdout, 'true\n')
    assert.equal(stderr, '')
  })
}
