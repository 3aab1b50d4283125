// An HTTP matchmaker: ranks regions for the player of each request, before anything is measured.
//
//   GET  /match?lat=48.14&lon=11.58&access=wifi&budget_ms=80
//   POST /match  {"player": {"place": "Munich", "access": "wifi"}, "regions": ["aws:eu-central-1", "LHR"], "budget_ms": 80}
//
// README.md in this folder says how to run it, and what it answers.

import { createServer } from 'node:http'

import { Predictor } from 'latency-predictor'

const { HOST = '127.0.0.1', PORT = '8080' } = process.env
/** Where the game has servers; a request may name other regions. */
const REGIONS = ['aws:us-east-1', 'aws:us-west-2', 'aws:sa-east-1', 'aws:eu-west-2', 'aws:eu-central-1', 'aws:ap-northeast-1']
const MAX_REGIONS = 100
const MAX_BODY_BYTES = 16 * 1024
const QUERY = { place: String, lat: Number, lon: Number, access: String, budget_ms: Number }
/** The caller's mistakes, with messages for the caller. What else goes wrong is ours. */
const INPUT = ['INVALID_FIELD', 'MISSING_FIELD', 'UNKNOWN_FIELD', 'UNKNOWN_PLACE', 'AMBIGUOUS_PLACE']

class Refusal extends Error {
  constructor(status, code, message, { field, headers } = {}) {
    super(message)
    Object.assign(this, { status, code, field, headers })
  }
}

// At the start: a model that does not load should end the program, not a request.
const predictor = Predictor.bundled({ sessions: 1 })
const { name, version } = predictor.modelInfo()

function rank({ player, regions = REGIONS, budget_ms, ...others }) {
  const [field] = Object.keys(others)
  if (field) throw new Refusal(400, 'UNKNOWN_FIELD', 'no such field; allowed: player, regions, budget_ms', { field })
  if (!Array.isArray(regions) || regions.length > MAX_REGIONS) {
    const found = Array.isArray(regions) ? `${regions.length} regions` : 'no array'
    throw new Refusal(400, 'INVALID_FIELD', `found ${found}; allowed: an array of up to ${MAX_REGIONS}`, { field: 'regions' })
  }
  // How a server is connected is known, and sharpens the prediction.
  const servers = regions.map((region) => (typeof region === 'string' ? { place: region, access: 'server' } : region))
  // Some ten microseconds per region: quick enough to be done right here.
  const ranked = predictor.rank(player, servers, { budget_ms })
  return ranked.map(({ index, p50_ms, p90_ms, p_best, p_within_budget, warnings }) => {
    return { region: regions[index], p50_ms, p90_ms, p_best, p_within_budget, warnings }
  })
}

function readQuery(query) {
  const found = {}
  for (const [field, text] of query) {
    if (!Object.hasOwn(QUERY, field)) {
      throw new Refusal(400, 'UNKNOWN_FIELD', `no such field; allowed: ${Object.keys(QUERY).join(', ')}`, { field })
    }
    if (field in found) throw new Refusal(400, 'INVALID_FIELD', 'found twice; give it once', { field })
    found[field] = QUERY[field](text)
    // Number('') is 0, a place in the ocean.
    if (Number.isNaN(found[field]) || text.trim() === '') {
      const kind = QUERY[field] === Number ? 'number' : 'text'
      throw new Refusal(400, 'INVALID_FIELD', `found "${text}"; allowed: a ${kind}; leave it out if it is not known`, { field })
    }
  }
  const { budget_ms, ...player } = found
  return { player, budget_ms }
}

async function readBody(request) {
  const { 'content-type': type = 'no Content-Type', 'content-encoding': encoding } = request.headers
  if (encoding || type.split(';')[0].trim().toLowerCase() !== 'application/json') {
    const found = encoding ? `a body in ${encoding}` : type
    throw new Refusal(415, 'UNSUPPORTED_MEDIA_TYPE', `found ${found}; allowed: application/json, not compressed`)
  }
  const pieces = []
  let bytes = 0
  // Not `for await`: to leave its loop closes the connection before there is an answer.
  await new Promise((resolve, reject) => {
    request.on('data', (piece) => {
      bytes += piece.length
      if (bytes <= MAX_BODY_BYTES) return pieces.push(piece)
      const message = `found a longer body; allowed: up to ${MAX_BODY_BYTES} bytes`
      reject(new Refusal(413, 'BODY_TOO_LARGE', message, { headers: { connection: 'close' } }))
    })
    request.on('end', resolve).on('error', reject)
  })
  try {
    const body = JSON.parse(Buffer.concat(pieces))
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body
  } catch {}
  throw new Refusal(400, 'INVALID_JSON', 'found no JSON object; allowed: one such as {"player": {"place": "Munich"}}')
}

async function match(request) {
  const [path, query] = request.url.split('?')
  if (path !== '/match') throw new Refusal(404, 'NOT_FOUND', 'there is nothing here; allowed: GET /match, POST /match')
  if (request.method === 'POST') return rank(await readBody(request))
  if (['GET', 'HEAD'].includes(request.method)) return rank(readQuery(new URLSearchParams(query)))
  const allow = 'GET, HEAD, POST'
  throw new Refusal(405, 'METHOD_NOT_ALLOWED', `found ${request.method}; allowed here: ${allow}`, { headers: { allow } })
}

/** What to tell the caller, by the names that the caller used. */
function refuse(error, { method }) {
  const { status = 400, code, message, field, headers } = error
  if (!(error instanceof Refusal || INPUT.includes(code))) {
    console.error(error)
    return [500, { error: { code: 'INTERNAL', message: 'the matchmaker failed; its log says why' } }]
  }
  const renamed = field?.replace(/^candidates/, 'regions').replace(/^src(\.?)/, method === 'POST' ? 'player$1' : '')
  return [status, { error: { code, field: renamed || undefined, message: message.replace(`${field}: `, '') } }, headers]
}

function reply(response, status, body, headers) {
  const text = `${JSON.stringify(body)}\n`
  // One that stops keeps no connection.
  if (!server.listening) response.setHeader('connection', 'close')
  const length = Buffer.byteLength(text)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...headers }).end(text)
}

const server = createServer({ requestTimeout: 10_000 }, async (request, response) => {
  try {
    reply(response, 200, { ranked: await match(request), model: { name, version } })
  } catch (error) {
    // A caller who has gone hears nothing more.
    if (!request.socket.destroyed) reply(response, ...refuse(error, request))
  }
})

/** What has begun is answered, for up to five seconds. */
function stop() {
  server.close()
  server.closeIdleConnections()
  setTimeout(() => server.closeAllConnections(), 5000).unref()
}
process.once('SIGTERM', stop).once('SIGINT', stop)

server.listen(Number(PORT), HOST, () => console.log(`matchmaker on http://${HOST}:${server.address().port}/match`))
