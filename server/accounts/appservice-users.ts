/**
 * Accounts that application services act as: they have no password, and need no token of their own.
 * Spec: application-service-api §Identity assertion, §Server admin style permissions, §Device management.
 */
import { forbidden, MatrixError } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { put, type Store } from '../store/index.ts'
import type { Activity } from './activity.ts'
import type { ActingAppservice, Requester, Seen, Session, SessionRequest } from './contract.ts'
import { type Devices, requireValidSessionRequest } from './devices.ts'
import { userLocked } from './errors.ts'
import { type AccountRow, accountRows, appserviceUserRows, deviceRows, rowKey } from './store.ts'

/** What an application service asks to be taken for. */
export interface Acting {
  readonly userId: string
  /** Without one, whatever needs a device fails. */
  readonly deviceId: string | null
  readonly appservice: ActingAppservice
  readonly seen: Seen
}

export interface AppserviceUsers {
  /**
   * Who asks, where an application service has shown its own token. Whether it may be this user is for the caller to know.
   * @throws MatrixError 403 M_FORBIDDEN for a user who is not registered, M_USER_DEACTIVATED; 400 M_UNKNOWN_DEVICE
   */
  actAs(acting: Acting): Promise<Requester>
  /**
   * A login without a password. Spec: client-server-api §Appservice login.
   * @throws MatrixError 403 M_FORBIDDEN for a user who is not registered, M_USER_DEACTIVATED; 401 M_USER_LOCKED; those of a bad device
   */
  logInWithoutPassword(userId: string, session: SessionRequest): Promise<Session>
  /**
   * Makes a device that has no token.
   * @throws MatrixError 400 M_INVALID_PARAM, 403 M_FORBIDDEN for the ID of a cross-signing key
   * @returns false where there is one of this ID already, which stays as it is
   */
  createDevice(userId: string, deviceId: string, displayName: string | undefined): Promise<boolean>
  /** Makes the account of the application service itself, if there is none yet. */
  ensureAppserviceUser(userId: string, appserviceId: string): Promise<void>
}

export function createAppserviceUsers({
  store,
  environment,
  activity,
  devices,
}: {
  store: Store
  environment: Environment
  activity: Activity
  devices: Devices
}): AppserviceUsers {
  async function getActive(userId: string): Promise<AccountRow> {
    const row = await store.home.get(accountRows, userId)
    if (!row) throw forbidden('The application service has not registered this user')
    if (row.isDeactivated) throw new MatrixError('M_USER_DEACTIVATED', 403, 'This account has been deactivated')
    return row
  }

  return {
    async actAs({ userId, deviceId, appservice, seen }) {
      const { isAdmin, isLocked, isSuspended } = await getActive(userId)
      if (deviceId !== null) {
        const device = rowKey(userId, deviceId)
        if (!(await store.home.get(deviceRows, device))) {
          throw new MatrixError('M_UNKNOWN_DEVICE', 400, 'The user has no such device')
        }
        activity.note(device, seen, environment.clock.now())
      }
      const tokenId = `appservice ${appservice.id} ${userId}`
      return { userId, deviceId, isAdmin, isGuest: false, isLocked, isSuspended, tokenId, appservice }
    },

    async logInWithoutPassword(userId, session) {
      requireValidSessionRequest(session)
      return store.exclusive(`accounts:${userId}`, async () => {
        if ((await getActive(userId)).isLocked) throw userLocked()
        const { ops, session: fresh, done } = await devices.planSession(userId, session)
        await store.commit(() => ops)
        done()
        return fresh
      })
    },

    async createDevice(userId, deviceId, displayName) {
      requireValidSessionRequest({ deviceId, initialDeviceDisplayName: displayName })
      return store.exclusive(`accounts:${userId}`, async () => {
        await getActive(userId)
        if (await store.home.get(deviceRows, rowKey(userId, deviceId))) return false
        const { ops, done } = await devices.planDevice(userId, deviceId, displayName ?? null)
        await store.commit(() => ops)
        done()
        return true
      })
    },

    async ensureAppserviceUser(userId, appserviceId) {
      await store.exclusive('accounts:create', async () => {
        if (await store.home.get(accountRows, userId)) return
        await store.commit(() => [
          put(accountRows, {
            userId,
            passwordHash: null,
            isAdmin: false,
            isDeactivated: false,
            isErased: false,
            isLocked: false,
            isSuspended: false,
            createdTs: environment.clock.now(),
          }),
          put(appserviceUserRows, { userId, appserviceId }),
        ])
      })
    },
  }
}
