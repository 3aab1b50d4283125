// A server on a free port, and a browser that looks at it.
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { after, before } from 'node:test'
import { chromium } from 'playwright-core'

const PROGRAM = process.env.LATENCY_SERVER ?? new URL('../../../target/ci/latency-server', import.meta.url).pathname
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const SHOTS = process.env.LATENCY_SCREENSHOTS

/** Starts the server; its address, and what ends it. */
async function serve() {
  const server = spawn(PROGRAM, { env: { ...process.env, LATENCY_PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  const lines = createInterface({ input: server.stdout })
  const address = await new Promise((resolve, reject) => {
    lines.on('line', (line) => line.startsWith('Listening on ') && resolve(line.slice('Listening on '.length)))
    ended.then((code) => reject(new Error(`the server ended with ${code}`)))
  })
  return {
    address,
    stop: async () => {
      server.kill('SIGTERM')
      await ended
    },
  }
}

async function browser() {
  // Chromium's own sandbox needs rights that root in a container has not.
  return chromium.launch({ executablePath: CHROMIUM, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
}

/** A server and a browser for all tests of a file. */
export function stage() {
  const found = {}
  before(async () => {
    found.server = await serve()
    found.chromium = await browser()
  })
  after(async () => {
    await found.chromium?.close()
    await found.server?.stop()
  })
  return found
}

/** A page that collects what the browser complains of. */
export async function open(browser, address, path, options = {}) {
  const page = await browser.newPage(options)
  page.complaints = []
  page.on('console', (message) => {
    // A page with an error in it has a status that the browser mentions.
    if (message.type() !== 'log' && !message.text().includes('status of 4')) page.complaints.push(message.text())
  })
  page.on('pageerror', (error) => page.complaints.push(error.message))
  await page.goto(address + path)
  return page
}

/** Keeps a picture if LATENCY_SCREENSHOTS names a folder. */
export async function shoot(page, name) {
  if (!SHOTS) return
  mkdirSync(SHOTS, { recursive: true })
  await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true })
}
