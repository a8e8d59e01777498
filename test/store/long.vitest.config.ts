import { mergeConfig } from 'vitest/config'
import usual from '../vitest.config.ts'

/** `npm run test:store-long`: the store's random tests, with ten times the kills, power cuts and seeds. */
export default mergeConfig(usual, {
  test: { include: ['test/store/**/*.test.ts'], provide: { isLong: true }, testTimeout: 900_000 },
})
