// The guide and the README say what is true: their examples run, and print what stands behind `// =>`.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ERROR_CODES } from 'latency-predictor'

import { read, run } from './help.mjs'

const guide = read('../../docs/node.md').toString()

for (const [name, text] of Object.entries({ 'docs/node.md': guide, 'README.md': read('../README.md').toString(), '../README.md': read('../../README.md').toString() })) {
  const blocks = [...text.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code)
  assert.ok(blocks.length > 0, name)
  for (const [index, code] of blocks.entries()) {
    test(`${name}, example ${index + 1}`, async () => {
      // A model of one's own has no place in a checkout.
      const { stdout, stderr } = await run(code.replaceAll("'mine.onnx'", "'test/fixtures/own_model.onnx'"))
      assert.equal(stderr, '')
      const printed = stdout.trimEnd().split('\n')
      for (const [, expected] of code.matchAll(/ \/\/ => (.*)/g)) assert.ok(printed.includes(expected), `${expected} in ${stdout}`)
    })
  }
}

test('the guide explains every error that can happen', () => {
  const never = ['CANCELLED']
  for (const code of ERROR_CODES) if (!never.includes(code)) assert.ok(guide.includes(`| \`${code}\``) || guide.includes(`, \`${code}\``), code)
})
