'use strict'

// Finds the addon for this machine, loads it, and tells it where ONNX Runtime's library lies: in the addon's own folder.
//
// An installed package has it in a package of its own per platform, an optional dependency of this one; a checkout has it
// beside index.js.

const { existsSync } = require('node:fs')
const { dirname, isAbsolute, join } = require('node:path')

const { version } = require('../package.json')

const PACKAGE = 'latency-predictor'
const ROOT = dirname(__dirname)
const VARIABLE = 'NAPI_RS_NATIVE_LIBRARY_PATH'
/** The platforms that have a package; a test holds them equal to `napi.targets` of package.json. */
const PLATFORMS = {
  'linux-x64': 'linux-x64-gnu',
  'linux-arm64': 'linux-arm64-gnu',
  'darwin-x64': 'darwin-x64',
  'darwin-arm64': 'darwin-arm64',
  'win32-x64': 'win32-x64-msvc',
}
/** What `npm run pack` builds against, and what ONNX Runtime and Node.js need. */
const OLDEST_GLIBC = '2.28'

const REDISTRIBUTABLE = 'the Microsoft Visual C++ Redistributable (https://aka.ms/vs/17/release/vc_redist.x64.exe)'

const MACHINE = `${process.platform}-${process.arch}`

function addonError(message, cause) {
  return Object.assign(new Error(message, cause && { cause }), { code: 'ADDON_NOT_LOADED' })
}

/** The version of glibc that runs this process; `undefined` on musl and on other systems. Slow: for messages only. */
function glibcVersion() {
  if (process.platform !== 'linux') return undefined
  const { excludeNetwork } = process.report
  // Else it asks for the names of all connected hosts.
  process.report.excludeNetwork = true
  try {
    return process.report.getReport().header.glibcVersionRuntime
  } finally {
    process.report.excludeNetwork = excludeNetwork
  }
}

const onMusl = () => process.platform === 'linux' && glibcVersion() === undefined

const MUSL =
  `${PACKAGE} has no addon for musl (Alpine Linux), for which there is no ONNX Runtime: ` +
  'use an image with glibc, such as node:22-slim in place of node:22-alpine'

/** Why there is no addon, and the cure. */
function missing(cause) {
  const platform = PLATFORMS[MACHINE]
  if (existsSync(join(ROOT, 'Cargo.toml'))) {
    return addonError(`found no latency.${platform ?? MACHINE}.node in ${ROOT}: build it with \`npm run build\` in that folder`, cause)
  }
  if (!platform) {
    return addonError(`${PACKAGE} has no addon for ${MACHINE}; allowed: ${Object.values(PLATFORMS).join(', ')}`, cause)
  }
  if (onMusl()) return addonError(MUSL, cause)
  const name = `${PACKAGE}-${platform}`
  return addonError(
    `${PACKAGE} needs the package ${name}, its optional dependency, which is not installed. ` +
      'Install without --omit=optional and --no-optional. ' +
      'If package-lock.json or node_modules comes from another platform, delete both and run `npm install` on this one ' +
      '(https://github.com/npm/cli/issues/4828). ' +
      'With pnpm and Yarn, `supportedArchitectures` must allow this platform. A bundler must leave latency-predictor external. ' +
      `To install it by name: \`npm install ${name}@${version}\``,
    cause
  )
}

/** Why an addon that is there cannot be loaded, and the cure. */
function unusable(file, cause) {
  const [, needed] = /version `GLIBC_([\d.]+)' not found/.exec(cause.message) ?? []
  if (needed) {
    return addonError(
      `${PACKAGE} cannot load ${file}: it needs glibc ${needed}, and found ${glibcVersion()}; ` +
        `use a system with glibc ${needed} or later, or the published addon, which needs ${OLDEST_GLIBC}`,
      cause
    )
  }
  if (onMusl()) return addonError(`${MUSL} (${cause.message})`, cause)
  return addonError(
    `${PACKAGE} cannot load ${file}: ${cause.message}; ` +
      'delete node_modules and install again, on the machine that runs it or on one of the same system and processor' +
      (process.platform === 'win32' ? `, and install ${REDISTRIBUTABLE}` : ''),
    cause
  )
}

/** The addon that the variable names. Whoever names one means it: there is no other. */
function named(file) {
  if (!isAbsolute(file)) throw addonError(`${VARIABLE} names ${file}; allowed: the absolute path of ${PACKAGE}'s addon`)
  const addon = open(file)
  // Every package that is made with napi-rs reads this variable.
  if (!addon?.setLibraryFolder) throw addonError(`${VARIABLE} names ${file}, which is not ${PACKAGE}'s addon: unset it`)
  return addon
}

/** The addon's file in the platform package; throws what `require.resolve` throws if that is not installed. */
function installed(platform) {
  const name = `${PACKAGE}-${platform}`
  const manifest = require.resolve(`${name}/package.json`)
  const found = require(manifest).version
  if (found !== version) {
    throw addonError(
      `${PACKAGE} is version ${version}, but ${name} is version ${found}; both must be the same: ` +
        `remove what pins ${name} in package.json (a dependency, \`overrides\`, \`resolutions\`), then run ` +
        `\`npm install ${PACKAGE}@${version}\``
    )
  }
  return join(dirname(manifest), `latency.${platform}.node`)
}

function open(file) {
  try {
    return require(file)
  } catch (cause) {
    throw unusable(file, cause)
  }
}

function find() {
  const platform = PLATFORMS[MACHINE]
  let cause
  if (platform) {
    try {
      return installed(platform)
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error
      cause = error
    }
  }
  // A checkout can be built where there is no platform package.
  const local = ['', '-gnu', '-musl', '-msvc'].map((suffix) => join(ROOT, `latency.${MACHINE}${suffix}.node`)).find(existsSync)
  if (!local) throw missing(cause)
  return local
}

function load() {
  const variable = process.env[VARIABLE]
  const file = variable || find()
  const addon = variable ? named(file) : open(file)
  addon.setLibraryFolder(dirname(file))
  return addon
}

module.exports = load()
