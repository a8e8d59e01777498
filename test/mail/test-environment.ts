import { systemClock, systemRandom } from '../../server/index.ts'
import type { Environment } from '../../server/observe/environment.ts'

const nothing = (): void => {}

export function testEnvironment(): Environment {
  return {
    serverName: 'hearth.test',
    clock: systemClock,
    random: systemRandom,
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  }
}
