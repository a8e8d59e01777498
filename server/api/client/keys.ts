import { claimKeys, queryKeys, uploadKeys } from '../../../shared/api/client/keys.ts'
import { badJson, forbidden } from '../../../shared/matrix/errors.ts'
import { isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { E2ee } from '../../e2ee/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { JsonObject } from '../../protocol/pdu.ts'

/** How many users one query or claim may name. */
const MAX_USERS = 2_000
/** How long other servers are waited for: what the client wishes within these, and as the specification recommends without it. */
const TIMEOUT_MS = { least: 1_000, most: 60_000, recommended: 10_000 }

export const keysRoutes = (
  e2ee: Pick<E2ee, 'identities' | 'claimOneTimeKey' | 'queryElsewhere' | 'claimElsewhere'>,
  serverName: string,
): readonly Route[] => [
  route(uploadKeys, async ({ body, requester }) => {
    if (requester.deviceId === null) throw forbidden('Keys belong to a device, and this token has none')
    return {
      one_time_key_counts: await e2ee.identities.upload(requester.userId, requester.deviceId, body as JsonObject),
    }
  }),

  route(queryKeys, async ({ body, requester: { userId: asker } }) => {
    const { local, remote } = byPlace(Object.entries(body.device_keys), serverName)
    const elsewhere = e2ee.queryElsewhere(asker, remote, timeoutOf(body.timeout))
    const reply = {
      device_keys: new Map<string, JsonObject>(),
      master_keys: new Map<string, JsonObject>(),
      self_signing_keys: new Map<string, JsonObject>(),
      user_signing_keys: new Map<string, JsonObject>(),
    }
    const [{ found, failures }] = await Promise.all([
      elsewhere,
      ...local.map(async ([userId, deviceIds]) => {
        const keys = await e2ee.identities.query(asker, userId, deviceIds)
        reply.device_keys.set(userId, Object.fromEntries(keys.deviceKeys))
        if (keys.master) reply.master_keys.set(userId, keys.master)
        if (keys.selfSigning) reply.self_signing_keys.set(userId, keys.selfSigning)
        if (keys.userSigning) reply.user_signing_keys.set(userId, keys.userSigning)
      }),
    ])
    for (const [userId, keys] of found) {
      reply.device_keys.set(userId, Object.fromEntries(keys.deviceKeys))
      if (keys.master) reply.master_keys.set(userId, keys.master)
      if (keys.selfSigning) reply.self_signing_keys.set(userId, keys.selfSigning)
    }
    return {
      failures: failuresOf(failures),
      device_keys: Object.fromEntries(reply.device_keys),
      master_keys: Object.fromEntries(reply.master_keys),
      self_signing_keys: Object.fromEntries(reply.self_signing_keys),
      user_signing_keys: Object.fromEntries(reply.user_signing_keys),
    }
  }),

  route(claimKeys, async ({ body }) => {
    const { local, remote } = byPlace(Object.entries(body.one_time_keys), serverName)
    const elsewhere = e2ee.claimElsewhere(remote, timeoutOf(body.timeout))
    const claimed = new Map<string, Record<string, JsonObject>>()
    const ofLocal = local.map(async ([userId, byDevice]) => {
      const ofUser = await Promise.all(
        Object.entries(byDevice).map(async ([deviceId, algorithm]) => {
          const key = await e2ee.claimOneTimeKey(userId, deviceId, algorithm)
          return key && ([deviceId, Object.fromEntries([[key.name, key.key]])] as const)
        }),
      )
      const found = ofUser.filter((entry) => entry !== undefined)
      if (found.length > 0) claimed.set(userId, Object.fromEntries(found))
    })
    const [{ found, failures }] = await Promise.all([elsewhere, ...ofLocal])
    for (const [userId, keys] of found) claimed.set(userId, Object.fromEntries(keys))
    return { failures: failuresOf(failures), one_time_keys: Object.fromEntries(claimed) }
  }),
]

/** Users of this server, and those of others. */
function byPlace<V>(
  entries: readonly (readonly [string, V])[],
  serverName: string,
): { local: readonly (readonly [string, V])[]; remote: ReadonlyMap<string, V> } {
  if (entries.length > MAX_USERS) throw badJson(`At most ${MAX_USERS} users in one request`)
  for (const [userId] of entries) if (!isUserId(userId)) throw badJson('The keys must be user IDs')
  const isLocal = ([userId]: readonly [string, V]): boolean => serverNameOf(userId) === serverName
  return { local: entries.filter(isLocal), remote: new Map(entries.filter((entry) => !isLocal(entry))) }
}

function timeoutOf(wished: number | undefined): number {
  return Math.min(Math.max(wished ?? TIMEOUT_MS.recommended, TIMEOUT_MS.least), TIMEOUT_MS.most)
}

function failuresOf(
  failures: ReadonlyMap<string, { readonly errcode: string; readonly error: string }>,
): Record<string, JsonObject> {
  return Object.fromEntries([...failures].map(([server, { errcode, error }]) => [server, { errcode, error }]))
}
