// What a prediction is for: the best of several, a deadline, a verdict; and places by name.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ATTRIBUTION, cloudRegions, findPlace, Predictor, suggestPlaces } from 'latency-predictor'

import { failure, ownModel, read } from './help.mjs'

const questions = JSON.parse(read('../../data/golden/questions.json'))
const predictor = Predictor.bundled({ sessions: 1 })
const own = Predictor.load(ownModel, { sessions: 1 })

const REGIONS = ['aws:us-east-1', 'aws:eu-west-2', 'aws:eu-central-1']
const PATH = { src: 'London', dst: 'Tokyo' }

/** What an answer says of its path alone. */
function predicted({ candidate, index, p_best, p_within_budget, timeout_ms, verdict, quantile, message, ...prediction }) {
  return prediction
}

test('every golden question has its golden answer, to the bit', () => {
  assert.equal(predictor.modelInfo().sha256, questions.model.sha256)
  const ask = {
    rank: ({ src, candidates, budget_ms }) => predictor.rank(src, candidates, { budget_ms }).map(({ candidate, ...rest }) => rest),
    timeout: ({ src, dst, quantile }) => predictor.timeout({ src, dst }, quantile),
    judge: ({ src, dst, measured_ms }) => predictor.judge({ src, dst }, measured_ms),
  }
  for (const [name, answer] of Object.entries(ask)) {
    assert.ok(questions[name].length >= 20, name)
    for (const question of questions[name]) assert.deepEqual(answer(question), question.answer)
  }
})

test('candidates are ranked by their median', () => {
  const ranked = predictor.rank('Lisbon', REGIONS, { budget_ms: 60 })
  assert.deepEqual(ranked.map(({ index, candidate }) => [index, candidate]), [1, 2, 0].map((index) => [index, REGIONS[index]]))
  assert.deepEqual(ranked.map(({ p50_ms }) => p50_ms), ranked.map(({ p50_ms }) => p50_ms).sort((a, b) => a - b))
  assert.ok(Math.abs(ranked.reduce((sum, { p_best }) => sum + p_best, 0) - 1) < 1e-9)
  assert.ok(ranked[0].p_within_budget > 0.5 && ranked[2].p_within_budget < 0.5)
  for (const one of ranked) assert.deepEqual(predicted(one), predictor.predictSync({ src: 'Lisbon', dst: one.candidate }))
  for (const options of [undefined, null, {}, { budget_ms: undefined }, { budget_ms: null }]) {
    assert.ok(!('p_within_budget' in predictor.rank('Lisbon', REGIONS, options)[0]))
  }
  assert.deepEqual(predictor.rank('Lisbon', []), [])
  assert.deepEqual(predictor.rank('Lisbon', new Proxy(REGIONS, {}), { budget_ms: 60 }), ranked)
})

test('candidates take every form, come back as they were given, and fields hold for all', () => {
  const candidates = ['Paris', findPlace('Paris'), { place: 'Paris' }, { lat: 48.85, lon: 2.35 }, { ...findPlace('Paris'), tier: null }]
  const ranked = predictor.rank({ place: 'Oslo', access: 'wifi' }, candidates, { fields: { dst_access: 'server' } })
  const alone = predictor.predictSync({ src: { place: 'Oslo', access: 'wifi' }, dst: 'Paris', dst_access: 'server' })
  for (const { candidate, index, p50_ms } of ranked) {
    assert.equal(candidate, candidates[index])
    if (index !== 3) assert.equal(p50_ms, alone.p50_ms)
  }
  assert.deepEqual(ranked.map(({ index }) => index).sort(), [0, 1, 2, 3, 4])
})

test('what is wrong with a ranking is named as it was given', () => {
  for (const [given, code, field] of [
    [['Lisbon', ['LHR', 'Atlantis under the Sea']], 'UNKNOWN_PLACE', 'candidates[1]'],
    [['Lisbon', [{ lat: 91, lon: 0 }]], 'INVALID_FIELD', 'candidates[0].lat'],
    [['Lisbon', ['LHR', 7]], 'INVALID_FIELD', 'candidates[1]'],
    [['Lisbon', ['LHR', undefined]], 'INVALID_FIELD', 'candidates[1]'],
    [['Atlantis under the Sea', ['LHR']], 'UNKNOWN_PLACE', 'src'],
    [[undefined, ['LHR']], 'INVALID_FIELD', 'src'],
    [['Lisbon'], 'INVALID_FIELD', 'candidates'],
    [['Lisbon', 'LHR'], 'INVALID_FIELD', 'candidates'],
    [['Lisbon', REGIONS, { budget_ms: '60' }], 'INVALID_FIELD', 'budget_ms'],
    [['Lisbon', REGIONS, { budget_ms: -1 }], 'INVALID_FIELD', 'budget_ms'],
    [['Lisbon', REGIONS, { budget_ms: NaN }], 'INVALID_FIELD', 'budget_ms'],
    [['Lisbon', REGIONS, { budget: 60 }], 'UNKNOWN_FIELD', 'budget'],
    [['Lisbon', REGIONS, { fields: [1] }], 'INVALID_FIELD', 'fields'],
    [['Lisbon', REGIONS, { fields: { dst_acess: 'wifi' } }], 'UNKNOWN_FIELD', 'dst_acess'],
    [['Lisbon', REGIONS, 60], 'INVALID_FIELD', 'options'],
  ]) {
    const error = failure(() => predictor.rank(...given))
    assert.deepEqual([error.code, error.field], [code, field], error.message)
    assert.ok(!('row' in error), error.message)
    assert.ok(error.message.startsWith(`${field}: `), error.message)
  }
  assert.equal(failure(() => own.rank('Lisbon', REGIONS)).code, 'UNSUPPORTED')
})

test('a timeout is a quantile of one measurement', () => {
  const alone = predictor.predictSync(PATH)
  const timeout = predictor.timeout(PATH)
  assert.deepEqual([timeout.timeout_ms, timeout.quantile], [alone.p99_ms, 0.99])
  assert.deepEqual(predicted(timeout), alone)
  assert.equal(predictor.timeout(PATH, 0.9).timeout_ms, alone.p90_ms)
  const between = predictor.timeout(PATH, 0.95)
  assert.ok(alone.p90_ms < between.timeout_ms && between.timeout_ms < alone.p99_ms)
  for (const quantile of [undefined, null]) assert.deepEqual(predictor.timeout(PATH, quantile), timeout)
  for (const quantile of [0.4, 1, NaN, Infinity, '0.9', true, {}]) {
    const error = failure(() => predictor.timeout(PATH, quantile))
    assert.deepEqual([error.code, error.field], ['INVALID_FIELD', 'quantile'], String(quantile))
  }
})

test('a measurement is judged', () => {
  for (const [measured_ms, verdict, words] of [
    [30, 'impossible', /less than light in vacuum needs/],
    [80, 'suspicious', /less than light in fibre needs/],
    [240, 'plausible', /what such paths show/],
    [2000, 'slow', /more than 99 %/],
  ]) {
    const judgement = predictor.judge(PATH, measured_ms)
    assert.equal(judgement.verdict, verdict)
    assert.match(judgement.message, words)
    assert.deepEqual(predicted(judgement), predictor.predictSync(PATH))
  }
  for (const measured_ms of [undefined, null, -1, NaN, Infinity, '240']) {
    const error = failure(() => predictor.judge(PATH, measured_ms))
    assert.deepEqual([error.code, error.field], ['INVALID_FIELD', 'measured_ms'], String(measured_ms))
  }
})

test('how far off an end may be decides what is impossible', () => {
  const dst = { lat: 52.52, lon: 13.4 }
  const verdict = (uncertainty_km) => predictor.judge({ src: { lat: 51.51, lon: -0.13, uncertainty_km }, dst }, 4).verdict
  assert.equal(verdict(10), 'impossible')
  assert.notEqual(verdict(900), 'impossible')
  assert.equal(failure(() => verdict(-1)).field, 'src.uncertainty_km')
})

test('places are found by every kind of name', () => {
  for (const [name, label, kind] of [
    ['London', 'London, GB', 'city'],
    ['Portland, OR', 'Portland, OR, US', 'city'],
    ['LHR', 'LHR', 'airport'],
    ['aws:eu-west-2', 'aws:eu-west-2', 'cloud_region'],
    ['51.51,-0.13', '51.51,-0.13', 'coordinates'],
  ]) {
    const place = findPlace(name)
    assert.match(place.label, new RegExp(`^${label.split(',')[0]}`))
    assert.equal(place.kind.type, kind)
    assert.deepEqual(findPlace(place.label), place)
    assert.deepEqual(JSON.parse(JSON.stringify(place)), place)
    assert.equal(predictor.predictSync({ src: place, dst: 'Tokyo' }).p50_ms, predictor.predictSync({ src: name, dst: 'Tokyo' }).p50_ms)
  }
  assert.equal(findPlace('LHR').kind.iata, 'LHR')
  assert.deepEqual(findPlace('aws:eu-west-2').kind, { type: 'cloud_region', provider: 'aws', region: 'eu-west-2' })
})

test('a place with more about that end is an end', () => {
  const flat = predictor.predictSync({ src: 'Lisbon', src_access: 'wifi', dst: 'Tokyo' })
  assert.deepEqual(predictor.predictSync({ src: { ...findPlace('Lisbon'), access: 'wifi' }, dst: 'Tokyo' }), flat)
  const tampered = failure(() => predictor.predictSync({ src: { ...findPlace('Lisbon'), lat: 91 }, dst: 'Tokyo' }))
  assert.equal(tampered.code, 'INVALID_FIELD')
  assert.match(tampered.field, /^src/)
})

test('a name that stands for nothing, or for several, says what there is', () => {
  assert.equal(failure(() => findPlace('Atlantis under the Sea')).code, 'UNKNOWN_PLACE')
  const springfield = failure(() => findPlace('Springfield'))
  assert.equal(springfield.code, 'AMBIGUOUS_PLACE')
  assert.match(springfield.message, /Springfield, \w\w/)
  assert.deepEqual([failure(() => findPlace('91,0')).code, failure(() => findPlace('91,0')).field], ['INVALID_FIELD', 'lat'])
  for (const name of [undefined, null, 1, {}, ['London']]) {
    const error = failure(() => findPlace(name))
    assert.deepEqual([error.code, error.field], ['INVALID_FIELD', 'name'])
  }
})

test('places are suggested while their name is typed', () => {
  const lon = suggestPlaces('lon')
  assert.equal(lon.length, 10)
  assert.equal(lon[0].name, 'London')
  assert.deepEqual(findPlace(lon[0].label), lon[0])
  assert.equal(suggestPlaces('lon', 3).length, 3)
  assert.deepEqual(suggestPlaces('no such place at all'), [])
  assert.equal(suggestPlaces('a', 1000).length, 1000)
  for (const limit of [0, -1, 1.5, 1001, '3', NaN]) assert.equal(failure(() => suggestPlaces('lon', limit)).field, 'limit')
  assert.equal(failure(() => suggestPlaces(7)).field, 'prefix')
})

test('cloud regions are candidates', () => {
  const all = cloudRegions()
  const aws = cloudRegions('aws')
  assert.ok(aws.length > 20 && aws.length < all.length)
  assert.deepEqual(aws, all.filter(({ kind }) => kind.provider === 'aws'))
  const [best] = predictor.rank('Frankfurt', aws)
  assert.equal(best.candidate.label, 'aws:eu-central-1')
  for (const provider of ['oracle', 7, {}]) {
    const error = failure(() => cloudRegions(provider))
    assert.deepEqual([error.code, error.field], ['INVALID_FIELD', 'provider'])
  }
})

test('whose data places are can be shown', () => assert.match(ATTRIBUTION, /GeoNames/))
