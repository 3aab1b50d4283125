// What several tests need.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const PACKAGE = fileURLToPath(new URL('..', import.meta.url))

export const read = (path) => readFileSync(new URL(path, import.meta.url))

/** What is predicted for a path, by name. */
export const NUMBERS = ['p50_ms', 'low_ms', 'high_ms', 'p90_ms', 'p99_ms', 'floor_ms', 'distance_km']

/** The bits of numbers as f32. */
export const bits = (numbers) => [...new Uint32Array(Float32Array.from(numbers).buffer)]

/** The bytes of a model without places: p50 = 1 + 2 * hops + 3 * (link is fibre). See fixtures/make_own_model.py. */
export const ownModel = read('fixtures/own_model.onnx')

/** Own model with a text in it replaced by another of the same length. */
export function changed(from, to) {
  const at = ownModel.indexOf(from)
  if (at < 0 || from.length !== to.length) throw new Error(`cannot replace ${from} by ${to}`)
  const model = Buffer.from(ownModel)
  model.write(to, at)
  return model
}

/** What `work` throws. */
export function failure(work) {
  try {
    work()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}

/** What a promise is rejected with. */
export const rejection = (promise) => promise.then(() => assert.fail('it was not rejected'), (error) => error)

/** Does the work, and counts the turns of the event loop meanwhile: `counter.turns` is the number so far. */
export async function countingTurns(work) {
  const counter = { turns: 0 }
  let done = false
  const counting = (async () => {
    while (!done) {
      await setImmediate()
      counter.turns += 1
    }
  })()
  try {
    await work(counter)
  } finally {
    done = true
    await counting
  }
  return counter.turns
}

/** Runs a program with Node in a process of its own; `env` is added, undefined removes. */
export async function run(code, { env = {}, type = 'module', cwd = PACKAGE, flags = [], timeout = 60_000 } = {}) {
  const all = { ...process.env, ...env }
  for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name]
  return promisify(execFile)(process.execPath, [...flags, `--input-type=${type}`, '--eval', code], {
    cwd,
    env: all,
    timeout,
  })
}
