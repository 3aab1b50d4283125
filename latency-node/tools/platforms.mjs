// The platforms that have a package: Rust's name for each, and the ONNX Runtime library that travels in it.
//
// The libraries are those of the Python package `onnxruntime`, taken from its wheels for CPython 3.12. To take another
// version: change it here, put the new wheels' SHA-256 from .ci/onnxruntime.txt, run `node tools/onnxruntime.mjs --all`,
// and put the libraries' SHA-256 that it found. Change `files` in npm/*/package.json too: a test names what differs.

const VERSION = '1.32.0'
/** The last version with a wheel for macOS on x86_64. On Linux it gives the golden numbers to the bit, as 1.20.1 to 1.32.0 do. */
const LAST_DARWIN_X64 = '1.23.2'

export const PLATFORMS = {
  'linux-x64-gnu': {
    target: 'x86_64-unknown-linux-gnu',
    machine: 'ELF x86_64',
    version: VERSION,
    wheel: { tag: 'manylinux_2_28_x86_64', sha256: '99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8' },
    library: {
      file: `libonnxruntime.so.${VERSION}`,
      sha256: '6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f',
    },
    needs: 'Linux with glibc 2.28 or later (Debian 10, Ubuntu 20.04, RHEL 8) on x86_64, not musl (Alpine)',
  },
  'linux-arm64-gnu': {
    target: 'aarch64-unknown-linux-gnu',
    machine: 'ELF aarch64',
    version: VERSION,
    wheel: { tag: 'manylinux_2_28_aarch64', sha256: 'e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054' },
    library: {
      file: `libonnxruntime.so.${VERSION}`,
      sha256: '49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a',
    },
    needs: 'Linux with glibc 2.28 or later (Debian 10, Ubuntu 20.04, RHEL 8) on arm64, not musl (Alpine)',
  },
  'darwin-x64': {
    target: 'x86_64-apple-darwin',
    machine: 'Mach-O x86_64',
    version: LAST_DARWIN_X64,
    wheel: { tag: 'macosx_13_0_x86_64', sha256: '218295a8acae83905f6f1aed8cacb8e3eb3bd7513a13fe4ba3b2664a19fc4a6b' },
    library: {
      file: `libonnxruntime.${LAST_DARWIN_X64}.dylib`,
      sha256: '41e7960eccef34f60ca21d091d37bc97d0e70a0b4ce902babf5f795a76e1af74',
    },
    needs: 'macOS 13 or later on Intel',
  },
  'darwin-arm64': {
    target: 'aarch64-apple-darwin',
    machine: 'Mach-O arm64',
    version: VERSION,
    wheel: { tag: 'macosx_14_0_arm64', sha256: 'd52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e' },
    library: {
      file: `libonnxruntime.${VERSION}.dylib`,
      sha256: 'fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7',
    },
    needs: 'macOS 14 or later on Apple silicon',
  },
  'win32-x64-msvc': {
    target: 'x86_64-pc-windows-msvc',
    machine: 'PE x86_64',
    version: VERSION,
    wheel: { tag: 'win_amd64', sha256: 'efe7456952c243a05a53d5b8732953625144642c2f3989094277f6217f0c0c40' },
    library: {
      // Windows takes a library that is loaded already for any other of the same name: this one has its own.
      file: `onnxruntime.${VERSION}.dll`,
      wheelFile: 'onnxruntime.dll',
      sha256: '443c0065fcdba17618ddef05050308f4b471893c5c7da0337d6957c9073ad8a7',
    },
    needs: 'Windows 10 or later on x64, with the Microsoft Visual C++ Redistributable (https://aka.ms/vs/17/release/vc_redist.x64.exe)',
  },
}

/** What lies in a platform package beside the addon and the library: its name there, and in the wheel. */
export const LICENSES = {
  'onnxruntime-LICENSE.txt': 'LICENSE',
  'onnxruntime-ThirdPartyNotices.txt': 'ThirdPartyNotices.txt',
}

export const packageName = (platform) => `latency-predictor-${platform}`
export const addonFile = (platform) => `latency.${platform}.node`

/** The platform of this machine. */
export function ownPlatform() {
  const machine = `${process.platform}-${process.arch}`
  const platform = Object.keys(PLATFORMS).find((name) => name === machine || name.startsWith(`${machine}-`))
  if (!platform) throw new Error(`found ${machine}, which has no package; allowed: ${Object.keys(PLATFORMS).join(', ')}`)
  return platform
}
