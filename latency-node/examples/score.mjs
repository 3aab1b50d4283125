// Adds what is predicted to the rows of a log: NDJSON on standard input, the same rows with `p50_ms` and `p90_ms` on standard
// output, in a program of your own. Rows are answered as they come, and read no faster than somebody takes the answers.
//
//   echo '{"player": "ann", "from": "Lisbon", "to": "aws:eu-west-2"}' | node examples/score.mjs
//
// For rows that are predicted as they are, the command `latency-predictor` does the same, in batches.

import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'

import { Predictor } from 'latency-predictor'

const predictor = Predictor.bundled({ sessions: 1 })

/** The row with what was added to it, or with what is wrong with it. */
function score(line) {
  let row
  try {
    row = JSON.parse(line) ?? {}
    // The log has columns of its own, which the model does not know.
    const { p50_ms, p90_ms } = predictor.predictSync({ src: row.from, dst: row.to, src_access: row.access })
    return { ...row, p50_ms, p90_ms }
  } catch ({ code = 'INVALID_JSON', field, message }) {
    return { ...row, error: { code, field, message } }
  }
}

async function* scored(input) {
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    if (line.trim()) yield `${JSON.stringify(score(line))}\n`
  }
}

await pipeline(process.stdin, scored, process.stdout).catch((error) => {
  // `| head` has read enough.
  if (error.code !== 'EPIPE') throw error
})
