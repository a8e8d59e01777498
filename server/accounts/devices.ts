import { forbidden, invalidParam, notFound } from '../../shared/matrix/errors.ts'
import { isDeviceId } from '../../shared/matrix/identifiers.ts'
import type { Environment } from '../observe/environment.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import type { Activity } from './activity.ts'
import type { Announcer } from './announcements.ts'
import type { Device, Session, SessionRequest } from './contract.ts'
import { activityRows, type DeviceRow, deviceRows, exactly, rowKey, tokenRows } from './store.ts'
import type { Tokens } from './tokens.ts'
import { randomText } from './usernames.ts'

/** UTF-16 code units of a device's display name. */
export const MAX_DEVICE_NAME_LENGTH = 256

const GENERATED_LENGTH = 10
const CAPITALS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** A change that is decided and not made yet: `ops` go into one commit, and `done` is called once it is durable. */
export interface Planned {
  readonly ops: readonly Op[]
  readonly done: () => void
}

/** Whether a device ID is one of the user's cross-signing keys, and so must not be a device's. */
export type DeviceIdGuard = (userId: string, deviceId: string) => Promise<boolean>

/** Devices and what hangs on them. Plans are made and committed in the lock of the user (`accounts:<user ID>`). */
export interface Devices {
  find(userId: string, deviceId: string): Promise<Device | undefined>
  list(userId: string): Promise<readonly Device[]>
  /**
   * @throws MatrixError 404 M_NOT_FOUND when the user has no such device
   * @throws MatrixError 400 M_INVALID_PARAM for a name that is too long
   */
  rename(userId: string, deviceId: string, displayName: string): Promise<void>
  /**
   * A login: the device where it is not there yet, and tokens in place of those that it had.
   * Spec: client-server-api §Relationship between access tokens and devices.
   * @throws MatrixError 403 M_FORBIDDEN for the ID of a cross-signing key
   */
  planSession(userId: string, request: SessionRequest): Promise<Planned & { readonly session: Session }>
  /** A device without tokens, which is not there yet. @throws MatrixError 403 M_FORBIDDEN for the ID of a cross-signing key */
  planDevice(userId: string, deviceId: string, displayName: string | null): Promise<Planned>
  /** Devices that are not there are passed over. */
  planRemoval(userId: string, deviceIds: readonly string[]): Promise<Planned>
  guardIds(guard: DeviceIdGuard): void
}

/**
 * Checks what a client asks of its new device, before anything costly is done.
 * @throws MatrixError 400 M_INVALID_PARAM
 */
export function requireValidSessionRequest({ deviceId, initialDeviceDisplayName }: SessionRequest): void {
  if (deviceId !== undefined && !isDeviceId(deviceId)) {
    throw invalidParam('A device ID has 1 to 255 bytes and no control characters')
  }
  if (initialDeviceDisplayName !== undefined) requireDeviceName(initialDeviceDisplayName)
}

function requireDeviceName(name: string): void {
  if (name.length > MAX_DEVICE_NAME_LENGTH) {
    throw invalidParam(`A device's display name has at most ${MAX_DEVICE_NAME_LENGTH} characters`)
  }
}

export function createDevices({
  store,
  environment,
  activity,
  tokens,
  added,
  renamed,
  removed,
}: {
  store: Store
  environment: Environment
  activity: Activity
  tokens: Tokens
  added: Announcer<{ userId: string; deviceId: string }>
  renamed: Announcer<{ userId: string; deviceId: string }>
  removed: Announcer<{ userId: string; deviceId: string }>
}): Devices {
  let isReserved: DeviceIdGuard = async () => false

  async function withActivity(row: DeviceRow): Promise<Device> {
    const seen = await activity.find(row.id)
    return {
      userId: row.userId,
      deviceId: row.deviceId,
      displayName: row.displayName,
      lastSeenTs: seen?.lastSeenTs ?? null,
      lastSeenIp: seen?.lastSeenIp ?? null,
      lastSeenUserAgent: seen?.lastSeenUserAgent ?? null,
      createdTs: row.createdTs,
      oauthClientId: row.clientId ?? null,
    }
  }

  const findRow = (userId: string, deviceId: string): Promise<DeviceRow | undefined> =>
    store.home.get(deviceRows, rowKey(userId, deviceId))

  return {
    async find(userId, deviceId) {
      const row = await findRow(userId, deviceId)
      return row && withActivity(row)
    },

    async list(userId) {
      const rows = await store.home.range(deviceRows, exactly('userId', userId))
      return Promise.all(rows.map(withActivity))
    },

    async rename(userId, deviceId, displayName) {
      requireDeviceName(displayName)
      await store.exclusive(`accounts:${userId}`, async () => {
        const row = await findRow(userId, deviceId)
        if (!row) throw notFound('You have no such device')
        if (row.displayName === displayName) return
        await store.commit(() => [put(deviceRows, { ...row, displayName })])
        renamed.announce({ userId, deviceId })
      })
    },

    async planSession(userId, { deviceId: wished, initialDeviceDisplayName, wantsRefreshToken, oauth }) {
      if (wished !== undefined && (await isReserved(userId, wished))) {
        throw forbidden('This device ID is the ID of a cross-signing key')
      }
      const deviceId = wished ?? randomText(environment.random, GENERATED_LENGTH, CAPITALS_AND_DIGITS)
      const known = await findRow(userId, deviceId)
      const replaced = await tokens.listOf(userId, deviceId)
      const issued = tokens.issue({ userId, deviceId }, wantsRefreshToken ?? false)

      const ops = [...replaced.map((row) => remove(tokenRows, row.hash)), ...issued.ops]
      const granted = { clientId: oauth?.clientId ?? null, scope: oauth?.scope ?? null }
      if (!known) {
        const id = rowKey(userId, deviceId)
        const displayName = initialDeviceDisplayName ?? null
        ops.push(put(deviceRows, { id, userId, deviceId, displayName, createdTs: environment.clock.now(), ...granted }))
      } else if ((known.clientId ?? null) !== granted.clientId || (known.scope ?? null) !== granted.scope) {
        ops.push(put(deviceRows, { ...known, ...granted }))
      }
      return {
        ops,
        session: issued.session,
        done() {
          tokens.evict(replaced)
          if (!known) added.announce({ userId, deviceId })
        },
      }
    },

    async planDevice(userId, deviceId, displayName) {
      if (await isReserved(userId, deviceId)) throw forbidden('This device ID is the ID of a cross-signing key')
      const id = rowKey(userId, deviceId)
      const createdTs = environment.clock.now()
      return {
        ops: [put(deviceRows, { id, userId, deviceId, displayName, createdTs, clientId: null, scope: null })],
        done: () => added.announce({ userId, deviceId }),
      }
    },

    async planRemoval(userId, deviceIds) {
      const found: { deviceId: string; id: string; tokens: Awaited<ReturnType<Tokens['listOf']>> }[] = []
      for (const deviceId of new Set(deviceIds)) {
        const row = await findRow(userId, deviceId)
        if (row) found.push({ deviceId, id: row.id, tokens: await tokens.listOf(userId, deviceId) })
      }
      const ops = found.flatMap((device) => [
        remove(deviceRows, device.id),
        remove(activityRows, device.id),
        ...device.tokens.map((row) => remove(tokenRows, row.hash)),
      ])
      return {
        ops,
        done() {
          for (const { deviceId, id, tokens: rows } of found) {
            tokens.evict(rows)
            activity.forget(id)
            removed.announce({ userId, deviceId })
          }
        },
      }
    },

    guardIds(guard) {
      isReserved = guard
    },
  }
}
