import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

/**
 * One build for the browser (served by the household's server at `/`) and for Electron (`hearth://app/`): every path in
 * it is relative. For work on the page: `HEARTH_SERVER=http://127.0.0.1:8008 npx vite --config renderer/vite.config.ts`.
 */
const server = process.env.HEARTH_SERVER ?? 'http://127.0.0.1:8008'

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  plugins: [vue()],
  define: {
    __VUE_OPTIONS_API__: true,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    // messages are interpreted, never compiled to code: the page's policy forbids `eval`
    __INTLIFY_DROP_MESSAGE_COMPILER__: false,
  },
  optimizeDeps: { exclude: ['@matrix-org/matrix-sdk-crypto-wasm'] },
  server: {
    proxy: Object.fromEntries(
      ['/_matrix', '/_hearth', '/.well-known'].map((path) => [path, { target: server, changeOrigin: false }]),
    ),
  },
  build: {
    target: 'es2022',
    // `light-dark()` and friends as they are: every browser that can run the cryptography has them
    cssTarget: ['chrome125', 'firefox128', 'safari18'],
    outDir: 'dist',
    emptyOutDir: true,
    // Their authors ask to be named wherever their work goes.
    license: { fileName: 'licenses.md' },
    // no inlined data: addresses, so that the policy can stay at 'self'
    assetsInlineLimit: 0,
    // the SDK is loaded after sign-in and is one piece of about 1 MB
    chunkSizeWarningLimit: 1_500,
    modulePreload: { polyfill: false },
  },
})
