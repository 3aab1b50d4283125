// What a native file is made for, and what it needs.

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readSync } from 'node:fs'

/** `ELF x86_64`, `Mach-O arm64`: format and processor, by the header; `undefined` if it is none that we ship. */
export function machine(file) {
  const header = Buffer.alloc(4096)
  const opened = openSync(file, 'r')
  readSync(opened, header)
  closeSync(opened)
  switch (header.readUInt32BE(0)) {
    case 0x7f454c46:
      return { 62: 'ELF x86_64', 183: 'ELF aarch64' }[header.readUInt16LE(18)]
    case 0xcffaedfe:
      return { 0x01000007: 'Mach-O x86_64', 0x0100000c: 'Mach-O arm64' }[header.readUInt32LE(4)]
  }
  const portable = header.toString('latin1', 0, 2) === 'MZ' ? header.readUInt32LE(60) : header.length
  const isPortable = portable < header.length - 6 && header.toString('latin1', portable, portable + 4) === 'PE\0\0'
  return isPortable ? { 0x8664: 'PE x86_64' }[header.readUInt16LE(portable + 4)] : undefined
}

export function checkMachine(file, allowed) {
  const found = machine(file) ?? 'none that has a package'
  if (found !== allowed) throw new Error(`${file} is made for another machine: found ${found}; allowed: ${allowed}`)
}

const newer = (one, other) => one.localeCompare(other, 'en', { numeric: true }) > 0

/** Linux: which glibc, which libraries and which name for itself the file asks for. */
export function elf(file) {
  const options = { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 1 << 28 }
  const text = execFileSync('readelf', ['--wide', '--version-info', '--dyn-syms', '--dynamic', file], options)
  const all = (pattern) => [...new Set([...text.matchAll(pattern)].map(([, found]) => found))]
  return {
    glibc: all(/Name: GLIBC_([\d.]+)/g).reduce((most, version) => (newer(version, most) ? version : most), '0'),
    // They carry no version, and glibc before 2.38 has none of them.
    isoc23: all(/\b(__isoc23_\w+)/g),
    libraries: all(/\(NEEDED\).*\[(.*)\]/g),
    soname: all(/\(SONAME\).*\[(.*)\]/g)[0],
  }
}

/** Fails if the file needs more than every system has that runs Node.js. */
export function checkElf(file, { glibc, libraries }) {
  const found = elf(file)
  if (newer(found.glibc, glibc)) throw new Error(`${file} needs glibc ${found.glibc}; allowed: ${glibc} and older`)
  if (found.isoc23.length) throw new Error(`${file} needs ${found.isoc23.join(', ')}, which glibc ${glibc} does not have`)
  const odd = found.libraries.filter((library) => !libraries.test(library))
  if (odd.length) throw new Error(`${file} needs ${odd.join(', ')}; allowed: ${libraries}`)
  return found
}
