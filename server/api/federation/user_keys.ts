import { claimUserEncryptionKeys, queryUserEncryptionKeys } from '../../../shared/api/federation/user_keys.ts'
import { badJson } from '../../../shared/matrix/errors.ts'
import type { E2ee } from '../../e2ee/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import { requireUsersOf } from './users-of.ts'

/** How many users one request may name, and how many of their devices one claim may. */
const MAX_USERS = 2_000
const MAX_DEVICES = 10_000

export const userKeysRoutes = (e2ee: Pick<E2ee, 'identities' | 'claimOneTimeKey'>, home: string): readonly Route[] => [
  route(queryUserEncryptionKeys, async ({ body }) => {
    const asked = Object.entries(body.device_keys)
    requireOwn(home, asked)
    const devices = new Map<string, JsonObject>()
    const masters = new Map<string, JsonObject>()
    const selfSigning = new Map<string, JsonObject>()
    for (const [userId, deviceIds] of asked) {
      const keys = await e2ee.identities.query(null, userId, deviceIds)
      devices.set(userId, Object.fromEntries(keys.deviceKeys))
      if (keys.master) masters.set(userId, keys.master)
      if (keys.selfSigning) selfSigning.set(userId, keys.selfSigning)
    }
    return {
      device_keys: Object.fromEntries(devices),
      master_keys: Object.fromEntries(masters),
      self_signing_keys: Object.fromEntries(selfSigning),
    }
  }),

  route(claimUserEncryptionKeys, async ({ body }) => {
    const asked = Object.entries(body.one_time_keys)
    requireOwn(home, asked)
    const wishes = asked.flatMap(([userId, byDevice]) =>
      Object.entries(byDevice).map(([deviceId, algorithm]) => ({ userId, deviceId, algorithm })),
    )
    if (wishes.length > MAX_DEVICES) throw badJson(`At most ${MAX_DEVICES} devices in one request`)
    const claimed = new Map<string, [string, JsonObject][]>()
    for (const { userId, deviceId, algorithm } of wishes) {
      const key = await e2ee.claimOneTimeKey(userId, deviceId, algorithm)
      if (!key) continue
      const ofUser = claimed.get(userId) ?? []
      claimed.set(userId, [...ofUser, [deviceId, Object.fromEntries([[key.name, key.key]])]])
    }
    return {
      one_time_keys: Object.fromEntries(
        [...claimed].map(([userId, byDevice]) => [userId, Object.fromEntries(byDevice)]),
      ),
    }
  }),
]

function requireOwn(home: string, asked: readonly (readonly [string, unknown])[]): void {
  if (asked.length > MAX_USERS) throw badJson(`At most ${MAX_USERS} users in one request`)
  requireUsersOf(
    home,
    asked.map(([userId]) => userId),
  )
}
