import { forbidden, invalidParam, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import { isMxcUri, isNamespacedIdentifier, utf8ByteLength } from '../../shared/matrix/identifiers.ts'
import type { Json } from '../protocol/pdu.ts'
import { put, type Store } from '../store/index.ts'
import type { Profile } from './contract.ts'
import type { ProfileAnnouncements } from './profile-announcements.ts'
import { accountRows, profileRows } from './store.ts'

/** The whole profile as JSON must stay under this. Spec: client-server-api §PUT /profile/{userId}/{keyName}. */
export const MAX_PROFILE_BYTES = 65_536
/** Of a field's name. */
export const MAX_KEY_BYTES = 255
/** It goes into the member event of every room, and those have an end. */
export const MAX_DISPLAY_NAME_BYTES = 1_024
const MAX_AVATAR_URL_BYTES = 1_024
const MAX_TIME_ZONE_BYTES = 255

/** Spec: client-server-api §Events on Change of Profile Information. */
const SHOWN_IN_ROOMS = ['displayname', 'avatar_url']

/** Spec: client-server-api §Profiles. */
export interface Profiles {
  /** Empty for a user without one. */
  profileOf(userId: string): Promise<Profile>
  /** @throws MatrixError 404 M_NOT_FOUND when there is no such account, or it was deactivated */
  getProfile(userId: string): Promise<Profile>
  /** @throws MatrixError 404 M_NOT_FOUND, also for a field that is not set */
  getProfileField(userId: string, key: string): Promise<Json>
  /**
   * An empty `displayname` or `avatar_url` removes the field, as clients of older versions of the specification expect.
   * @throws MatrixError 400 M_INVALID_PARAM, M_KEY_TOO_LARGE, M_PROFILE_TOO_LARGE
   */
  setProfileField(userId: string, key: string, value: Json): Promise<void>
  /** Removing what is not there changes nothing. @throws MatrixError 400 M_INVALID_PARAM, M_KEY_TOO_LARGE */
  removeProfileField(userId: string, key: string): Promise<void>
}

/**
 * Spec: client-server-api §PUT /profile/{userId}/{keyName}; appendices §Common Namespaced Identifier Grammar.
 * @throws MatrixError 400 M_KEY_TOO_LARGE, M_INVALID_PARAM
 */
export function requireProfileKey(key: string): void {
  if (utf8ByteLength(key) > MAX_KEY_BYTES) {
    throw new MatrixError('M_KEY_TOO_LARGE', 400, `The name of a profile field has at most ${MAX_KEY_BYTES} bytes`)
  }
  if (!isNamespacedIdentifier(key)) {
    throw invalidParam('The name of a profile field begins with a to z and holds only a to z, 0 to 9, -, _ and .')
  }
}

/** What the specification says of the fields that it defines; any other may hold any JSON. */
function requireProfileValue(key: string, value: Json): void {
  if (key === 'displayname') requireText(key, value, MAX_DISPLAY_NAME_BYTES)
  else if (key === 'm.tz') requireText(key, value, MAX_TIME_ZONE_BYTES)
  else if (key === 'avatar_url') {
    requireText(key, value, MAX_AVATAR_URL_BYTES)
    if (value !== '' && !isMxcUri(value)) throw invalidParam("'avatar_url' must be an mxc:// URI")
  }
}

function requireText(key: string, value: Json, maxBytes: number): asserts value is string {
  if (typeof value !== 'string') throw invalidParam(`'${key}' must be a string`)
  if (utf8ByteLength(value) > maxBytes) throw invalidParam(`'${key}' has at most ${maxBytes} bytes`)
}

export function createProfiles({
  store,
  announcements,
}: {
  store: Store
  announcements: ProfileAnnouncements
}): Profiles {
  async function profileOf(userId: string): Promise<Profile> {
    const row = await store.home.get(profileRows, userId)
    return row ? (JSON.parse(row.json) as Profile) : {}
  }

  async function getProfile(userId: string): Promise<Profile> {
    const account = await store.home.get(accountRows, userId)
    if (!account || account.isDeactivated) throw notFound('There is no such user here')
    return profileOf(userId)
  }

  /** @param change gives the new profile, or `undefined` where there is nothing to do */
  async function update(userId: string, change: (profile: Profile) => Profile | undefined): Promise<void> {
    await store.exclusive(`accounts:${userId}`, async () => {
      const account = await store.home.get(accountRows, userId)
      if (!account || account.isDeactivated) throw forbidden('This account has been deactivated')
      const before = await profileOf(userId)
      const profile = change(before)
      if (!profile) return
      const json = JSON.stringify(profile)
      if (Buffer.byteLength(json) >= MAX_PROFILE_BYTES) {
        throw new MatrixError('M_PROFILE_TOO_LARGE', 400, 'The profile must stay under 64 KiB')
      }
      // A new time zone must not take away a name that a user has chosen for one room.
      const isShown = SHOWN_IN_ROOMS.some((key) => before[key] !== profile[key])
      const position = await store.commit((at) => [
        put(profileRows, { userId, json }),
        ...(isShown ? [announcements.noteOp(userId, at)] : []),
      ])
      if (isShown) announcements.announce({ userId, profile }, position)
    })
  }

  function removeField(userId: string, key: string): Promise<void> {
    return update(userId, (profile) => {
      if (!Object.hasOwn(profile, key)) return undefined
      const { [key]: _removed, ...others } = profile
      return others
    })
  }

  return {
    profileOf,
    getProfile,

    async getProfileField(userId, key) {
      requireProfileKey(key)
      const profile = await getProfile(userId)
      if (!Object.hasOwn(profile, key)) throw notFound('The profile has no such field')
      return profile[key] as Json
    },

    async setProfileField(userId, key, value) {
      requireProfileKey(key)
      requireProfileValue(key, value)
      if (value === '' && (key === 'displayname' || key === 'avatar_url')) await removeField(userId, key)
      else await update(userId, (profile) => ({ ...profile, [key]: value }))
    },

    async removeProfileField(userId, key) {
      requireProfileKey(key)
      await removeField(userId, key)
    },
  }
}
