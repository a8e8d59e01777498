import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/e2e/**/*.test.ts'],
    globalSetup: ['test/e2e/support/build-page.ts'],
    testTimeout: 240_000,
    hookTimeout: 60_000,
    // each file has browsers and a server of its own; two at once would starve each other
    maxWorkers: 1,
  },
})
