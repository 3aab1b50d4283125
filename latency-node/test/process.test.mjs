// Life and death: worker threads end, processes exit and fork, predictors are collected.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'

import { Predictor } from 'latency-predictor'

import { PACKAGE, run } from './help.mjs'

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

const PENDING = {
  'a prediction': `one.predict(${JSON.stringify(ROW)})`,
  'a batch of rows': `one.predictBatch(Array.from({ length: 50000 }, () => (${JSON.stringify(ROW)})))`,
  'a batch of columns': 'one.predictBatch(columns)',
  'a load': 'Predictor.loadAsync()',
}
const COLUMNS = "Object.fromEntries(['src_lat', 'src_lon', 'dst_lat', 'dst_lon'].map((name, index) => [name, new Float64Array(30_000).fill(index)]))"

for (const [what, pending] of Object.entries(PENDING)) {
  test(`a process may exit while ${what} is pending`, async () => {
    const code = `
      const { Predictor } = require('latency-predictor')
      const one = Predictor.bundled({ sessions: 2 })
      const columns = ${COLUMNS}
      for (let turn = 0; turn < 8; turn += 1) ${pending}.then(() => {}, () => {})
      setTimeout(() => { console.log('exits'); process.exit(0) }, 20)
    `
    const { stdout, stderr } = await run(code, { type: 'commonjs' })
    assert.equal(stdout, 'exits\n')
    assert.equal(stderr, '')
  })

  test(`a worker may be stopped while ${what} is pending`, async () => {
    const code = `
      import { Worker } from 'node:worker_threads'
      import { setTimeout } from 'node:timers/promises'
      import { Predictor } from 'latency-predictor'
      const pending = \`
        const { parentPort } = require('node:worker_threads')
        const { Predictor } = require('latency-predictor')
        const one = Predictor.bundled({ sessions: 2 })
        const columns = ${COLUMNS}
        for (let turn = 0; turn < 8; turn += 1) ${pending}.then(() => {}, () => {})
        parentPort.postMessage('pending')
      \`
      for (let turn = 0; turn < 3; turn += 1) {
        const worker = new Worker(pending, { eval: true, execArgv: [] })
        await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
        await setTimeout(turn * 10)
        await worker.terminate()
      }
      console.log(Predictor.bundled().predictSync(${JSON.stringify(ROW)}).p50_ms > 0)
    `
    assert.equal((await run(code)).stdout, 'true\n')
  })
}

test('a process waits for a promise that is pending', async () => {
  const code = `
    const { Predictor } = require('latency-predictor')
    Predictor.bundled().predictBatch(${COLUMNS}).then(({ length }) => console.log(length))
  `
  assert.equal((await run(code, { type: 'commonjs' })).stdout, '30000\n')
})

test('the processes of a cluster answer alike, whether the primary has predicted before or not', async () => {
  for (const before of ['', `Predictor.bundled().predictSync(${JSON.stringify(ROW)})`]) {
    const code = `
      const cluster = require('node:cluster')
      const { Predictor } = require('latency-predictor')
      if (cluster.isPrimary) {
        ${before}
        const answers = []
        const codes = []
        cluster.on('message', (worker, answer) => {
          answers.push(answer)
          worker.disconnect()
        })
        cluster.on('exit', (worker, code) => {
          codes.push(code)
          if (codes.length === 3) console.log(JSON.stringify({ answers, codes }))
        })
        for (let count = 0; count < 3; count += 1) cluster.fork()
      } else {
        const predictor = Predictor.bundled()
        predictor.predict(${JSON.stringify(ROW)}).then((answer) => process.send(answer.p50_ms))
      }
    `
    const file = join(mkdtempSync(join(tmpdir(), 'latency-')), 'cluster.cjs')
    writeFileSync(file, code.replaceAll("'latency-predictor'", JSON.stringify(PACKAGE)))
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 })
    rmSync(dirname(file), { recursive: true })
    const expected = Predictor.bundled({ sessions: 1 }).predictSync(ROW).p50_ms
    assert.deepEqual(JSON.parse(stdout), { answers: [expected, expected, expected], codes: [0, 0, 0] })
  }
})

// `make memory` runs more of them.
const LOADS = Number(process.env.LATENCY_MEMORY_LOADS ?? 1_000)

/** Resident memory, MiB, after a tenth of the turns and after all of them. */
async function memory(setup, turn, turns) {
  const code = `
    const { readFileSync } = require('node:fs')
    const { setImmediate } = require('node:timers/promises')
    const { Predictor } = require('latency-predictor')
    ${setup}
    const found = []
    async function main() {
      for (let turn = 1; turn <= ${turns}; turn += 1) {
        ${turn}
        // Finalizers run between the turns of the event loop.
        if (turn % 50 === 0) await setImmediate()
        if (turn === ${turns / 10} || turn === ${turns}) {
          for (let round = 0; round < 3; round += 1) { global.gc(); await setImmediate() }
          found.push(process.memoryUsage.rss() / 2 ** 20)
        }
      }
      console.log(JSON.stringify(found))
    }
    main()
  `
  const { stdout } = await run(code, { type: 'commonjs', flags: ['--expose-gc'], timeout: 600_000 })
  return JSON.parse(stdout)
}

for (const [what, setup, turn] of [
  ['loads of a model', `const bytes = readFileSync('test/fixtures/own_model.onnx')`, 'Predictor.load(bytes, { sessions: 1 })'],
  ['loads off the event loop', `const bytes = readFileSync('test/fixtures/own_model.onnx')`, 'await Predictor.loadAsync(bytes, { sessions: 1 })'],
  ['models that are refused', 'const bytes = Buffer.alloc(100_000)', 'try { Predictor.load(bytes) } catch {}'],
  [
    'batches, with faults and without, of which some are aborted',
    `const one = Predictor.bundled({ sessions: 1 })
     const rows = Array.from({ length: 200 }, (_, index) => ({ src: index % 2 ? 'London' : 'Atlantis', dst: 'Tokyo' }))
     const columns = { src_lat: new Float64Array(200), src_lon: new Float64Array(200), dst_lat: [...new Float64Array(200)], dst_lon: new Float32Array(200) }`,
    `one.predictBatchSync(columns)
     const controller = new AbortController()
     const promise = one.predictBatch(turn % 2 ? columns : rows, { notes: true, signal: controller.signal })
     if (turn % 4 === 0) controller.abort()
     await promise.catch(() => {})`,
  ],
]) {
  test(`memory stays flat over ${LOADS} ${what}`, async () => {
    const [early, late] = await memory(setup, turn, LOADS)
    assert.ok(late - early < 24, `${early.toFixed(1)} MiB after a tenth, ${late.toFixed(1)} MiB at the end`)
  })
}

// All of them together would hold 2 GiB of sessions, or 480 MiB of the native engine's copies of the trees.
for (const [options, loads, most] of [['{ sessions: 2 }', 100, 700], [`{ engine: 'native' }`, 400, 300]]) {
  test(`the garbage collector knows what a predictor holds: those that are dropped go without being asked, ${options}`, async () => {
    const code = `
      const { Predictor } = require('latency-predictor')
      const { setImmediate } = require('node:timers/promises')
      async function main() {
        for (let turn = 0; turn < ${loads}; turn += 1) {
          Predictor.bundled(${options})
          await setImmediate()
        }
        console.log(process.memoryUsage.rss() / 2 ** 20)
      }
      main()
    `
    const { stdout } = await run(code, { type: 'commonjs' })
    assert.ok(Number(stdout) < most, `${stdout.trim()} MiB`)
  })
}
