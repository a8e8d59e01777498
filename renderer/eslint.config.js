// Lints the scripts and templates of .vue files; .ts files are Biome's and oxlint's (see ../test/DECISIONS.md).
import { fileURLToPath } from 'node:url'
import vue from 'eslint-plugin-vue'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['**/dist/**', '**/*.ts', '**/*.js'] },
  ...vue.configs['flat/essential'],
  {
    files: ['**/*.vue'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: {
      parserOptions: {
        parser: tseslint.parser,
        extraFileExtensions: ['.vue'],
        project: fileURLToPath(new URL('tsconfig.json', import.meta.url)),
      },
    },
    rules: {
      'vue/no-v-html': 'error',
      'vue/require-v-for-key': 'error',
      'vue/no-unused-vars': 'error',
      'vue/multi-word-component-names': 'error',
      'vue/require-explicit-emits': 'error',
      'no-unused-vars': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/no-explicit-any': 'error',
    },
  },
  { files: ['**/ui/SafeHtml.vue'], rules: { 'vue/no-v-html': 'off' } },
)
