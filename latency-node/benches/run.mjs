// The Node.js package beside onnxruntime-node with the same model file: prints ratios, of one run on one machine. It fails on
// wrong numbers, never on a figure. Usage: see HELP.

import { parseArgs } from 'node:util'

import { Predictor } from 'latency-predictor'

import batch from './batch.mjs'
import { load, machine } from './measure.mjs'
import { installPeer, loadPeer, openPeer, PEER } from './peer.mjs'
import single from './single.mjs'
import size from './size.mjs'
import { verify } from './verify.mjs'

const HELP = `Usage: node benches/run.mjs [PART ...]

Needs the addon, built for release, and LATENCY_ORT_DYLIB_PATH; size needs what \`npm run pack\` makes: \`make bench-node\` gives
it all of that. The peer, ${PEER}, is installed into target/bench-node. Parts, by default all:

  single  the time of one call, and the delay of the event loop under 1,000 predictions per second
  batch   100,000 rows: how long the event loop is blocked, and rows per second
  size    what is downloaded and installed
`
const PARTS = { single, batch, size }

async function main() {
  const { values, positionals } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } }, allowPositionals: true })
  if (values.help) return console.log(HELP)
  const parts = positionals.length ? positionals : Object.keys(PARTS)
  const unknown = parts.find((name) => !(name in PARTS))
  if (unknown) throw new Error(`found the part ${unknown}; allowed: ${Object.keys(PARTS).join(', ')}`)

  installPeer()
  const runtime = loadPeer()
  const predictor = Predictor.bundled()
  const peer = await openPeer(runtime, predictor.schema())
  console.log(`latency-predictor beside ${PEER}: ${machine()}; load ${load()}`)
  const largest = await verify(predictor, peer)
  console.log(`1,000 golden rows: latency-predictor to the bit; the peer's p50, low and high within ${largest.toExponential(1)}`)
  for (const name of parts) await PARTS[name]({ predictor, peer })
  console.log(`\nload at the end: ${load()}`)
}

try {
  await main()
} catch (error) {
  console.error(error.stack)
  process.exit(1)
}
