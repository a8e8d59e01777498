import { claimKeys, queryKeys, uploadKeys } from '../../../shared/api/client/keys.ts'
import { badJson, forbidden } from '../../../shared/matrix/errors.ts'
import { isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { E2ee } from '../../e2ee/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { JsonObject } from '../../protocol/pdu.ts'

/** How many users one query or claim may name. */
const MAX_USERS = 2_000

export const keysRoutes = (
  e2ee: Pick<E2ee, 'identities' | 'claimOneTimeKey'>,
  serverName: string,
): readonly Route[] => [
  route(uploadKeys, async ({ body, requester }) => {
    if (requester.deviceId === null) throw forbidden('Keys belong to a device, and this token has none')
    return {
      one_time_key_counts: await e2ee.identities.upload(requester.userId, requester.deviceId, body as JsonObject),
    }
  }),

  route(queryKeys, async ({ body, requester }) => {
    const { local, failures } = byPlace(Object.entries(body.device_keys), serverName)
    const reply = {
      failures,
      device_keys: new Map<string, JsonObject>(),
      master_keys: new Map<string, JsonObject>(),
      self_signing_keys: new Map<string, JsonObject>(),
      user_signing_keys: new Map<string, JsonObject>(),
    }
    for (const [userId, deviceIds] of local) {
      const keys = await e2ee.identities.query(requester.userId, userId, deviceIds)
      reply.device_keys.set(userId, Object.fromEntries(keys.deviceKeys))
      if (keys.master) reply.master_keys.set(userId, keys.master)
      if (keys.selfSigning) reply.self_signing_keys.set(userId, keys.selfSigning)
      if (keys.userSigning) reply.user_signing_keys.set(userId, keys.userSigning)
    }
    return {
      failures,
      device_keys: Object.fromEntries(reply.device_keys),
      master_keys: Object.fromEntries(reply.master_keys),
      self_signing_keys: Object.fromEntries(reply.self_signing_keys),
      user_signing_keys: Object.fromEntries(reply.user_signing_keys),
    }
  }),

  route(claimKeys, async ({ body }) => {
    const { local, failures } = byPlace(Object.entries(body.one_time_keys), serverName)
    const claimed = new Map<string, Record<string, JsonObject>>()
    for (const [userId, byDevice] of local) {
      const ofUser = await Promise.all(
        Object.entries(byDevice).map(async ([deviceId, algorithm]) => {
          const key = await e2ee.claimOneTimeKey(userId, deviceId, algorithm)
          return key && ([deviceId, Object.fromEntries([[key.name, key.key]])] as const)
        }),
      )
      const found = ofUser.filter((entry) => entry !== undefined)
      if (found.length > 0) claimed.set(userId, Object.fromEntries(found))
    }
    return { failures, one_time_keys: Object.fromEntries(claimed) }
  }),
]

/** Users of this server, and the servers that cannot be asked: to others' users no way leads without federation. */
function byPlace<V>(
  entries: readonly (readonly [string, V])[],
  serverName: string,
): { local: readonly (readonly [string, V])[]; failures: Record<string, JsonObject> } {
  if (entries.length > MAX_USERS) throw badJson(`At most ${MAX_USERS} users in one request`)
  const local: (readonly [string, V])[] = []
  const failures = new Map<string, JsonObject>()
  for (const entry of entries) {
    const [userId] = entry
    if (!isUserId(userId)) throw badJson('The keys must be user IDs')
    const server = serverNameOf(userId)
    if (server === serverName) local.push(entry)
    else failures.set(server, { errcode: 'M_UNREACHABLE', error: 'This server cannot be reached' })
  }
  return { local, failures: Object.fromEntries(failures) }
}
