import type { Accounts } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { newSecret, secretHash } from './secrets.ts'
import { browserSessionRows, exactly } from './store.ts'

/** After this the password is asked for again. */
export const BROWSER_SESSION_LIFETIME_MS = 7 * 24 * 60 * 60_000
/** Browsers in which one account is logged in; the oldest login ends first. */
const MAX_PER_USER = 20

/** Logins to the server's own pages. They open no device, and no token comes of them without the user's consent. */
export interface BrowserSessions {
  /** Keeps no previous secret: whoever knew the cookie of before the login knows nothing now. */
  open(userId: string): Promise<string>
  /** @returns who is logged in; nobody, once the password was changed or the account locked or deactivated */
  find(secret: string): Promise<string | undefined>
  close(secret: string): Promise<void>
  /** In all browsers. */
  closeAll(userId: string): Promise<void>
}

export function createBrowserSessions({
  environment,
  store,
  accounts,
}: {
  environment: Environment
  store: Store
  accounts: Pick<Accounts, 'oauthSessions'>
}): BrowserSessions {
  const { clock, random } = environment
  return {
    async open(userId) {
      const mark = await accounts.oauthSessions.credentialMark(userId)
      if (mark === undefined) throw new Error('a login to an account that cannot be used')
      const secret = newSecret('hbs', random)
      const others = await store.home.range(browserSessionRows, exactly('userId', userId))
      const oldest = [...others]
        .sort((a, b) => a.expiresTs - b.expiresTs)
        .slice(0, Math.max(0, others.length + 1 - MAX_PER_USER))
      const expiresTs = clock.now() + BROWSER_SESSION_LIFETIME_MS
      await store.commit(() => [
        ...oldest.map((row) => remove(browserSessionRows, row.hash)),
        put(browserSessionRows, { hash: secretHash(secret), userId, mark, expiresTs }),
      ])
      return secret
    },

    async find(secret) {
      const row = await store.home.get(browserSessionRows, secretHash(secret))
      if (!row || row.expiresTs <= clock.now()) return undefined
      return (await accounts.oauthSessions.credentialMark(row.userId)) === row.mark ? row.userId : undefined
    },

    async close(secret) {
      await store.commit(() => [remove(browserSessionRows, secretHash(secret))])
    },

    async closeAll(userId) {
      const rows = await store.home.range(browserSessionRows, exactly('userId', userId))
      if (rows.length > 0) await store.commit(() => rows.map((row) => remove(browserSessionRows, row.hash)))
    },
  }
}
