// onnxruntime-node, in a folder of its own under target, and the same model file in it as an application would run it.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { ROOT } from '../tools/tools.mjs'
import { answerPlan } from './answers.mjs'
import { featurePlan } from './features.mjs'

/** As in tools/check-install.mjs. */
const VERSION = '1.30.0'
export const PEER = `onnxruntime-node@${VERSION}`
export const FOLDER = join(ROOT, 'target/bench-node/peer')
const MODEL = join(ROOT, 'models/latency.onnx')

/** Installs packages into a folder, without their scripts: those of the peer fetch libraries for CUDA. */
export function install(folder, ...packages) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  npm(folder, 'install', '--ignore-scripts', '--no-audit', '--no-fund', ...packages)
}

export function npm(folder, ...given) {
  // npm is a script on Windows, which only a shell runs.
  const options = { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' }
  execFileSync('npm', [...given, '--loglevel=error'], options)
}

export function installPeer() {
  const manifest = join(FOLDER, 'node_modules/onnxruntime-node/package.json')
  if (!existsSync(manifest) || JSON.parse(readFileSync(manifest, 'utf8')).version !== VERSION) install(FOLDER, PEER)
}

/**
 * Loads the peer. Before our first predictor: a library of ONNX Runtime that LATENCY_ORT_DYLIB_PATH names may have the peer's
 * SONAME, and the peer would then be given ours.
 */
export function loadPeer() {
  return createRequire(join(FOLDER, 'package.json'))('onnxruntime-node')
}

/** The model in a session of the peer, with all that the schema says to do before and after. */
export async function openPeer({ InferenceSession, Tensor }, schema) {
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' }
  const session = await InferenceSession.create(MODEL, options)
  const [input] = session.inputNames
  const [output] = session.outputNames
  const { width, fill } = featurePlan(schema)
  const outputs = schema.outputs.length
  const answer = answerPlan(schema)

  /** The margins of a matrix that is ready. */
  async function run(matrix, rows) {
    const answers = await session.run({ [input]: new Tensor('float32', matrix, [rows, width]) })
    return answers[output].data
  }

  /** The features of one flat row. A matrix for each call: the session runs it later, when another call may have come. */
  function features(row) {
    const matrix = new Float32Array(width)
    return { matrix, km: fill(row, matrix, 0) }
  }

  async function predict(row) {
    const { matrix, km } = features(row)
    return answer(await run(matrix, 1), 0, matrix, 0, km)
  }

  /** Rows `from` to `to` of columns, in one run. */
  async function predictRows(columns, from, to, into) {
    const rows = to - from
    const matrix = new Float32Array(rows * width)
    const km = new Float64Array(rows)
    const { src_lat, src_lon, dst_lat, dst_lon, src_access } = columns
    for (let row = 0; row < rows; row++) {
      const at = from + row
      const end = { dst_lat: dst_lat[at], dst_lon: dst_lon[at] }
      const flat = { src_lat: src_lat[at], src_lon: src_lon[at], ...end, src_access: src_access?.[at] }
      km[row] = fill(flat, matrix, row * width)
    }
    const margins = await run(matrix, rows)
    for (let row = 0; row < rows; row++) {
      const { p50_ms, low_ms, high_ms } = answer(margins, row * outputs, matrix, row * width, km[row])
      into.p50_ms[from + row] = p50_ms
      into.low_ms[from + row] = low_ms
      into.high_ms[from + row] = high_ms
    }
  }

  /** A batch in columns, `piece` rows a run; runs block, so that only pieces leave the event loop to others. */
  async function predictBatch(columns, piece = columns.src_lat.length) {
    const rows = columns.src_lat.length
    const [p50_ms, low_ms, high_ms] = [0, 1, 2].map(() => new Float32Array(rows))
    const into = { p50_ms, low_ms, high_ms }
    for (let from = 0; from < rows; from += piece) await predictRows(columns, from, Math.min(from + piece, rows), into)
    return into
  }

  return { run, features, answer, predict, predictBatch }
}
