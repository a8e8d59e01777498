import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { accountRows, exactly, openIdTokenRows } from './store.ts'
import { newToken, tokenHash } from './token-text.ts'

const LIFETIME_MS = 60 * 60_000
/** Widgets of one user at once; the oldest is forgotten first. */
const MAX_PER_USER = 50

/** Tokens with which others find out who a user is, and that open nothing else. Spec: client-server-api §OpenID. */
export interface OpenIdTokens {
  issue(userId: string): Promise<{ readonly token: string; readonly expiresInMs: number }>
  /** @returns the user; `undefined` for a token that is unknown or has expired, or whose account cannot be used any more */
  find(token: string): Promise<string | undefined>
}

export function createOpenIdTokens({
  store,
  environment: { clock, random },
}: {
  store: Store
  environment: Environment
}): OpenIdTokens {
  return {
    async issue(userId) {
      const now = clock.now()
      const token = newToken('openId', random)
      const hash = tokenHash(token) as string
      await store.exclusive(`openid:${userId}`, async () => {
        const expired = await store.home.range(openIdTokenRows, { index: 'expiresTs', to: now })
        const own = await store.home.range(openIdTokenRows, exactly('userId', userId))
        const spare = [...own]
          .sort((a, b) => a.expiresTs - b.expiresTs)
          .slice(0, Math.max(0, own.length + 1 - MAX_PER_USER))
        await store.commit(() => [
          ...[...expired, ...spare].map((row) => remove(openIdTokenRows, row.hash)),
          put(openIdTokenRows, { hash, userId, expiresTs: now + LIFETIME_MS }),
        ])
      })
      return { token, expiresInMs: LIFETIME_MS }
    },

    async find(token) {
      const hash = tokenHash(token)
      const row = hash === undefined ? undefined : await store.home.get(openIdTokenRows, hash)
      if (!row || row.expiresTs <= clock.now()) return undefined
      const account = await store.home.get(accountRows, row.userId)
      return account && !account.isDeactivated && !account.isLocked ? row.userId : undefined
    },
  }
}
