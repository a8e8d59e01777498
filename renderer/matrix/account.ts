import { type MatrixClient, type MatrixEvent, type User, UserEvent } from 'matrix-js-sdk'
import type { CryptoApi } from 'matrix-js-sdk/lib/crypto-api'
import { plainName } from './event-rows.ts'
import { failureOf, isRecord } from './failure.ts'
import type { DeviceRow, Person } from './rows.ts'
import { throughStages } from './sign-in.ts'
import { createSignal, type Unsubscribe } from './signal.ts'

export interface Account {
  readonly profile: () => Person
  readonly onProfile: (listener: (profile: Person) => void) => Unsubscribe
  readonly setName: (name: string) => Promise<void>
  /** @param mxc an uploaded picture, or `null` for none */
  readonly setAvatar: (mxc: string | null) => Promise<void>
  readonly listDevices: () => Promise<readonly DeviceRow[]>
  readonly renameDevice: (deviceId: string, name: string) => Promise<void>
  /** Signs another device out. @param password the server asks for it again */
  readonly removeDevice: (deviceId: string, password: string) => Promise<void>
  /** Renames the home; only its administrators may. */
  readonly renameHome: (name: string) => Promise<void>
}

/** The person's own account: profile and devices. Every action throws a `Failure`. */
export function createAccount(
  client: MatrixClient,
  crypto: CryptoApi,
  requestHome: (body: Record<string, unknown>) => Promise<unknown>,
): Account & { close: () => void; start: () => Promise<void> } {
  const userId = client.getSafeUserId()
  const changed = createSignal<Person>()
  let profile: Person = { userId, name: plainName(userId), avatar: null }

  /** The SDK says the address where there is no name. */
  const shownName = (user: User): string =>
    user.rawDisplayName && user.rawDisplayName !== userId ? user.rawDisplayName : plainName(userId)

  const set = (part: Partial<Person>): void => {
    profile = { ...profile, ...part }
    changed.emit(profile)
  }
  const onUser = (_event: MatrixEvent | undefined, user: User): void => {
    if (user.userId !== userId) return
    set({ name: shownName(user), avatar: user.avatarUrl || null })
  }
  client.on(UserEvent.DisplayName, onUser)
  client.on(UserEvent.AvatarUrl, onUser)

  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw failureOf(error)
    }
  }

  return {
    profile: () => profile,
    onProfile: changed.on,
    start: () =>
      guarded(async () => {
        const found = await client.getProfileInfo(userId)
        set({ name: found.displayname || plainName(userId), avatar: found.avatar_url ?? null })
      }),
    setName: (name) =>
      guarded(async () => {
        await client.setDisplayName(name.trim())
        set({ name: name.trim() || plainName(userId) })
      }),
    setAvatar: (mxc) =>
      guarded(async () => {
        await client.setAvatarUrl(mxc ?? '')
        set({ avatar: mxc })
      }),
    listDevices: () =>
      guarded(async () => {
        const { devices } = await client.getDevices()
        const rows = await Promise.all(
          devices.map(async (device): Promise<DeviceRow> => {
            const status = await crypto.getDeviceVerificationStatus(userId, device.device_id)
            return {
              deviceId: device.device_id,
              name: device.display_name || device.device_id,
              lastSeenTs: device.last_seen_ts ?? null,
              isThisOne: device.device_id === client.getDeviceId(),
              isTrusted: status?.crossSigningVerified ?? false,
            }
          }),
        )
        return rows.sort(
          (a, b) => Number(b.isThisOne) - Number(a.isThisOne) || (b.lastSeenTs ?? 0) - (a.lastSeenTs ?? 0),
        )
      }),
    renameDevice: (deviceId, name) =>
      guarded(async () => void (await client.setDeviceDetails(deviceId, { display_name: name.trim() }))),
    removeDevice: (deviceId, password) =>
      guarded(async () => {
        await throughStages(
          (auth) => client.deleteMultipleDevices([deviceId], auth as never),
          (stage) =>
            stage === 'm.login.password'
              ? { identifier: { type: 'm.id.user', user: userId }, password }
              : stage === 'm.login.dummy'
                ? {}
                : undefined,
        )
      }),
    renameHome: (name) =>
      guarded(async () => {
        const answer = await requestHome({ name: name.trim() })
        if (!isRecord(answer)) return
      }),
    close: () => {
      client.off(UserEvent.DisplayName, onUser)
      client.off(UserEvent.AvatarUrl, onUser)
    },
  }
}
