// What is predicted: the golden rows, paths between cities and clouds in every form, and a table of random paths.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { findPlace } from 'latency-predictor'

import { ROOT } from '../tools/tools.mjs'

export const golden = JSON.parse(readFileSync(join(ROOT, 'data/golden/paths.json'), 'utf8'))

/** `{src_lat: 1}` → `{src: {lat: 1}}`. */
export function nested(flat) {
  const row = { src: {}, dst: {} }
  for (const [name, value] of Object.entries(flat)) row[name.slice(0, 3)][name.slice(4)] = value
  return row
}

const CITIES = ['London', 'Paris', 'Madrid', 'Warsaw', 'Istanbul', 'Nairobi', 'Mumbai', 'Singapore', 'Tokyo', 'Sydney']
const REGIONS = ['aws:eu-west-2', 'aws:us-east-1', 'aws:ap-northeast-1', 'gcp:europe-west3', 'azure:brazilsouth']

/** Paths as users ask for them, by names. */
export const named = CITIES.flatMap((src) => REGIONS.map((dst) => ({ src, dst })))

/** The same paths by their positions. */
export const flat = named.map(({ src, dst }) => {
  const [from, to] = [src, dst].map((name) => findPlace(name))
  const positions = { src_lat: from.lat, src_lon: from.lon, dst_lat: to.lat, dst_lon: to.lon }
  return { ...positions, dst_provider: to.kind.provider }
})

/** Numbers in [0, 1), the same in every run (mulberry32). */
function random(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Columns of random paths over the inhabited latitudes: coordinates as typed arrays, and how the source is connected. */
export function table(rows) {
  const next = random(1)
  const column = (from, to) => Float64Array.from({ length: rows }, () => from + (to - from) * next())
  const [lat, lon] = [() => column(-40, 60), () => column(-120, 140)]
  const coordinates = { src_lat: lat(), src_lon: lon(), dst_lat: lat(), dst_lon: lon() }
  const words = ['wifi', 'server', 'wired', null]
  const access = { src_access: Array.from({ length: rows }, () => words[Math.floor(4 * next())]) }
  return { coordinates, access }
}

/** Columns as an array of objects. */
export function objects(columns) {
  const all = Object.entries(columns)
  return Array.from(columns.src_lat, (_, index) => Object.fromEntries(all.map(([name, column]) => [name, column[index]])))
}
