// Builds and packs what is published: the main package, and this machine's platform package. Usage: see HELP.

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { build, check } from './addon.mjs'
import { onnxruntime, withOwnSoname } from './onnxruntime.mjs'
import { addonFile, LICENSES, ownPlatform, packageName, PLATFORMS } from './platforms.mjs'
import { pack, publishedManifest, stageMain, stagePlatform } from './stage.mjs'
import { TARGET } from './tools.mjs'

const HELP = `Usage: npm run pack [-- --platform PLATFORM --addon FILE]

Builds the addon of this machine's platform for release, checks what it needs, fetches and checks ONNX Runtime's
library, and packs both packages into latency-node/dist.

  --platform PLATFORM  pack for another platform: ${Object.keys(PLATFORMS).join(', ')}
  --addon FILE         the addon, built elsewhere; it is not built here
`

const DIST = fileURLToPath(new URL('../dist', import.meta.url))
/** Bytes: a package that grows beyond them should be looked at before it is published. */
const BUDGETS = {
  main: { packed: 64 * 1024, unpacked: 256 * 1024 },
  platform: { packed: 16 * 1024 * 1024, unpacked: 44 * 1024 * 1024 },
}

const bytes = (number) => number.toLocaleString('en')

function report(name, result, budget) {
  console.log(`${name}: ${bytes(result.packed)} bytes packed, ${bytes(result.unpacked)} installed, ${result.files.join(' ')}`)
  for (const [what, most] of Object.entries(budget)) {
    if (result[what] > most) throw new Error(`${name} has ${bytes(result[what])} bytes ${what}; allowed: ${bytes(most)}`)
  }
}

/** The packages of other platforms stay: `--addon` adds to them. */
function forgetOtherVersions() {
  const { version } = publishedManifest()
  for (const file of existsSync(DIST) ? readdirSync(DIST) : []) {
    if (!file.endsWith(`-${version}.tgz`)) rmSync(join(DIST, file), { recursive: true })
  }
}

function natives(platform, addon) {
  const { folder, file } = onnxruntime(platform)
  const licenses = Object.entries(LICENSES).map(([name, source]) => [name, join(folder, source)])
  let library = file
  if (platform.startsWith('linux')) {
    library = join(TARGET, `${platform}.so`)
    withOwnSoname(file, library)
  }
  return { [addonFile(platform)]: addon, [PLATFORMS[platform].library.file]: library, ...Object.fromEntries(licenses) }
}

function main() {
  const options = { platform: { type: 'string' }, addon: { type: 'string' }, help: { type: 'boolean', short: 'h' } }
  const { values } = parseArgs({ options })
  if (values.help) return console.log(HELP)
  const platform = values.platform ?? ownPlatform()
  if (!(platform in PLATFORMS)) throw new Error(`found --platform ${platform}; allowed: ${Object.keys(PLATFORMS).join(', ')}`)
  if (!values.addon && platform !== ownPlatform()) {
    throw new Error(`this machine builds the addon of ${ownPlatform()} alone: name one that is built for ${platform} with --addon`)
  }
  const addon = values.addon ? resolve(values.addon) : build(platform)
  const needs = check(addon, platform)
  if (needs) console.log(`${addonFile(platform)}: glibc ${needs.glibc}, ${needs.libraries.join(' ')}`)

  forgetOtherVersions()
  const name = packageName(platform)
  stageMain(join(TARGET, 'latency-predictor'))
  report('latency-predictor', pack(join(TARGET, 'latency-predictor'), DIST), BUDGETS.main)
  stagePlatform(join(TARGET, name), platform, natives(platform, addon))
  report(name, pack(join(TARGET, name), DIST), BUDGETS.platform)
}

try {
  main()
} catch (error) {
  console.error(error.message)
  process.exit(1)
}
