/** Profiles of users of other servers, asked for where they are. Spec: server-server-api §Querying for information. */
import { queryProfile } from '../../shared/api/federation/query.ts'
import { limitExceeded, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import { type FederationClient, RemoteRefusal } from '../federation/index.ts'
import { RemoteError } from '../net/index.ts'
import type { Clock } from '../observe/environment.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import type { Profile } from './contract.ts'
import { MAX_PROFILE_BYTES, requireProfileKey } from './profiles.ts'

/** Clients ask for the same profile many times over while they draw a room. */
const KEPT_MS = 60_000
const MAX_KEPT = 2_000
/** Larger answers are not kept: most profiles have a name and a picture. */
const MAX_KEPT_LENGTH = 4_096
/** Profile and the JSON around it. */
const MAX_ANSWER_BYTES = 2 * MAX_PROFILE_BYTES
const TIMEOUT_MS = 20_000
/** Nobody need be known to ask for profiles, so that what they make us do has an end. */
const MAX_ASKED_AT_ONCE = 100

export interface RemoteProfiles {
  /** @throws MatrixError 404 M_NOT_FOUND, 403 M_FORBIDDEN as that server says; 502, 504 where it gives no answer; 429 */
  get(userId: string): Promise<Profile>
  /** @throws MatrixError as `get`; 404 M_NOT_FOUND also for a field that is not set; 400 as `requireProfileKey` */
  getField(userId: string, key: string): Promise<Json>
}

export function createRemoteProfiles(deps: {
  readonly client: Pick<FederationClient, 'call'>
  readonly clock: Clock
}): RemoteProfiles {
  const { client, clock } = deps
  const kept = new Map<string, { readonly profile: Profile; readonly untilTs: number }>()
  const running = new Map<string, Promise<Profile>>()

  /** @param field without it all of them */
  async function ask(userId: string, field: string | undefined): Promise<Profile> {
    try {
      const answer = await client.call(serverNameOf(userId), queryProfile, {
        path: {},
        query: { user_id: userId, ...(field !== undefined && { field }) },
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
      })
      return profileIn(answer as JsonObject)
    } catch (error) {
      throw forClient(error)
    }
  }

  function find(userId: string, field: string | undefined): Promise<Profile> {
    const key = JSON.stringify([userId, field])
    const known = kept.get(key)
    if (known && clock.now() < known.untilTs) return Promise.resolve(known.profile)
    const underWay = running.get(key)
    if (underWay) return underWay
    if (running.size >= MAX_ASKED_AT_ONCE) throw limitExceeded(1_000)
    const asked = ask(userId, field)
      .then((profile) => {
        kept.delete(key)
        if (JSON.stringify(profile).length <= MAX_KEPT_LENGTH) {
          kept.set(key, { profile, untilTs: clock.now() + KEPT_MS })
        }
        for (const oldest of kept.keys()) {
          if (kept.size <= MAX_KEPT) break
          kept.delete(oldest)
        }
        return profile
      })
      .finally(() => running.delete(key))
    running.set(key, asked)
    return asked
  }

  return {
    get: async (userId) => find(userId, undefined),

    async getField(userId, key) {
      requireProfileKey(key)
      const all = kept.get(JSON.stringify([userId, undefined]))
      const profile = all && clock.now() < all.untilTs ? all.profile : await find(userId, key)
      if (!Object.hasOwn(profile, key)) throw notFound('The profile has no such field')
      return profile[key] as Json
    },
  }
}

/** Servers say `null` of a field that is not set; name and picture are texts, or not there. */
function profileIn(answer: JsonObject): Profile {
  const isField = ([key, value]: readonly [string, Json]): boolean =>
    value !== null && (typeof value === 'string' || (key !== 'displayname' && key !== 'avatar_url'))
  return Object.fromEntries(Object.entries(answer).filter(isField))
}

function forClient(error: unknown): unknown {
  if (error instanceof RemoteRefusal) {
    if (error.status === 404) return notFound('There is no such user, or the profile has no such field')
    if (error.status === 403) return new MatrixError('M_FORBIDDEN', 403, 'The other server does not show this profile')
    if (error.status === 429) return limitExceeded(5_000)
    return new MatrixError('M_UNKNOWN', 502, 'The other server did not give the profile')
  }
  if (!(error instanceof RemoteError)) return error
  return error.failure === 'timeout'
    ? new MatrixError('M_UNKNOWN', 504, 'The other server did not answer in time')
    : new MatrixError('M_UNKNOWN', 502, 'The other server could not be reached')
}
