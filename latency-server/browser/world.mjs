// Draws the outlines of the continents: Natural Earth's, 1:110 million, which are in the public domain.
// Equirectangular, 10 units per degree, from 85° north to 65° south: src/page/map.rs draws paths on the same.
import { createRequire } from 'node:module'
import { feature } from 'topojson-client'

const NORTH = 85
const SOUTH = -65
const world = createRequire(import.meta.url)('world-atlas/land-110m.json')
const rings = feature(world, world.objects.land).features.flatMap(({ geometry }) => geometry.coordinates.flat())

/** The same ring without jumps: longitudes go on beyond 180° where it crosses the date line. */
const unwrapped = (ring) => {
  let turn = 0
  return ring.map(([lon, lat], at) => {
    const step = at === 0 ? 0 : lon - ring[at - 1][0]
    if (Math.abs(step) > 180) turn -= Math.sign(step) * 360
    return [lon + turn, lat]
  })
}

const place = ([lon, lat]) => [Math.round((lon + 180) * 10), Math.round((NORTH - Math.min(lat, NORTH)) * 10)]

const outline = (ring) => {
  const points = ring.map(place).filter(([x, y], at, all) => at === 0 || x !== all[at - 1][0] || y !== all[at - 1][1])
  const [[x, y], ...rest] = points
  const steps = rest.map(([nextX, nextY], at) => `${nextX - points[at][0]},${nextY - points[at][1]}`)
  return `M${x},${y}l${steps.join(' ')}z`
}

/** The ring, and once more where it comes back on the other side of the map. */
const sides = (ring) => {
  const lons = ring.map(([lon]) => lon)
  const shifts = [0, Math.max(...lons) > 180 ? -360 : 0, Math.min(...lons) < -180 ? 360 : 0]
  return [...new Set(shifts)].map((shift) => ring.map(([lon, lat]) => [lon + shift, lat]))
}

const shown = rings.filter((ring) => ring.some(([, lat]) => lat > SOUTH + 5) && ring.length > 4)
const outlines = shown.map(unwrapped).flatMap(sides).map(outline).join('')
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 3600 ${(NORTH - SOUTH) * 10}"><path fill="#8494a5" d="${outlines}"/></svg>\n`,
)
