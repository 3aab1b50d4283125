// The bundled model's matrix in plain JavaScript, as the author of an application would write it who runs
// models/latency.onnx with another runtime: latency-core/src/features.rs, for the fields of this one model.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { ROOT } from '../tools/tools.mjs'

const EARTH_RADIUS_KM = 6371.0088
const DEGREE = Math.PI / 180
/** Where the schema's ends are counted from, eastwards. */
const FIRST_MERIDIAN = -30
/** Degrees per cell of the grid of hubs. */
const CELL = 5
const COLUMNS = 360 / CELL
/** Letters of a row of the continents' grid, and its line feed. */
const STRIDE = 361
const LETTERS = { AF: 'F', AN: 'Q', AS: 'A', EU: 'E', NA: 'N', OC: 'O', SA: 'S' }

/**
 * From the schema: `width`, the number of columns, and `fill(row, matrix, at)`, which writes the columns of a flat row from
 * `at` on, where there must be zeros, and gives the great-circle distance in km.
 */
export function featurePlan(schema) {
  const { hubs, cables, last_mile: lastMile, features } = schema
  const grid = readFileSync(join(ROOT, 'latency-core/assets/continents.txt'))
  const column = (kind, wanted = {}) =>
    features.findIndex((one) => one.kind === kind && Object.entries(wanted).every(([name, value]) => one[name] === value))
  /** Per byte of the grid the column of its continent; -1 if it has none. */
  const continents = new Int32Array(256).fill(-1)
  for (const [continent, letter] of Object.entries(LETTERS)) {
    continents[letter.charCodeAt(0)] = column('continent_count', { continent })
  }
  const [DISTANCE, CABLE, PATH, SAME] = ['distance_km', 'cable_ms', 'path_ms', 'same'].map((kind) => column(kind))
  const [west, east] = ['west', 'east'].map((end) => [
    column('latitude', { end }),
    column('longitude', { end }),
    ...['x', 'y', 'z'].map((axis) => column('cartesian', { end, axis })),
  ])
  const same = new Set(features[SAME].categories)

  const hubCount = hubs.length
  const hubVectors = hubs.map(({ lat, lon }) => vector(lat, lon))
  const [hubX, hubY, hubZ] = [0, 1, 2].map((axis) => Float64Array.from(hubVectors, (position) => position[axis]))
  const detourColumns = Int32Array.from(features.flatMap(({ kind }, at) => (kind === 'detour' ? [at] : [])))
  const detourHubs = Int32Array.from(detourColumns, (at) => features[at].hub)
  const ways = fastestWays(cables.links, hubCount)
  const accessMs = new Map(Object.entries(lastMile.ms))

  /** Per category of both ends' field the column that counts it, -1 if none does; and that of missing ones. */
  const counting = (part) => {
    const isOf = ({ fields }) => fields?.[0] === `src_${part}`
    const counts = features.flatMap((one, at) => (one.kind === 'count' && isOf(one) ? [[one.category, at]] : []))
    return { columns: new Map(counts), missing: features.findIndex((one) => one.kind === 'count_missing' && isOf(one)) }
  }
  const [access, provider, tier] = ['access', 'provider', 'tier'].map(counting)

  const NEAREST = cables.nearest
  const scratch = () => ({ hubs: new Int32Array(NEAREST), km: new Float64Array(NEAREST) })
  const [from, to] = [scratch(), scratch()]

  /** Per cell the hubs that can be among the nearest of a position in it, as in hubs.rs; found when first asked for. */
  const cells = Array.from({ length: (180 / CELL) * COLUMNS })
  function candidates(cell) {
    const south = Math.floor(cell / COLUMNS) * CELL - 90
    const west = (cell % COLUMNS) * CELL - 180
    const centre = vector(south + CELL / 2, west + CELL / 2)
    const corners = [0, CELL].flatMap((up) => [0, CELL].map((right) => vector(south + up, west + right)))
    const radius = Math.max(...corners.map((corner) => distanceKm(centre, corner)))
    const distances = hubVectors.map((hub) => distanceKm(centre, hub))
    const reach = [...distances].sort((a, b) => a - b)[NEAREST - 1] + 2 * radius + 1
    return Int32Array.from(distances.flatMap((distance, hub) => (distance <= reach ? [hub] : [])))
  }

  /** The nearest hubs of a position, nearest first. */
  function nearest(lat, lon, x, y, z, { hubs, km }) {
    const row = Math.min(Math.floor((lat + 90) / CELL), 180 / CELL - 1)
    const cell = row * COLUMNS + Math.min(Math.floor((lon + 180) / CELL), COLUMNS - 1)
    const near = (cells[cell] ??= candidates(cell))
    km.fill(Infinity)
    for (let index = 0; index < near.length; index++) {
      const hub = near[index]
      const dx = x - hubX[hub]
      const dy = y - hubY[hub]
      const dz = z - hubZ[hub]
      const chord = dx * dx + dy * dy + dz * dz
      if (chord >= km[NEAREST - 1]) continue
      let place = NEAREST - 1
      for (; place > 0 && km[place - 1] > chord; place--) {
        km[place] = km[place - 1]
        hubs[place] = hubs[place - 1]
      }
      km[place] = chord
      hubs[place] = hub
    }
    for (let place = 0; place < NEAREST; place++) km[place] = arcKm(km[place])
  }

  function cableMs(distanceKm) {
    // Neighbours need no hub.
    let fastest = from.hubs[0] === to.hubs[0] ? distanceKm * cables.access_ms_per_km : Infinity
    for (let a = 0; a < NEAREST; a++) {
      const row = from.hubs[a] * hubCount
      for (let b = 0; b < NEAREST; b++) {
        const ms = (from.km[a] + to.km[b]) * cables.access_ms_per_km + ways[row + to.hubs[b]]
        if (ms < fastest) fastest = ms
      }
    }
    return fastest + cables.constant_ms
  }

  function continent(lat, lon, matrix, at) {
    const row = Math.min(Math.max(Math.trunc(90 - lat), 0), 179)
    const found = continents[grid[row * STRIDE + ((Math.floor(lon + 180) + 360) % 360)]]
    if (found >= 0) matrix[at + found] += 1
  }

  function count({ columns, missing }, word, matrix, at) {
    const found = word === undefined || word === null ? missing : columns.get(word) ?? -1
    if (found >= 0) matrix[at + found] += 1
  }

  const lastMileMs = (word) => (word === undefined || word === null ? lastMile.missing_ms : accessMs.get(word))

  function fill(row, matrix, at) {
    const { src_lat: srcLat, src_lon: srcLon, dst_lat: dstLat, dst_lon: dstLon } = row
    const srcEast = eastwards(srcLon)
    const dstEast = eastwards(dstLon)
    const ordered = srcEast < dstEast || (srcEast === dstEast && srcLat <= dstLat)
    const westLat = ordered ? srcLat : dstLat
    const westLon = ordered ? srcLon : dstLon
    const eastLat = ordered ? dstLat : srcLat
    const eastLon = ordered ? dstLon : srcLon

    const westCos = Math.cos(westLat * DEGREE)
    const ax = westCos * Math.cos(westLon * DEGREE)
    const ay = westCos * Math.sin(westLon * DEGREE)
    const az = Math.sin(westLat * DEGREE)
    const eastCos = Math.cos(eastLat * DEGREE)
    const bx = eastCos * Math.cos(eastLon * DEGREE)
    const by = eastCos * Math.sin(eastLon * DEGREE)
    const bz = Math.sin(eastLat * DEGREE)
    const km = arcKm((ax - bx) * (ax - bx) + (ay - by) * (ay - by) + (az - bz) * (az - bz))

    matrix[at + west[0]] = westLat
    matrix[at + west[1]] = westLon
    matrix[at + west[2]] = ax
    matrix[at + west[3]] = ay
    matrix[at + west[4]] = az
    matrix[at + east[0]] = eastLat
    matrix[at + east[1]] = eastLon
    matrix[at + east[2]] = bx
    matrix[at + east[3]] = by
    matrix[at + east[4]] = bz
    matrix[at + DISTANCE] = km
    continent(westLat, westLon, matrix, at)
    continent(eastLat, eastLon, matrix, at)

    for (let index = 0; index < detourHubs.length; index++) {
      const hub = detourHubs[index]
      const x = hubX[hub]
      const y = hubY[hub]
      const z = hubZ[hub]
      const there = arcKm((ax - x) * (ax - x) + (ay - y) * (ay - y) + (az - z) * (az - z))
      const back = arcKm((bx - x) * (bx - x) + (by - y) * (by - y) + (bz - z) * (bz - z))
      matrix[at + detourColumns[index]] = Math.max(there + back - km, 0)
    }

    nearest(westLat, westLon, ax, ay, az, from)
    nearest(eastLat, eastLon, bx, by, bz, to)
    const cable = cableMs(km)
    matrix[at + CABLE] = cable
    matrix[at + PATH] = cable + lastMileMs(row.src_access) + lastMileMs(row.dst_access)

    count(access, row.src_access, matrix, at)
    count(access, row.dst_access, matrix, at)
    count(provider, row.src_provider, matrix, at)
    count(provider, row.dst_provider, matrix, at)
    count(tier, row.src_tier, matrix, at)
    count(tier, row.dst_tier, matrix, at)
    if (row.src_provider === row.dst_provider && same.has(row.src_provider)) matrix[at + SAME] = 1
    return km
  }

  return { width: features.length, fill }
}

/** A position in degrees as a unit vector. */
function vector(lat, lon) {
  const cos = Math.cos(lat * DEGREE)
  return [cos * Math.cos(lon * DEGREE), cos * Math.sin(lon * DEGREE), Math.sin(lat * DEGREE)]
}

const distanceKm = (a, b) => arcKm(a.reduce((sum, x, axis) => sum + (x - b[axis]) ** 2, 0))

function eastwards(lon) {
  const east = lon - FIRST_MERIDIAN
  return east < 0 ? east + 360 : east
}

/** The length of the great circle over a squared chord, km. */
function arcKm(squaredChord) {
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(0.5 * Math.sqrt(squaredChord), 1))
}

/** RTT of the fastest way between each two hubs, ms, row by row (Floyd and Warshall). */
function fastestWays(links, hubs) {
  const ways = new Float64Array(hubs * hubs).fill(Infinity)
  for (let hub = 0; hub < hubs; hub++) ways[hub * hubs + hub] = 0
  for (const [from, to, ms] of links) ways[from * hubs + to] = ways[to * hubs + from] = ms
  for (let over = 0; over < hubs; over++) {
    for (let from = 0; from < hubs; from++) {
      for (let to = 0; to < hubs; to++) {
        const way = ways[from * hubs + over] + ways[over * hubs + to]
        if (way < ways[from * hubs + to]) ways[from * hubs + to] = way
      }
    }
  }
  return ways
}
