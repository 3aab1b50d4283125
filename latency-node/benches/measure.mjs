// Figures and how they are shown.

import { existsSync, openSync, readSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { basename } from 'node:path'

const sorted = (numbers) => Float64Array.from(numbers).sort()

export function quantile(numbers, p) {
  const all = sorted(numbers)
  return all[Math.min(Math.floor(p * all.length), all.length - 1)]
}

export const median = (numbers) => quantile(numbers, 0.5)

export const fixed = (digits) => (number) => number.toFixed(digits)
export const count = (number) => Math.round(number).toLocaleString('en')

/** The median of some rounds, with the lowest and the highest. */
export function spread(numbers, show) {
  return `${show(median(numbers))} (${show(Math.min(...numbers))} to ${show(Math.max(...numbers))})`
}

/** A table in Markdown; names to the left, figures to the right. */
export function table([first, ...heads], rows) {
  const line = (cells) => console.log(`| ${cells.join(' | ')} |`)
  line([first, ...heads])
  line(['---', ...heads.map(() => '---:')])
  rows.forEach(line)
}

/** The processor, the program, and the libraries of ONNX Runtime that both sides have loaded. */
export function machine() {
  const { excludeNetwork } = process.report
  // Else it asks for the names of all connected hosts.
  process.report.excludeNetwork = true
  const { sharedObjects } = process.report.getReport()
  process.report.excludeNetwork = excludeNetwork
  const libraries = sharedObjects.map((file) => basename(file)).filter((name) => /onnxruntime.*\.(so|dylib|dll)/.test(name))
  const { platform, arch, version } = process
  return `${cpus()[0].model}, ${cpus().length} cores, ${platform}-${arch}, Node.js ${version}, ${libraries.join(' and ')}`
}

/** How many programs want a core, on average over a minute. */
export const load = () => loadavg()[0].toFixed(2)

const SCHEDULER = '/proc/self/schedstat'
const scheduler = existsSync(SCHEDULER) ? openSync(SCHEDULER) : undefined
const buffer = Buffer.alloc(128)

/** How long the main thread has been ready to run without a core, ms; 0 where the system does not say. */
function waited() {
  if (scheduler === undefined) return 0
  const length = readSync(scheduler, buffer, 0, buffer.length, 0)
  return Number(buffer.latin1Slice(0, length).split(' ')[1]) / 1e6
}

/** The time, and how much of it the main thread has waited for a core, ms. */
export function clocks() {
  for (let before = waited(); ;) {
    const time = performance.now()
    const after = waited()
    // Else it lost its core between the two.
    if (after === before) return [time, after]
    before = after
  }
}
