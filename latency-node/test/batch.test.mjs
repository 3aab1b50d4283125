// Batches: rows or columns, on the calling thread and off it, with rows at fault, stopped half-way.

import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'

import { ERROR_CODES, Predictor } from 'latency-predictor'

import { bits, countingTurns, NUMBERS, ownModel, read, rejection, run } from './help.mjs'

const golden = JSON.parse(read('../../data/golden/paths.json'))
const predictor = Predictor.bundled()
const own = Predictor.load(ownModel, { sessions: 1 })
/** As many links as there are hops: without one, this model gives no finite number. */
const withLinks = (hops) => ({ hops, link: Array.from(hops, () => 'copper') })

const ROWS = [
  { src: 'London', dst: { lat: 35.68, lon: 139.69, access: 'wifi' } },
  { src: 'aws:eu-west-2', dst: 'LHR' },
  { src_lat: -33.87, src_lon: 151.21, dst_lat: 1.35, dst_lon: 103.82, src_access: 'starlink' },
]
/** Its second row has no such latitude, its third no such place, its fifth no destination. */
const FAULTY = [ROWS[0], { ...ROWS[2], src_lat: 91 }, { src: 'Atlantis under the Sea', dst: 'London' }, ROWS[1], { src: 'London' }]
const FAULTS = [
  [1, 'INVALID_FIELD', 'src_lat'],
  [2, 'UNKNOWN_PLACE', 'src'],
  [4, 'MISSING_FIELD', 'dst.lat'],
]

/** The two forms of a call that predicts a batch; `batch(predictor, rows, options)` is a promise with both. */
const FORMS = {
  predictBatchSync: async (from, ...given) => from.predictBatchSync(...given),
  predictBatch: (from, ...given) => from.predictBatch(...given),
}

/** The golden rows as columns, of which `make` makes those of numbers. */
function columns(make) {
  const names = [...new Set(golden.rows.flatMap(Object.keys))]
  return Object.fromEntries(
    names.map((name) => {
      const cells = golden.rows.map((row) => row[name])
      return [name, typeof golden.rows[0][name] === 'number' ? make(cells) : cells.map((cell) => cell ?? null)]
    })
  )
}

function assertGolden(found) {
  assert.equal(found.length, golden.rows.length)
  for (const name of NUMBERS) {
    assert.ok(found[name] instanceof Float32Array, name)
    assert.deepEqual(bits(found[name]), bits(golden.predictions.map((prediction) => prediction[name])), name)
  }
}

for (const [form, batch] of Object.entries(FORMS)) {
  test(`${form}: the golden rows give the golden bits, as rows and as columns`, async () => {
    assertGolden(await batch(predictor, golden.rows))
    assertGolden(await batch(predictor, columns((cells) => Float64Array.from(cells))))
    assertGolden(await batch(predictor, columns((cells) => cells)))
    const shared = (cells) => {
      const array = new Float64Array(new SharedArrayBuffer(cells.length * 8))
      array.set(cells)
      return array
    }
    assertGolden(await batch(predictor, columns(shared)))
    const inside = (cells) => Float64Array.from([7, ...cells, 7]).subarray(1, -1)
    assertGolden(await batch(predictor, columns(inside)))
  })

  test(`${form}: row i equals the same row alone`, async () => {
    const found = await batch(predictor, ROWS, { notes: true })
    for (const [index, row] of ROWS.entries()) {
      const alone = predictor.predictSync(row)
      for (const name of NUMBERS) assert.equal(found[name][index], Math.fround(alone[name]), name)
      const missing = Object.keys(found.missing).filter((field) => found.missing[field][index])
      assert.deepEqual(missing, alone.missing)
    }
  })

  test(`${form}: places by name stand in columns too`, async () => {
    const found = await batch(predictor, { src: ['London', 'LHR'], dst: ['Tokyo', 'aws:eu-west-2'], dst_access: ['wifi', null] })
    assert.equal(found.p50_ms[0], Math.fround(predictor.predictSync({ src: 'London', dst: 'Tokyo', dst_access: 'wifi' }).p50_ms))
    assert.equal(found.p50_ms[1], Math.fround(predictor.predictSync({ src: 'LHR', dst: 'aws:eu-west-2' }).p50_ms))
  })

  test(`${form}: nothing in, nothing out`, async () => {
    for (const nothing of [[], {}, { src: [], dst: [] }, { src_lat: new Float64Array(0), src_lon: [] }]) {
      const found = await batch(predictor, nothing, { notes: true })
      assert.equal(found.length, 0)
      for (const name of NUMBERS) assert.equal(found[name].length, 0, name)
      assert.deepEqual([found.errors, found.warnings, found.ignored_columns], [[], [], []])
    }
  })

  test(`${form}: every kind of typed array is read`, async () => {
    const expected = [...own.predictBatchSync(withLinks([3, 4, 60])).p50_ms]
    const kinds = [Float64Array, Float32Array, Int32Array, Uint32Array, Int16Array, Uint16Array, Uint8Array, Uint8ClampedArray]
    for (const kind of kinds) {
      const found = await batch(own, withLinks(kind.from([3, 4, 60])))
      assert.deepEqual([...found.p50_ms], expected, kind.name)
    }
    assert.deepEqual([...(await batch(own, withLinks(Int8Array.from([3, 4])))).p50_ms], expected.slice(0, 2))
    assert.deepEqual([...(await batch(own, withLinks(Buffer.from([3, 4])))).p50_ms], expected.slice(0, 2))
  })

  test(`${form}: models without coordinates have no floor and no distance`, async () => {
    const found = await batch(own, [{ hops: 3, link: 'fibre' }])
    assert.deepEqual(Object.keys(found), ['length', 'p50_ms', 'low_ms', 'high_ms', 'p90_ms', 'p99_ms', 'ignored_columns'])
    assert.equal(found.p50_ms[0], 10)
  })

  test(`${form}: missing values are null, undefined, NaN, and holes of arrays`, async () => {
    const known = { src: ['London', 'London', 'London'], dst: ['Tokyo', 'Tokyo', 'Tokyo'] }
    const alone = predictor.predictSync({ src: 'London', dst: 'Tokyo' })
    const found = await batch(predictor, { ...known, src_access: [null, undefined, ,] }, { notes: true })
    for (const p50_ms of found.p50_ms) assert.equal(p50_ms, Math.fround(alone.p50_ms))
    assert.deepEqual([...found.missing.src_access], [1, 1, 1])
    assert.deepEqual([found.errors, found.warnings], [[], []])
    for (const hops of [[null], [undefined], [NaN], Float64Array.of(NaN), new Array(1)]) {
      const error = await rejection(batch(own, withLinks(hops)))
      assert.deepEqual([error.code, error.field, error.row], ['INVALID_FIELD', 'hops', 0])
    }
  })

  test(`${form}: the first row at fault fails the batch, and is named`, async () => {
    for (const [from, row, code, field] of [
      [0, 1, 'INVALID_FIELD', 'src_lat'],
      [2, 0, 'UNKNOWN_PLACE', 'src'],
      [3, 1, 'MISSING_FIELD', 'dst.lat'],
    ]) {
      const error = await rejection(batch(predictor, FAULTY.slice(from)))
      assert.deepEqual([error.code, error.field, error.row], [code, field, row])
      assert.match(error.message, new RegExp(`^row ${row}: ${field}: `))
      assert.match(error.stack, /batch\.test\.mjs/)
    }
    const error = await rejection(batch(predictor, { src_lat: [0, 91], src_lon: [0, 0], dst_lat: [0, 0], dst_lon: [0, 0] }))
    assert.deepEqual([error.code, error.field, error.row], ['INVALID_FIELD', 'src_lat', 1])
  })

  test(`${form}: with notes, rows at fault have NaN and an error, the others their prediction`, async () => {
    const found = await batch(predictor, FAULTY, { notes: true })
    assert.deepEqual(found.errors.map(({ row, code, field }) => [row, code, field]), FAULTS)
    for (const error of found.errors) {
      assert.ok(error instanceof Error && ERROR_CODES.includes(error.code))
      assert.match(error.message, new RegExp(`^row ${error.row}: `))
    }
    const at = FAULTS.map(([row]) => row)
    for (const name of NUMBERS) {
      for (const row of FAULTY.keys()) assert.equal(Number.isNaN(found[name][row]), at.includes(row), `${name} ${row}`)
    }
    assert.equal(found.p50_ms[3], Math.fround(predictor.predictSync(FAULTY[3]).p50_ms))
  })

  test(`${form}: with notes, cells at fault fail their rows alone`, async () => {
    const cells = { hops: [3, '4', true, 5, Infinity, -1], link: ['fibre', 'fibre', 'fibre', 7, 'copper', 'wet string'] }
    const found = await batch(own, cells, { notes: true })
    assert.deepEqual(found.errors.map(({ row, field }) => [row, field]), [
      [1, 'hops'],
      [2, 'hops'],
      [3, 'link'],
      [4, 'hops'],
      [5, 'hops'],
    ])
    assert.deepEqual([...found.p50_ms], [10, NaN, NaN, NaN, NaN, NaN])
    assert.match(found.errors[0].message, /found the text "4"; allowed: a number or null/)
    assert.match(found.errors[2].message, /found the number 7; allowed: a string or null/)
  })

  test(`${form}: warnings are of the rows that they are about`, async () => {
    const { warnings } = await batch(own, [3, 40, 0].map((hops) => ({ hops, link: 'fibre' })), { notes: true })
    assert.deepEqual(warnings.map(({ row, code, field }) => [row, code, field]), [
      [1, 'OUT_OF_RANGE', 'hops'],
      [2, 'OUT_OF_RANGE', 'hops'],
    ])
    assert.match(warnings[0].message, /found 40; training saw 1 to 30/)
  })

  test(`${form}: many warnings and errors come out whole`, async () => {
    const hops = Array.from({ length: 5_000 }, (_, index) => (index % 2 ? 40 : 'none'))
    const { errors, warnings } = await batch(own, withLinks(hops), { notes: true })
    assert.deepEqual(errors.map(({ row }) => row), [...hops.keys()].filter((row) => row % 2 === 0))
    assert.deepEqual(warnings.map(({ row }) => row), [...hops.keys()].filter((row) => row % 2 === 1))
  })

  test(`${form}: what is no batch is refused`, async () => {
    const noRecords = [new Set([{}]), new Map(), new Set().values(), Promise.resolve([]), new DataView(new ArrayBuffer(8))]
    for (const rows of [undefined, null, 1, 'London', true, () => [], new Float64Array(4), Symbol('rows'), ...noRecords]) {
      const error = await rejection(batch(predictor, rows))
      assert.equal(error.code, 'INVALID_BATCH')
      assert.match(error.message, /allowed: an array of rows, or an object of columns/)
    }
    for (const [columns, code, field] of [
      [{ hops: 3 }, 'INVALID_FIELD', 'hops'],
      [{ hops: 'three' }, 'INVALID_FIELD', 'hops'],
      [{ hops: null }, 'INVALID_FIELD', 'hops'],
      [{ hops: { length: 1, 0: 3 } }, 'INVALID_FIELD', 'hops'],
      [{ hops: new BigInt64Array(1) }, 'INVALID_FIELD', 'hops'],
      [{ hops: new DataView(new ArrayBuffer(8)) }, 'INVALID_FIELD', 'hops'],
      [{ hops: [3], link: new Float64Array(1) }, 'INVALID_FIELD', 'link'],
      [{ link: ['fibre'] }, 'MISSING_FIELD', 'hops'],
    ]) {
      const error = await rejection(batch(own, columns))
      assert.deepEqual([error.code, error.field], [code, field], error.message)
    }
    const lengths = await rejection(batch(own, { hops: [1, 2], link: ['fibre'] }))
    assert.deepEqual([lengths.code, lengths.field], ['INVALID_BATCH', 'link'])
    // What an array claims is no memory.
    const claimed = Object.assign([], { length: 2 ** 32 - 1 })
    for (const columns of [{ hops: claimed, link: ['fibre'] }, { hops: claimed, link: claimed }, { hops: [3], other: claimed }, claimed]) {
      assert.equal((await rejection(batch(own, columns, { notes: true }))).code, 'INVALID_BATCH')
    }
    for (const row of [null, 'London', [1], 7]) assert.deepEqual((await rejection(batch(own, [{ hops: 1 }, row]))).row, 1)
  })

  test(`${form}: bad options are refused`, async () => {
    for (const [options, code, field] of [
      [1, 'INVALID_FIELD', 'options'],
      [[], 'INVALID_FIELD', 'options'],
      [{ notes: 'yes' }, 'INVALID_FIELD', 'notes'],
      [{ note: true }, 'UNKNOWN_FIELD', 'note'],
      ...(form === 'predictBatch'
        ? [
            [{ signal: 'stop' }, 'INVALID_FIELD', 'signal'],
            [{ signal: { throwIfAborted() {} } }, 'INVALID_FIELD', 'signal'],
          ]
        : [[{ signal: AbortSignal.abort() }, 'UNKNOWN_FIELD', 'signal']]),
    ]) {
      const error = await rejection(batch(own, [], options))
      assert.deepEqual([error.code, error.field], [code, field])
    }
    for (const options of [undefined, null, {}, { notes: undefined }, { notes: null }]) assert.equal((await batch(own, [], options)).length, 0)
  })

  test(`${form}: what a getter or a proxy throws arrives as it is`, async () => {
    const mine = new RangeError('mine')
    const fail = () => {
      throw mine
    }
    const hostile = [
      [{ get hops() { return fail() } }],
      { get hops() { return fail() } },
      { hops: new Proxy([1, 2], { get: fail }) },
      new Proxy([{}], { get: (rows, name) => (name === 'length' ? 1 : fail()) }),
    ]
    for (const rows of hostile) assert.equal(await rejection(batch(own, rows, { notes: true })), mine)
  })

  test(`${form}: a proxy of an array is read as one`, async () => {
    const { p50_ms } = await batch(own, [{ hops: 3, link: 'fibre' }])
    const proxies = [
      new Proxy([new Proxy({ hops: 3, link: 'fibre' }, {})], {}),
      new Proxy({ hops: new Proxy([3], {}), link: new Proxy(['fibre'], {}) }, {}),
    ]
    for (const rows of proxies) assert.deepEqual((await batch(own, rows)).p50_ms, p50_ms)
  })

  test(`${form}: a method needs its predictor`, async () => {
    for (const self of [undefined, {}, Object.create(Predictor.prototype)]) {
      assert.ok((await rejection((async () => Predictor.prototype[form].call(self, []))())) instanceof Error)
    }
  })
}

test('columns that the model does not know are listed, with a warning for each set of them', async () => {
  const code = `
    import { Predictor } from 'latency-predictor'
    const predictor = Predictor.bundled({ sessions: 1 })
    const columns = { src: ['London'], dst: ['Tokyo'], player: ['anna'], age: new Float32Array(1), tags: [{}] }
    for (let turn = 0; turn < 2; turn += 1) console.log(predictor.predictBatchSync(columns).ignored_columns.join())
    console.log((await predictor.predictBatch(columns)).ignored_columns.join())
  `
  const { stdout, stderr } = await run(code)
  assert.equal(stdout, 'age,player,tags\n'.repeat(3))
  assert.equal(stderr.match(/LATENCY_IGNORED_COLUMNS/g)?.length, 1, stderr)
  assert.match(stderr, /columns that the model does not use: age, player, tags/)
})

test('columns are read, never written', () => {
  const frozen = Object.freeze({ hops: Object.freeze([1, 2, 3]), link: Object.freeze(['fibre', 'fibre', 'fibre']) })
  const hops = Float64Array.of(1, 2, 3)
  own.predictBatchSync(withLinks(hops))
  own.predictBatchSync(frozen)
  assert.deepEqual([...hops], [1, 2, 3])
})

test('predictBatch copies typed arrays before it returns, whatever stands before them: they may change meanwhile', async () => {
  const hops = new Float64Array(200_000).fill(3)
  const { link } = withLinks(hops)
  const expected = own.predictBatchSync({ link, hops })
  const promise = own.predictBatch({ link, hops })
  hops.fill(9)
  assert.deepEqual((await promise).p50_ms, expected.p50_ms)
})

test('batches that are read at the same time share the turns of the event loop', async () => {
  const seen = new Map()
  await countingTurns((counter) => {
    const rows = (batch) =>
      Array.from({ length: 3_000 }, () => ({
        link: 'fibre',
        get hops() {
          seen.set(counter.turns, (seen.get(counter.turns) ?? new Set()).add(batch))
          return 3
        },
      }))
    return Promise.all(Array.from({ length: 20 }, (_, batch) => own.predictBatch(rows(batch))))
  })
  // In a turn the last piece of one and the first of the next may fall together.
  for (const [turn, batches] of seen) assert.ok(batches.size <= 2, `turn ${turn} read ${batches.size} batches`)
})

test('one signal serves many batches without a warning, and stops them all', async () => {
  const code = `
    import { Predictor } from 'latency-predictor'
    const predictor = Predictor.bundled()
    const controller = new AbortController()
    const { signal } = controller
    const columns = { src: Array(50000).fill('London'), dst: Array(50000).fill('Tokyo') }
    console.log((await predictor.predictBatch([{ src: 'London', dst: 'Tokyo' }], { signal })).length)
    const all = Array.from({ length: 20 }, () => predictor.predictBatch(columns, { signal }))
    setImmediate(() => controller.abort('enough'))
    console.log((await Promise.allSettled(all)).map(({ reason }) => reason).join())
  `
  const { stdout, stderr } = await run(code)
  assert.equal(stderr, '')
  assert.equal(stdout, `1\n${Array(20).fill('enough').join()}\n`)
})

const MANY = 20_000

/** Longer than one turn takes: rows of which each makes the reader wait. */
function rowsThat(tell) {
  return Array.from({ length: MANY }, (_, index) => ({
    link: 'fibre',
    get hops() {
      tell(index)
      return 3
    },
  }))
}

test('predictBatch lets the event loop go on while it reads rows', async () => {
  const turns = await countingTurns(() => own.predictBatch(rowsThat(() => {})))
  assert.ok(turns > 3, `${turns} turns`)
})

test('a batch that is aborted before it begins does nothing', async () => {
  let reads = 0
  const reason = new Error('enough')
  const error = await rejection(own.predictBatch(rowsThat(() => (reads += 1)), { signal: AbortSignal.abort(reason) }))
  assert.equal(error, reason)
  assert.equal(reads, 0)
})

test('a batch that is aborted while its rows are read stops reading', async () => {
  const controller = new AbortController()
  let reads = 0
  const rows = rowsThat((index) => {
    reads += 1
    if (index === 10) controller.abort()
  })
  const error = await rejection(own.predictBatch(rows, { signal: controller.signal }))
  assert.equal(error.name, 'AbortError')
  assert.ok(reads < MANY, `${reads} reads`)
})

test('a batch that is aborted by the last row it reads is not predicted', async () => {
  const controller = new AbortController()
  const rows = [{ link: 'fibre', get hops() { controller.abort(); return 3 } }]
  assert.equal((await rejection(own.predictBatch(rows, { signal: controller.signal }))).name, 'AbortError')
})

test('a batch that is aborted while it is predicted rejects at once, and its thread stops', async () => {
  const rows = 300_000
  const column = (from, to) => Float64Array.from({ length: rows }, (_, index) => from + ((to - from) * index) / rows)
  const columns = { src_lat: column(-80, 80), src_lon: column(-170, 170), dst_lat: column(70, -70), dst_lon: column(-160, 160) }
  const one = Predictor.bundled({ sessions: 1 })
  const controller = new AbortController()
  const reason = { any: 'value' }
  const promise = rejection(one.predictBatch(columns, { signal: controller.signal }))
  await setImmediate()
  controller.abort(reason)
  assert.equal(await promise, reason)
  // It would wait for the only session until the whole batch is done.
  const after = await one.predictBatch([{ src: 'London', dst: 'Tokyo' }])
  assert.equal(after.length, 1)
})

test('a signal that is aborted later, or never, changes nothing, and is not listened to any more', async () => {
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = function add(...given) { listeners += 1; return addEventListener.apply(this, given) }
  signal.removeEventListener = function remove(...given) { listeners -= 1; return removeEventListener.apply(this, given) }
  const found = await own.predictBatch(withLinks([3]), { signal })
  await setImmediate()
  assert.equal(found.length, 1)
  assert.equal(listeners, 0)
  controller.abort()
  assert.equal(found.p50_ms.length, 1)
})
