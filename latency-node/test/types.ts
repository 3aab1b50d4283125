// Compiled, never run: test/package.test.mjs.

import { ATTRIBUTION, cloudRegions, ERROR_CODES, findPlace, Predictor, suggestPlaces } from 'latency-predictor'
import type {
  AsyncBatchOptions,
  BatchOptions,
  Columns,
  End,
  Engine,
  ErrorCode,
  Judgement,
  LatencyError,
  LoadOptions,
  ModelInfo,
  Place,
  Prediction,
  Predictions,
  PredictionsWithNotes,
  Ranked,
  RankOptions,
  Row,
  RowWarning,
  Schema,
  Timeout,
  Verdict,
  Warning,
  WarningCode,
} from 'latency-predictor'

const options: LoadOptions = { engine: 'native', library: '/opt/libonnxruntime.so', sessions: 2, threads: 1 }
const predictor: Predictor = Predictor.bundled(options)
Predictor.bundled()
Predictor.load('model.onnx')
Predictor.load(new Uint8Array(3), { sessions: undefined })
Predictor.load(Buffer.from(''))

const tokyo: End = { lat: 35.68, lon: 139.69, access: 'wifi' }
const row: Row = { src: 'London', dst: tokyo }
const prediction: Prediction = predictor.predictSync(row)
predictor.predictSync({ src: { place: 'LHR', tier: null }, dst: 'aws:eu-west-2' })
predictor.predictSync({ src_lat: 1, src_lon: 2, dst_lat: 3, dst_lon: 4, src_access: undefined })
predictor.predictSync({ hops: 3, link: 'fibre' })

const numbers: number[] = [prediction.p50_ms, prediction.low_ms, prediction.high_ms, prediction.p90_ms, prediction.p99_ms]
const maybe: (number | undefined)[] = [prediction.floor_ms, prediction.distance_km]
const warnings: Warning[] = prediction.warnings
const code: 'OUT_OF_RANGE' | undefined = warnings[0]?.code

const info: ModelInfo = predictor.modelInfo()
const version: string = info.version
const schema: Schema = predictor.schema()
for (const field of schema.fields) {
  if (field.type === 'number') field.min satisfies number | undefined
  else field.categories satisfies string[]
}

const loaded: Promise<Predictor> = Predictor.loadAsync()
Predictor.loadAsync('model.onnx', { sessions: 1 })
Predictor.loadAsync(null, options)
const later: Promise<Prediction> = predictor.predict(row)

const columns: Columns = { src_lat: new Float64Array(1), src_lon: [0, null], dst: ['Tokyo', undefined] }
const ownColumns = { hops: new Uint8Array(1), link: ['fibre', null] }
predictor.predictBatchSync(ownColumns)
const batchOptions: BatchOptions = { notes: undefined }
const asyncOptions: AsyncBatchOptions = { signal: AbortSignal.timeout(1000), notes: false }
const answers: Predictions = predictor.predictBatchSync([row, { src: 'London', dst: 'Tokyo' }] as const)
const answered: Promise<Predictions> = predictor.predictBatch(columns, asyncOptions)
predictor.predictBatchSync(columns, batchOptions)
const noted: PredictionsWithNotes = predictor.predictBatchSync(columns, { notes: true })
const notedLater: Promise<PredictionsWithNotes> = predictor.predictBatch([row], { notes: true, signal: new AbortController().signal })
const medians: Float32Array = answers.p50_ms
const distances: Float32Array | undefined = answers.distance_km
const faults: LatencyError[] = noted.errors
const rowWarning: RowWarning | undefined = noted.warnings[0]
const rowCode: WarningCode | undefined = rowWarning?.code
const missing: Uint8Array | undefined = noted.missing['src_access']

const rankOptions: RankOptions = { budget_ms: 80, fields: { dst_access: 'server' } }
const byName: Ranked<string>[] = predictor.rank('Lisbon', ['LHR', 'aws:eu-west-2'], rankOptions)
const servers = [{ place: 'LHR', access: 'server' }] satisfies End[]
const best: 'server' | undefined = predictor.rank(tokyo, servers)[0]?.candidate.access
const sure: number | undefined = predictor.rank('Lisbon', servers, { budget_ms: 80 })[0]?.p_within_budget.toFixed(2).length
const within: number | undefined = byName[0]?.p_within_budget
const timeout: Timeout = predictor.timeout(row, 0.99)
const judgement: Judgement = predictor.judge(row, 18)
const engine: Engine = predictor.modelInfo().engine
const verdict: Verdict = judgement.verdict

const place: Place = findPlace('Lisbon')
predictor.predictSync({ src: place, dst: { ...place, access: 'wifi', uncertainty_km: 5 } })
const places: Place[] = suggestPlaces('lis', 3)
const iata: string | undefined = place.kind.type === 'airport' ? place.kind.iata : undefined
const region: string | undefined = cloudRegions('aws')[0]?.kind.region
predictor.rank(place, cloudRegions())[0]?.candidate.kind.provider satisfies string | undefined
const attribution: string = ATTRIBUTION

const codes: readonly ErrorCode[] = ERROR_CODES
function explain(error: LatencyError): string {
  return `${error.code} ${error.field ?? ''} ${error.row ?? ''} ${error.cause?.message ?? ''}`
}

// Interfaces of one's own, which have no index signature, and words that TypeScript has widened to strings.
interface MyEnd {
  lat: number
  lon: number
}
interface MyRow {
  src: string
  dst: string
}
interface MyColumns {
  src_lat: Float64Array
  src_lon: Float64Array
  dst: string[]
}
interface MyOwn {
  hops: number
  link: string
}
declare const mine: { end: MyEnd; row: MyRow; rows: MyRow[]; columns: MyColumns; own: MyOwn }
predictor.predictSync(mine.row)
predictor.predictSync({ src: mine.end, dst: 'LHR' })
predictor.predictBatchSync(mine.rows)
predictor.predictBatchSync(mine.columns)
predictor.predictSync({ ...mine.own })
predictor.predictSync({ src: { lat: 1, lon: 2, isp: 'x' }, dst: 'LHR', hops: 3 })
const player = { lat: 48.14, lon: 11.58, access: 'wifi' }
predictor.predictSync({ src: player, dst: 'LHR' })
predictor.rank(player, ['LHR'])

// @ts-expect-error: text for a number
predictor.predictSync({ src_lat: '51.5' })
// @ts-expect-error: an array is no end
predictor.predictSync({ src: ['London'], dst: 'Paris' })
// @ts-expect-error: true is no value
predictor.predictSync({ hops: true })
// @ts-expect-error: a row is needed
predictor.predictSync()
// @ts-expect-error: no such option
Predictor.bundled({ sesions: 1 })
// @ts-expect-error: bytes are a Uint8Array
Predictor.load(new Float32Array(3))
// @ts-expect-error: floor_ms may be absent
const floor: number = prediction.floor_ms
// @ts-expect-error: a batch has no signal on the calling thread
predictor.predictBatchSync([], { signal: AbortSignal.abort() })
// @ts-expect-error: one row is no batch
predictor.predictBatch('London')
// @ts-expect-error: errors come with notes only
predictor.predictBatchSync([]).errors
// @ts-expect-error: a column of categories holds strings
predictor.predictBatchSync({ src_access: [1] })
// @ts-expect-error: a measurement is needed
predictor.judge(row)
// @ts-expect-error: no such provider
cloudRegions('oracle')
// @ts-expect-error: an airport alone has a code
place.kind.iata

export {
  answered, attribution, best, code, codes, distances, engine, explain, faults, floor, iata, later, loaded, maybe, medians, missing,
  notedLater, numbers, places, region, sure, rowCode, timeout, verdict, version, within,
}
