// Compiled, never run: test/package.test.mjs.

import { ERROR_CODES, Predictor } from 'latency-predictor'
import type { End, ErrorCode, LatencyError, LoadOptions, ModelInfo, Prediction, Row, Schema, Warning } from 'latency-predictor'

const options: LoadOptions = { library: '/opt/libonnxruntime.so', sessions: 2, threads: 1 }
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

const codes: readonly ErrorCode[] = ERROR_CODES
function explain(error: LatencyError): string {
  return `${error.code} ${error.field ?? ''} ${error.row ?? ''} ${error.cause?.message ?? ''}`
}

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

export { code, codes, explain, floor, maybe, numbers, version }
