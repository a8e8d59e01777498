import { createHash } from 'node:crypto'
import { forbidden, unknownToken } from '../../shared/matrix/errors.ts'
import type { Op, Store } from '../store/index.ts'
import type { Session, SessionRequest } from './contract.ts'
import { type Devices, requireValidSessionRequest } from './devices.ts'
import { userLocked } from './errors.ts'
import type { Lifecycle } from './lifecycle.ts'
import { type AccountRow, accountRows, deviceRows, exactly, rowKey } from './store.ts'
import type { Tokens } from './tokens.ts'

/** Sessions that rest on what somebody else has made sure of, and the tokens of OAuth clients. For `oauth/`. */
export interface OAuthSessions {
  /**
   * Opens a session of a user who has agreed to it.
   * @param wish.alsoCommit made durable together with the session: that the code it is for has been used
   * @throws MatrixError 403 M_FORBIDDEN for an account that is gone, or the ID of a cross-signing key; 401 M_USER_LOCKED
   */
  open(wish: { userId: string; session: SessionRequest; alsoCommit: readonly Op[] }): Promise<Session>
  /**
   * New tokens for the client that a refresh token was given to. A token that was replaced, and whose successor has been used,
   * ends the session: one of the two who hold it is a thief. Spec: client-server-api §Refresh token grant.
   * @throws MatrixError 401 M_UNKNOWN_TOKEN
   */
  refresh(refreshToken: string, clientId: string): Promise<{ readonly session: Session; readonly scope: string }>
  /** Ends the session of an access or refresh token, whoever asks. Tokens that are not ours are passed over. */
  revoke(token: string): Promise<void>
  /** How many sessions a client has. */
  countOf(clientId: string): Promise<number>
  /**
   * Changes whenever whoever logged in to the account before should not count as logged in any more.
   * @returns `undefined` for an account that cannot be used
   */
  credentialMark(userId: string): Promise<string | undefined>
}

export function createOAuthSessions({
  store,
  tokens,
  devices,
  removeDevices,
}: {
  store: Store
  tokens: Tokens
  devices: Devices
  removeDevices: Lifecycle['removeDevices']
}): OAuthSessions {
  async function getUsable(userId: string): Promise<AccountRow> {
    const account = await store.home.get(accountRows, userId)
    if (!account || account.isDeactivated) throw forbidden('This account has been deactivated')
    if (account.isLocked) throw userLocked()
    return account
  }

  return {
    async open({ userId, session: request, alsoCommit }) {
      requireValidSessionRequest(request)
      return store.exclusive(`accounts:${userId}`, async () => {
        await getUsable(userId)
        const { ops, session, done } = await devices.planSession(userId, request)
        await store.commit(() => [...ops, ...alsoCommit])
        done()
        return session
      })
    },

    async refresh(refreshToken, clientId) {
      const row = await tokens.find(refreshToken)
      const device = row && (await store.home.get(deviceRows, row.device))
      if (row?.kind !== 'refresh' || !device || device.clientId !== clientId) {
        throw unknownToken('Unrecognized refresh token')
      }
      if (row.status === 'spent') {
        await removeDevices(row.userId, [row.deviceId])
        throw unknownToken('The refresh token has already been used')
      }
      return { session: await tokens.refresh(refreshToken, clientId), scope: device.scope ?? '' }
    },

    async revoke(token) {
      const row = await tokens.find(token)
      if (row) await removeDevices(row.userId, [row.deviceId])
    },

    countOf: (clientId) => store.home.count(deviceRows, exactly('clientId', clientId)),

    async credentialMark(userId) {
      const account = await store.home.get(accountRows, userId)
      if (!account || account.isDeactivated || account.isLocked) return undefined
      return createHash('sha256')
        .update(rowKey(userId, account.passwordHash ?? ''))
        .digest('base64url')
    },
  }
}
