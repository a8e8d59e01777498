import { randomBytes } from 'node:crypto'
import { type Accounts, createAccounts, type Session } from '../../server/accounts/index.ts'
import type { LogFields } from '../../server/observe/environment.ts'
import type { Store } from '../../server/store/index.ts'
import { type ManualClock, manualClock } from '../support/manual-clock.ts'
import { openMemoryStore } from '../support/memory-store.ts'

export interface AccountsUnderTest {
  readonly accounts: Accounts
  readonly store: Store
  readonly clock: ManualClock
  readonly complaints: readonly LogFields[]
  /** A new account with a device. */
  register(username: string): Promise<Session>
}

export const PASSWORD = 'correct horse'

/** The slice alone, on a store in memory. */
export function newAccounts({
  store = openMemoryStore(),
  clock = manualClock(),
  passwordCostLog2 = 8,
} = {}): AccountsUnderTest {
  const complaints: LogFields[] = []
  const nothing = (): void => {}
  const keep = (fields: LogFields): void => {
    complaints.push(fields)
  }
  const accounts = createAccounts({
    environment: {
      serverName: 'hearth.test',
      clock,
      random: { number: Math.random, bytes: (count) => randomBytes(count) },
      logger: { debug: nothing, info: nothing, warn: keep, error: keep },
    },
    store,
    config: { registrationOpen: true, passwordCostLog2 },
    limitAttempts: nothing,
  })
  return {
    accounts,
    store,
    clock,
    complaints,
    async register(username) {
      const { session } = await accounts.register({ username, password: PASSWORD, session: {} })
      if (!session) throw new Error('no session')
      return session
    },
  }
}
