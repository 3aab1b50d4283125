// What the scripts add, under the policy that the server sends; and that the forms do without.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open, shoot, stage } from './help.mjs'

const on = stage()

const visit = (path, options) => open(on.chromium, on.server.address, path, options)
const proposals = (page) => page.getByRole('listbox', { name: 'Places' })

test('places are proposed and chosen by the keyboard', async () => {
  const page = await visit('/')
  const src = page.getByRole('combobox', { name: 'Place' }).first()
  await src.pressSequentially('san f')
  const options = proposals(page).getByRole('option')
  await options.first().waitFor()
  assert.equal(await src.getAttribute('aria-expanded'), 'true')
  assert.match(await options.first().textContent(), /^San Francisco/)
  await shoot(page, 'places-open')
  await src.press('ArrowDown')
  assert.equal(await src.getAttribute('aria-activedescendant'), await options.first().getAttribute('id'))
  assert.equal(await options.first().getAttribute('aria-selected'), 'true')
  await src.press('ArrowUp')
  assert.equal(await options.last().getAttribute('aria-selected'), 'true')
  await src.press('ArrowDown')
  await src.press('Enter')
  assert.equal(await src.inputValue(), 'San Francisco, CA, US')
  assert.equal(await src.getAttribute('aria-expanded'), 'false')
  // The choice sent nothing; the next one does.
  assert.equal(new URL(page.url()).search, '')
  await page.getByRole('combobox', { name: 'Place' }).nth(1).fill('Tokyo')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'San Francisco, CA, US to Tokyo' }).waitFor()
  assert.deepEqual(page.complaints, [])
})

test('places are chosen by a click, and Escape closes the list', async () => {
  const page = await visit('/regions')
  const src = page.getByRole('combobox', { name: 'Place' })
  await src.pressSequentially('aws:eu-w')
  await proposals(page).getByRole('option', { name: 'aws:eu-west-2 (London)' }).click()
  assert.equal(await src.inputValue(), 'aws:eu-west-2')
  await src.fill('')
  await src.pressSequentially('par')
  await proposals(page).getByRole('option').first().waitFor()
  await src.press('Escape')
  assert.equal(await proposals(page).getByRole('option').count(), 0)
  assert.equal(await src.inputValue(), 'par')
  assert.deepEqual(page.complaints, [])
})

test('an answer that comes late does not open the list of a field that was left', async () => {
  const page = await visit('/')
  await page.route('**/places*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 300))
    await route.continue().catch(() => {})
  })
  const src = page.getByRole('combobox', { name: 'Place' }).first()
  await src.pressSequentially('lon')
  await page.waitForRequest('**/places*')
  await page.keyboard.press('Tab')
  await page.waitForTimeout(600)
  assert.equal(await proposals(page).getByRole('option').count(), 0)
})

test('two clicks on the map are a path', async () => {
  const page = await visit('/')
  const map = page.locator('[data-map]')
  const { width, height } = await map.boundingBox()
  await map.scrollIntoViewIfNeeded()
  const box = await map.boundingBox()
  assert.deepEqual([box.width, box.height], [width, height])
  await page.mouse.click(box.x + (180 / 360) * box.width, box.y + ((85 - 51.5) / 150) * box.height)
  await page.mouse.click(box.x + ((139.7 + 180) / 360) * box.width, box.y + ((85 - 35.7) / 150) * box.height)
  const [src, dst] = await page.locator('[data-place]').evaluateAll((inputs) => inputs.map((input) => input.value.split(',').map(Number)))
  const near = (found, wanted) => found.every((degrees, at) => Math.abs(degrees - wanted[at]) < 1)
  assert.ok(near(src, [51.5, 0]) && near(dst, [35.7, 139.7]), `${src} ${dst}`)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: / to / }).waitFor()
  assert.equal(await page.locator('[data-map] circle').count(), 2)
  await shoot(page, 'map-clicked')
  assert.deepEqual(page.complaints, [])
})

test('the status follows the server', async () => {
  const page = await visit('/status')
  const answered = page.locator('dt:text-is("Requests answered") + dd')
  const before = Number(await answered.textContent())
  for (let turn = 0; turn < 5; turn++) await fetch(`${on.server.address}/health`)
  await page.waitForFunction(
    (before) => Number([...document.querySelectorAll('dt')].find((one) => one.textContent === 'Requests answered').nextElementSibling.textContent) >= before + 5,
    before,
    { timeout: 20_000 },
  )
  assert.deepEqual(page.complaints, [])
})

test('forms work without scripts', async () => {
  const page = await visit('/', { javaScriptEnabled: false })
  await page.locator('#src').fill('London')
  await page.locator('#dst').fill('Tokyo')
  await page.locator('summary').click()
  await page.locator('#measured_ms').fill('80')
  await page.keyboard.press('Enter')
  await page.locator('.verdict.suspicious').waitFor()
  await page.goto(`${on.server.address}/regions`)
  await page.locator('#src').fill('Madrid')
  await page.locator('#provider').selectOption('gcp')
  await page.getByRole('button', { name: 'Rank' }).click()
  await page.getByRole('rowheader', { name: 'gcp:europe-southwest1' }).waitFor()
  assert.deepEqual(page.complaints, [])
})

test('the whole form is reached by the keyboard, in the order in which it is read', async () => {
  const page = await visit('/')
  const order = []
  for (let turn = 0; turn < 14; turn++) {
    await page.keyboard.press('Tab')
    order.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim()))
  }
  assert.deepEqual(order.slice(0, 12), [
    'Skip to the content',
    'Latency Predictor',
    'Two places',
    'Cloud regions',
    'Status',
    'API',
    'src',
    'src_access',
    'dst',
    'dst_access',
    'Check a measurement',
    'Predict',
  ])
})
