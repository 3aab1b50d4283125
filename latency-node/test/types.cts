// Compiled, never run: the same package through require.

import latency = require('latency-predictor')

const p50: number = latency.Predictor.bundled().predictSync({ src: 'London', dst: 'Tokyo' }).p50_ms

export = p50
