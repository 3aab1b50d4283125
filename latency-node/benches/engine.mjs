// One contender of `make bench-engine` in a process of its own: `node engine.mjs CONTENDER THREADS FOLDER COLUMNS` answers
// orders, a line of JSON each; latency-core/benches/peers/run.py gives all contenders their turns.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** As in the other languages: the rows that the calls of a turn go through. */
const DIFFERENT = 4096

const [contender, threadsGiven, folder, columnsGiven] = process.argv.slice(2)
const threads = Number(threadsGiven)
const columns = Number(columnsGiven)
const names = Array.from({ length: columns }, (_, column) => `f${column}`)

/** This project's package: a row by names, or columns of 64-bit floats. `LATENCY_ENGINE` names the engine. */
async function ours() {
  const { Predictor } = await import('latency-predictor')
  return async () => {
    const predictor = Predictor.load(join(folder, 'predictor.onnx'), { sessions: 1, threads })
    const ready = (matrix) => {
      if (matrix.length === columns) return Object.fromEntries(names.map((name, column) => [name, matrix[column]]))
      const column = (at) => Float64Array.from({ length: matrix.length / columns }, (_, row) => matrix[row * columns + at])
      return Object.fromEntries(names.map((name, at) => [name, column(at)]))
    }
    const predict = (rows) =>
      typeof rows.f0 === 'number' ? [predictor.predictSync(rows).p50_ms] : predictor.predictBatchSync(rows).p50_ms
    return { ready, predict }
  }
}

/** onnxruntime-node; a tensor is made before. */
async function peer() {
  const { installPeer, loadPeer } = await import('./peer.mjs')
  installPeer()
  const { InferenceSession, Tensor } = loadPeer()
  return async () => {
    const options = { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential' }
    const session = await InferenceSession.create(join(folder, 'trees.onnx'), options)
    const ready = (matrix) => ({ features: new Tensor('float32', matrix, [matrix.length / columns, columns]) })
    const predict = async (rows) => (await session.run(rows)).margins.data
    return { ready, predict }
  }
}

function read(path, rows) {
  const bytes = readFileSync(path)
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  return all.slice(0, rows === undefined ? all.length : rows * columns)
}

function residentKib() {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1])
}

let loaded
let inputs = { rows: 0, all: [] }
const open = await { package: ours, 'onnxruntime-node': peer }[contender]()
const orders = {
  async load() {
    const row = read(join(folder, 'rows.f32'), 1)
    const before = residentKib()
    const started = performance.now()
    loaded = await open()
    const seconds = (performance.now() - started) / 1000
    await loaded.predict(loaded.ready(row))
    return { seconds, kib: Math.max(residentKib() - before, 0) }
  },
  async check({ rows, answers }) {
    const found = await loaded.predict(loaded.ready(read(rows)))
    writeFileSync(answers, new Uint8Array(Float32Array.from(found).buffer))
    return {}
  },
  async time({ rows, calls }) {
    if (inputs.rows !== rows) {
      const parts = Math.max(Math.floor(DIFFERENT / rows), 1)
      const matrix = read(join(folder, 'rows.f32'), parts * rows)
      const part = (at) => matrix.slice(at * rows * columns, (at + 1) * rows * columns)
      inputs = { rows, all: Array.from({ length: parts }, (_, at) => loaded.ready(part(at))) }
    }
    const { all } = inputs
    const { predict } = loaded
    const started = performance.now()
    if (contender === 'package') {
      for (let call = 0; call < calls; call++) predict(all[call % all.length])
    } else {
      for (let call = 0; call < calls; call++) await predict(all[call % all.length])
    }
    return { seconds: (performance.now() - started) / 1000 }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { order, ...given } = JSON.parse(line)
  console.log(JSON.stringify(await orders[order](given)))
}
