// The programs in examples/, as a user starts them, and their README.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'

import { Predictor } from 'latency-predictor'

import { PACKAGE, read } from './help.mjs'

const predictor = Predictor.bundled({ sessions: 1 })

function start(file, env = {}) {
  const child = spawn(process.execPath, [join(PACKAGE, file)], { env: { ...process.env, ...env }, timeout: 120_000 })
  child.errors = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (child.errors += text))
  return child
}

/** A matchmaker, its address, and how to ask it. */
async function matchmaker(context) {
  const child = start('examples/matchmaker.mjs', { PORT: '0', HOST: undefined })
  context.after(() => child.kill('SIGKILL'))
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  const [, url] = /^matchmaker on (http:\/\/127\.0\.0\.1:\d+\/match)$/.exec(line)
  const ask = async (query, options) => {
    const response = await fetch(`${url}${query}`, options)
    return { status: response.status, headers: response.headers, body: await response.json() }
  }
  const post = (body, headers = { 'content-type': 'application/json' }) =>
    ask('', { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
  return { child, url, ask, post }
}

test('the matchmaker ranks regions for a player', async (context) => {
  const { ask, post } = await matchmaker(context)
  const player = { lat: 48.14, lon: 11.58, access: 'wifi' }
  const { status, headers, body } = await ask('?lat=48.14&lon=11.58&access=wifi&budget_ms=80')
  assert.equal(status, 200)
  assert.match(headers.get('content-type'), /^application\/json/)
  assert.equal(body.model.version, predictor.modelInfo().version)
  const [best] = body.ranked
  assert.equal(best.region, 'aws:eu-central-1')
  assert.ok(best.p_best > 0.5 && best.p_within_budget > 0.9)
  const expected = predictor.predictSync({ src: player, dst: { place: best.region, access: 'server' } })
  assert.deepEqual([best.p50_ms, best.p90_ms, best.warnings], [expected.p50_ms, expected.p90_ms, expected.warnings])
  const medians = body.ranked.map(({ p50_ms }) => p50_ms)
  assert.deepEqual(medians, [...medians].sort((a, b) => a - b))
  assert.deepEqual((await post({ player, budget_ms: 80 })).body, body)

  const regions = ['LHR', { lat: 50.11, lon: 8.68, access: 'server' }, 'aws:us-east-1']
  const others = await post({ player: 'Munich', regions })
  assert.deepEqual(others.body.ranked.map(({ region }) => region), [regions[1], regions[0], regions[2]])
  assert.ok(others.body.ranked.every((ranked) => !('p_within_budget' in ranked)))
  assert.deepEqual((await post({ player, regions: [] })).body.ranked, [])
  assert.equal((await ask('?place=-89,0')).body.ranked[0].warnings[0].code, 'OUT_OF_RANGE')
})

test('the matchmaker says what is wrong with a request', async (context) => {
  const { child, ask, post } = await matchmaker(context)
  const mistakes = [
    ['?lat=91&lon=0', 'INVALID_FIELD', 'lat', 'found 91; allowed: a number from -90 to 90 (degree)'],
    ['?lat=&lon=0', 'INVALID_FIELD', 'lat', 'found ""; allowed: a number; leave it out if it is not known'],
    ['?lat=north&lon=0', 'INVALID_FIELD', 'lat', 'found "north"; allowed: a number; leave it out if it is not known'],
    ['?lat=1&lat=2&lon=0', 'INVALID_FIELD', 'lat', 'found twice; give it once'],
    ['?lat=1', 'MISSING_FIELD', 'lon', /^required, but not given/],
    ['', 'MISSING_FIELD', 'lat', /^required, but not given/],
    ['?place=Springfield', 'AMBIGUOUS_PLACE', 'place', /^found `Springfield`, the name of \d+ places/],
    ['?place=Munich&access=carrier+pigeon', 'INVALID_FIELD', 'access', /^found "carrier pigeon"; allowed: server, wired/],
    ['?place=Munich&budget_ms=-1', 'INVALID_FIELD', 'budget_ms', 'found -1; allowed: a number above 0 (ms)'],
    ['?place=Munich&colour=red', 'UNKNOWN_FIELD', 'colour', 'no such field; allowed: place, lat, lon, access, budget_ms'],
    ['?__proto__=1', 'UNKNOWN_FIELD', '__proto__', /^no such field/],
    [{}, 'INVALID_FIELD', 'player', /^found nothing; allowed: a place/],
    [{ player: { lat: 91, lon: 0 } }, 'INVALID_FIELD', 'player.lat', 'found 91; allowed: a number from -90 to 90 (degree)'],
    [{ player: 'Munich', regions: ['LHR', { lat: 91, lon: 0 }] }, 'INVALID_FIELD', 'regions[1].lat', /^found 91/],
    [{ player: 'Munich', regions: 'LHR' }, 'INVALID_FIELD', 'regions', 'found no array; allowed: an array of up to 100'],
    [{ player: 'Munich', regions: Array(101).fill('LHR') }, 'INVALID_FIELD', 'regions', 'found 101 regions; allowed: an array of up to 100'],
    [{ player: 'Munich', budget_ms: '80' }, 'INVALID_FIELD', 'budget_ms', 'found a string; allowed: a number'],
    [{ player: 'Munich', colour: 'red' }, 'UNKNOWN_FIELD', 'colour', 'no such field; allowed: player, regions, budget_ms'],
  ]
  for (const [given, code, field, message] of mistakes) {
    const { status, body } = typeof given === 'string' ? await ask(given) : await post(given)
    assert.equal(status, 400, JSON.stringify(given))
    assert.deepEqual([body.error.code, body.error.field], [code, field])
    if (message instanceof RegExp) assert.match(body.error.message, message)
    else assert.equal(body.error.message, message)
  }
  for (const text of ['{', '', '[]', 'null', '5']) {
    const { status, body } = await post(text)
    assert.deepEqual([status, body.error.code], [400, 'INVALID_JSON'], text)
  }
  assert.equal(child.errors, '', 'a mistake of the caller is not logged')
})

test('the matchmaker knows HTTP', async (context) => {
  const { url, ask, post } = await matchmaker(context)
  const refused = ({ status, body }) => [status, body.error.code]
  assert.deepEqual(refused(await ask('/more')), [404, 'NOT_FOUND'])
  const put = await ask('?place=Munich', { method: 'PUT' })
  assert.deepEqual([...refused(put), put.headers.get('allow')], [405, 'METHOD_NOT_ALLOWED', 'GET, HEAD, POST'])
  assert.deepEqual(refused(await post('{}', { 'content-type': 'text/plain' })), [415, 'UNSUPPORTED_MEDIA_TYPE'])
  const compressed = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  assert.deepEqual(refused(await post('{}', compressed)), [415, 'UNSUPPORTED_MEDIA_TYPE'])
  assert.equal((await post({ player: 'Munich' }, { 'content-type': 'Application/JSON; charset=utf-8' })).status, 200)

  const [most, head] = [16 * 1024, '{"player": "Munich"}']
  assert.equal((await post(head.padEnd(most))).status, 200)
  assert.deepEqual(refused(await post(head.padEnd(most + 1))), [413, 'BODY_TOO_LARGE'])

  const asked = await fetch(`${url}?place=Munich`, { method: 'HEAD' })
  assert.deepEqual([asked.status, await asked.text()], [200, ''])
})

test('on SIGTERM the matchmaker answers what has begun, and ends with 0', { skip: process.platform === 'win32' }, async (context) => {
  const { child, url, ask } = await matchmaker(context)
  // Leaves a connection open that has nothing to do.
  await ask('?place=Munich')
  const begun = request(url, { method: 'POST', headers: { 'content-type': 'application/json', expect: '100-continue' } })
  const answered = once(begun, 'response')
  begun.flushHeaders()
  await once(begun, 'continue')
  child.kill('SIGTERM')
  // It hears no more.
  while (await fetch(url).then(() => true, () => false));
  begun.end('{"player": "Munich"}')
  const [response] = await answered
  assert.deepEqual([response.statusCode, response.headers.connection], [200, 'close'])
  response.resume()
  assert.deepEqual(await once(child, 'exit'), [0, null])
  assert.equal(child.errors, '')
})

/** What examples/README.md shows: commands, and what they answer. */
function readme() {
  const blocks = [...read('../examples/README.md').toString().matchAll(/^```(sh|json)\n(.*?)^```/gms)]
  return blocks.flatMap(([, kind, text], index) => (kind === 'json' ? [[blocks[index - 1][2], JSON.parse(text)]] : []))
}

test('the README shows what is answered', async (context) => {
  const { ask, post } = await matchmaker(context)
  const shown = readme()
  assert.equal(shown.length, 3)
  const [[ranking, ranked], [mistake, refused], [scoring, scored]] = shown
  assert.deepEqual((await post(JSON.parse(/-d '(.*)'/.exec(ranking)[1]))).body, ranked)
  assert.deepEqual((await ask(/\/match(.*)'/.exec(mistake)[1])).body, refused)
  const child = start(/node (\S+)/.exec(scoring)[1])
  child.stdin.end(/echo '(.*)'/.exec(scoring)[1])
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  assert.deepEqual(JSON.parse(line), scored)
})

test('score.mjs adds predictions to the rows of a log', async () => {
  const child = start('examples/score.mjs')
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
  const rows = [
    { player: 'ann', from: 'Lisbon', to: 'aws:eu-west-2', access: 'wifi' },
    { player: 'bob', from: 'Nowhereville', to: 'LHR' },
  ]
  child.stdin.end(`${rows.map((row) => JSON.stringify(row)).join('\r\n\n')}\nnull\n{`)
  assert.deepEqual(await once(child, 'close'), [0, null])
  assert.equal(child.errors, '')
  const [ann, bob, ...others] = stdout.trimEnd().split('\n').map((line) => JSON.parse(line))
  const { p50_ms, p90_ms } = predictor.predictSync({ src: 'Lisbon', dst: 'aws:eu-west-2', src_access: 'wifi' })
  assert.deepEqual(ann, { ...rows[0], p50_ms, p90_ms })
  assert.deepEqual([bob.player, bob.error.code, bob.error.field], ['bob', 'UNKNOWN_PLACE', 'src'])
  assert.deepEqual(others.map(({ error }) => error.code), ['MISSING_FIELD', 'INVALID_JSON'])
})
