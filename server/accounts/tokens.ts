import { unknownToken } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import type { Activity } from './activity.ts'
import type { Requester, Seen, Session } from './contract.ts'
import { userLocked } from './errors.ts'
import { accountRows, deviceRows, exactly, guestRows, rowKey, type TokenRow, tokenRows } from './store.ts'
import { newToken, tokenHash } from './token-text.ts'

/** How long an access token lives that can be refreshed. */
export const DEFAULT_ACCESS_TOKEN_LIFETIME_MS = 60 * 60_000
/** Tokens kept in memory; each takes about half a kilobyte. */
const MAX_CACHED = 20_000
/** A device seen again within this time from the same place is not noted anew. */
const NOTE_INTERVAL_MS = 60_000
/** Refreshes in a row whose answers were all lost; the oldest answer's tokens are then given up. */
const MAX_PENDING_PAIRS = 4

/** Fresh tokens and the change that makes them valid. */
export interface IssuedTokens {
  readonly ops: readonly Op[]
  readonly session: Session
}

/**
 * Access and refresh tokens. A device has one line of them: what a refresh gives out is `pending` until it is used for the
 * first time, and only then is what came before revoked, so that a lost answer can be asked for again.
 * Spec: client-server-api §Refreshing access tokens.
 */
export interface Tokens {
  authenticate(accessToken: string, seen: Seen): Promise<Requester>
  /**
   * @param oauthClientId the OAuth client that asks; `null`: the legacy API. A token serves only the one that it was given to.
   * @throws MatrixError 401 M_UNKNOWN_TOKEN, with `soft_logout` for a token that was replaced; M_USER_LOCKED
   */
  refresh(refreshToken: string, oauthClientId: string | null): Promise<Session>
  /** The row of a token of ours, whatever its status. */
  find(token: string): Promise<TokenRow | undefined>
  /** All of a device, in the lock of its user. */
  listOf(userId: string, deviceId: string): Promise<readonly TokenRow[]>
  /** First tokens of a login; those that the device had must be removed in the same commit. */
  issue(device: { userId: string; deviceId: string }, wantsRefreshToken: boolean): IssuedTokens
  /** To be called after the commit that changed or removed these tokens. */
  evict(rows: readonly TokenRow[]): void
  /** To be called after a commit that changed what requesters are told of their account. */
  evictUser(userId: string): void
}

interface CachedToken {
  readonly requester: Requester
  readonly device: string
  readonly expiresTs: number | null
  notedTs: number
  ip: string
  userAgent: string
}

export function createTokens({
  store,
  environment,
  activity,
  accessTokenLifetimeMs,
}: {
  store: Store
  environment: Environment
  activity: Activity
  accessTokenLifetimeMs: number
}): Tokens {
  const { clock, random } = environment
  const cache = new Map<string, CachedToken>()
  /** Grows with every eviction: a token that was read before one may have changed since. */
  let evictions = 0

  const unknown = () => unknownToken('Unrecognized access token')
  const inLockOf = <T>(userId: string, work: () => Promise<T>): Promise<T> =>
    store.exclusive(`accounts:${userId}`, work)

  function evict(rows: readonly TokenRow[]): void {
    evictions += 1
    for (const { hash } of rows) cache.delete(hash)
  }

  function remember(hash: string, entry: CachedToken): void {
    if (cache.size >= MAX_CACHED) {
      const [oldest] = cache.keys()
      if (oldest !== undefined) cache.delete(oldest)
    }
    cache.set(hash, entry)
  }

  function note(entry: CachedToken, seen: Seen, now: number): void {
    const isSamePlace = entry.ip === seen.ip && entry.userAgent === seen.userAgent
    if (isSamePlace && now - entry.notedTs < NOTE_INTERVAL_MS) return
    entry.notedTs = now
    entry.ip = seen.ip
    entry.userAgent = seen.userAgent
    activity.note(entry.device, seen, now)
  }

  const listOf = (userId: string, deviceId: string): Promise<readonly TokenRow[]> =>
    store.home.range(tokenRows, exactly('device', rowKey(userId, deviceId)))

  const oauthClientOf = async (row: TokenRow): Promise<string | null> =>
    (await store.home.get(deviceRows, row.device))?.clientId ?? null

  /** What first use of `used` changes: its pair becomes current, the rest is spent, what was spent before goes. */
  function confirmed(rows: readonly TokenRow[], used: TokenRow): { ops: Op[]; changed: TokenRow[] } {
    const ops: Op[] = []
    const changed: TokenRow[] = []
    for (const row of rows) {
      if (row.pair === used.pair) ops.push(put(tokenRows, { ...row, status: 'current' }))
      else {
        changed.push(row)
        ops.push(row.status === 'spent' ? remove(tokenRows, row.hash) : put(tokenRows, { ...row, status: 'spent' }))
      }
    }
    return { ops, changed }
  }

  async function confirm(used: TokenRow): Promise<void> {
    await inLockOf(used.userId, async () => {
      const rows = await listOf(used.userId, used.deviceId)
      // Someone else may have confirmed or revoked it meanwhile; the caller reads again.
      if (rows.find((row) => row.hash === used.hash)?.status !== 'pending') return
      const { ops, changed } = confirmed(rows, used)
      await store.commit(() => ops)
      evict(changed)
    })
  }

  async function load(hash: string, now: number): Promise<CachedToken> {
    for (;;) {
      const before = evictions
      const row = await store.home.get(tokenRows, hash)
      if (row?.kind !== 'access') throw unknown()
      if (row.status === 'spent') throw unknownToken('This access token has been replaced by a refresh', true)
      if (row.expiresTs !== null && row.expiresTs <= now) throw unknownToken('The access token has expired', true)
      if (row.status === 'pending') {
        await confirm(row)
        continue
      }
      const account = await store.home.get(accountRows, row.userId)
      if (evictions !== before) continue
      if (!account || account.isDeactivated) throw unknown()
      const { userId, deviceId } = row
      const { isAdmin, isLocked, isSuspended } = account
      const oauthClientId = await oauthClientOf(row)
      const isGuest = (await store.home.get(guestRows, userId)) !== undefined
      if (evictions !== before) continue
      const requester = {
        userId,
        deviceId,
        isAdmin,
        isGuest,
        isLocked,
        isSuspended,
        tokenId: hash,
        ...(oauthClientId !== null && { oauthClientId }),
      }
      const entry = { requester, device: row.device, expiresTs: row.expiresTs, notedTs: 0, ip: '', userAgent: '' }
      remember(hash, entry)
      return entry
    }
  }

  function issueAs(
    { userId, deviceId }: { userId: string; deviceId: string },
    wantsRefreshToken: boolean,
    status: 'pending' | 'current',
  ): IssuedTokens {
    const accessToken = newToken('access', random)
    const refreshToken = wantsRefreshToken ? newToken('refresh', random) : undefined
    const createdTs = clock.now()
    const pair = random.bytes(9).toString('base64url')
    const shared = { device: rowKey(userId, deviceId), userId, deviceId, pair, status, createdTs }
    const row = (kind: 'access' | 'refresh', token: string, expiresTs: number | null): Op =>
      put(tokenRows, { ...shared, hash: tokenHash(token) ?? '', kind, expiresTs })

    const ops = [row('access', accessToken, refreshToken ? createdTs + accessTokenLifetimeMs : null)]
    if (refreshToken === undefined) return { ops, session: { userId, deviceId, accessToken } }
    ops.push(row('refresh', refreshToken, null))
    return { ops, session: { userId, deviceId, accessToken, refreshToken, expiresInMs: accessTokenLifetimeMs } }
  }

  /** The pairs that no client ever used, beyond those that may wait for their first use; oldest first. */
  function abandoned(rows: readonly TokenRow[]): readonly TokenRow[] {
    const pending = rows.filter((row) => row.status === 'pending').sort((a, b) => a.createdTs - b.createdTs)
    const pairs = [...new Set(pending.map((row) => row.pair))]
    const givenUp = new Set(pairs.slice(0, Math.max(0, pairs.length - (MAX_PENDING_PAIRS - 1))))
    return pending.filter((row) => givenUp.has(row.pair))
  }

  return {
    async authenticate(accessToken, seen) {
      const hash = tokenHash(accessToken)
      if (hash === undefined) throw unknown()
      const now = clock.now()
      const entry = cache.get(hash) ?? (await load(hash, now))
      if (entry.expiresTs !== null && entry.expiresTs <= now) {
        cache.delete(hash)
        throw unknownToken('The access token has expired', true)
      }
      note(entry, seen, now)
      return entry.requester
    },

    async find(token) {
      const hash = tokenHash(token)
      return hash === undefined ? undefined : store.home.get(tokenRows, hash)
    },

    async refresh(refreshToken, oauthClientId) {
      const hash = tokenHash(refreshToken)
      const found = hash === undefined ? undefined : await store.home.get(tokenRows, hash)
      if (found?.kind !== 'refresh') throw unknownToken('Unrecognized refresh token')
      return inLockOf(found.userId, async () => {
        const rows = await listOf(found.userId, found.deviceId)
        const row = rows.find((candidate) => candidate.hash === found.hash)
        if (!row || (await oauthClientOf(row)) !== oauthClientId) throw unknownToken('Unrecognized refresh token')
        if (row.status === 'spent') throw unknownToken('The refresh token has already been used', true)
        // An OAuth client takes a refusal for the end of its session, which a lock is not; new tokens serve it no more than old ones.
        const isRefused = oauthClientId === null && (await store.home.get(accountRows, row.userId))?.isLocked
        if (isRefused) throw userLocked()
        const issued = issueAs(row, true, 'pending')
        if (row.status === 'pending') {
          const { ops, changed } = confirmed(rows, row)
          await store.commit(() => [...ops, ...issued.ops])
          evict(changed)
        } else {
          const tooOld = abandoned(rows)
          await store.commit(() => [...tooOld.map(({ hash }) => remove(tokenRows, hash)), ...issued.ops])
          evict(tooOld)
        }
        return issued.session
      })
    },

    listOf,
    issue: (device, wantsRefreshToken) => issueAs(device, wantsRefreshToken, 'current'),
    evict,
    evictUser(userId) {
      evictions += 1
      for (const [hash, { requester }] of cache) if (requester.userId === userId) cache.delete(hash)
    },
  }
}
