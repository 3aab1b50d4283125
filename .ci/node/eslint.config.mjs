// How JavaScript is written here: ESLint's lints, and the format as rules of ESLint Stylistic, which leave lines where their
// author broke them.
import js from '@eslint/js'
import stylistic from '@stylistic/eslint-plugin'
import globals from 'globals'

export default [
  { ignores: ['**/node_modules/', '**/dist/', '**/*.ts', '**/*.cts'] },
  js.configs.recommended,
  stylistic.configs.customize({
    indent: 2,
    quotes: 'single',
    semi: false,
    commaDangle: 'only-multiline',
    braceStyle: '1tbs',
    arrowParens: true,
    quoteProps: 'as-needed'
  }),
  {
    languageOptions: { globals: globals.node },
    rules: {
      '@stylistic/max-statements-per-line': ['error', { max: 3 }],
      '@stylistic/exp-list-style': 'off',
      '@stylistic/list-style': 'off',
      '@stylistic/operator-linebreak': 'off',
      '@stylistic/indent-binary-ops': 'off',
      '@stylistic/quote-props': 'off',
      '@stylistic/quotes': ['error', 'single', { allowTemplateLiterals: 'always', avoidEscape: true }],
      '@stylistic/max-len': ['error', { code: 150, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true, ignoreUrls: true }],
      'no-empty': ['error', { allowEmptyCatch: true }],
      'no-unused-vars': ['error', { args: 'after-used', argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }]
    }
  },
  { files: ['latency-server/static/*.js'], languageOptions: { sourceType: 'script', globals: globals.browser } },
  { files: ['latency-server/browser/test/*.mjs'], languageOptions: { globals: globals.browser } },
  // Rows that fail on purpose, arrays with holes, and the like.
  { files: ['latency-node/test/*.mjs'], rules: { 'getter-return': 'off', 'no-sparse-arrays': 'off' } },
  { files: ['**/*.js'], ignores: ['latency-server/static/*.js'], languageOptions: { sourceType: 'commonjs' } }
]
