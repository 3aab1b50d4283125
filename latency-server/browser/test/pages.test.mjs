// Every page in both colour schemes, on a phone and on a desk: accessible (axe-core, WCAG 2.2 AA and best practices),
// without complaints of the browser, and no wider than the window.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { open, shoot, stage } from './help.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const PAGES = {
  form: '/',
  answer: '/?src=Sydney&dst=San+Francisco&src_access=wifi',
  warnings: '/?src=89,0&dst=Tokyo&measured_ms=80',
  errors: '/?src=Springfield&dst=Nowhere+at+all&measured_ms=-1',
  regions: '/regions?src=Madrid&budget_ms=30',
  'regions-errors': '/regions?src=&budget_ms=-1',
  status: '/status',
  docs: '/docs',
  admin: '/admin',
}

const on = stage()

for (const colorScheme of ['light', 'dark']) {
  for (const [device, width] of Object.entries({ phone: 390, desk: 1280 })) {
    test(`pages on a ${device}, ${colorScheme}`, async (t) => {
      for (const [name, path] of Object.entries(PAGES)) {
        await t.test(name, async () => {
          const viewport = { width, height: 844 }
          // What axe-core brings is no part of the page, and would not be let in.
          const page = await open(on.chromium, on.server.address, path, { viewport, colorScheme, bypassCSP: true })
          await shoot(page, `${name}-${device}-${colorScheme}`)
          await page.evaluate(AXE)
          const { violations } = await page.evaluate(() => window.axe.run())
          const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)
          assert.deepEqual(found, [])
          assert.deepEqual(page.complaints, [])
          const scrolled = await page.evaluate(() => document.documentElement.scrollWidth)
          assert.ok(scrolled <= width, `${scrolled} pixels wide`)
          await page.close()
        })
      }
    })
  }
}
