import { collection } from '../store/index.ts'

/** A row key of several parts; none but the last may hold NUL, which identifiers never do. */
export function rowKey(...parts: readonly string[]): string {
  return parts.join('\0')
}

export type AccountRow = {
  readonly userId: string
  /** As `passwords.ts` writes it; `null`: nobody can log in by password. */
  readonly passwordHash: string | null
  readonly isAdmin: boolean
  readonly isDeactivated: boolean
  readonly isErased: boolean
  readonly isLocked: boolean
  readonly isSuspended: boolean
  readonly createdTs: number
}
/** Never removed: the name of a deactivated account stays taken. */
export const accountRows = collection<AccountRow>({ name: 'accounts', place: 'home', key: 'userId', indexes: [] })

export type AppserviceUserRow = {
  readonly userId: string
  readonly appserviceId: string
}
/** Accounts that an application service made, or that stand for it: nobody of the household. */
export const appserviceUserRows = collection<AppserviceUserRow>({
  name: 'appservice-users',
  place: 'home',
  key: 'userId',
  indexes: [],
})

export type GuestRow = {
  readonly userId: string
  readonly createdTs: number
}
/** Accounts that are guests now; a row goes when its guest becomes a full account, or is gone. */
export const guestRows = collection<GuestRow>({ name: 'guests', place: 'home', key: 'userId', indexes: [] })

export type DeviceRow = {
  /** `rowKey(userId, deviceId)`. */
  readonly id: string
  readonly userId: string
  readonly deviceId: string
  readonly displayName: string | null
  readonly createdTs: number
  /** The OAuth client whose session this is; `null`, or not there in rows of before OAuth: a session of the legacy API. */
  readonly clientId: string | null
  /** What the OAuth client was granted, as it asked for it. */
  readonly scope: string | null
}
export const deviceRows = collection<DeviceRow>({
  name: 'devices',
  place: 'home',
  key: 'id',
  indexes: ['userId', 'clientId'],
})

export type ActivityRow = {
  /** `rowKey(userId, deviceId)`. */
  readonly id: string
  readonly lastSeenTs: number
  readonly lastSeenIp: string
  readonly lastSeenUserAgent: string
}
/** Apart from the devices, so that writing it late can never bring a removed device back. */
export const activityRows = collection<ActivityRow>({
  name: 'device-activity',
  place: 'home',
  key: 'id',
  indexes: [],
})

/**
 * `pending`: given out by a refresh, and not used yet. `current`: the one that the client uses. `spent`: replaced; kept for one
 * more generation, so that its use can be answered with a soft logout.
 */
export type TokenStatus = 'pending' | 'current' | 'spent'

export type TokenRow = {
  /** SHA-256 of the token, base64url. */
  readonly hash: string
  readonly kind: 'access' | 'refresh'
  /** `rowKey(userId, deviceId)`. */
  readonly device: string
  readonly userId: string
  readonly deviceId: string
  /** Names what was given out together: an access token and its refresh token. */
  readonly pair: string
  readonly status: TokenStatus
  readonly createdTs: number
  /** `null`: never. */
  readonly expiresTs: number | null
}
export const tokenRows = collection<TokenRow>({ name: 'tokens', place: 'home', key: 'hash', indexes: ['device'] })

export type ProfileRow = {
  readonly userId: string
  /** The profile as JSON text. */
  readonly json: string
}
export const profileRows = collection<ProfileRow>({ name: 'profiles', place: 'home', key: 'userId', indexes: [] })

export type AccountDataRow = {
  /** `rowKey(userId, roomId or '', type)`. */
  readonly id: string
  readonly userId: string
  readonly roomId: string | null
  readonly type: string
  /** The content as JSON text. */
  readonly json: string
  readonly position: number
  /** `rowKey(userId, roomId or '')`. */
  readonly scope: string
  /** `orderKey(userId, position)`. */
  readonly order: string
}
export const accountDataRows = collection<AccountDataRow>({
  name: 'account-data',
  place: 'home',
  key: 'id',
  indexes: ['scope', 'order'],
})

export type UntoldProfileRow = {
  /** Stream position of the change. */
  readonly position: number
  readonly userId: string
}
/** Changes of profiles that not every listener has noted yet. */
export const untoldProfileRows = collection<UntoldProfileRow>({
  name: 'untold-profiles',
  place: 'home',
  key: 'position',
  indexes: [],
})

export type DeactivationRow = {
  readonly userId: string
  readonly erase: boolean
}
/** Deactivations that not every listener has worked off yet. */
export const deactivationRows = collection<DeactivationRow>({
  name: 'deactivations',
  place: 'home',
  key: 'userId',
  indexes: [],
})

export type OpenIdTokenRow = {
  /** As of other tokens. */
  readonly hash: string
  readonly userId: string
  readonly expiresTs: number
}
export const openIdTokenRows = collection<OpenIdTokenRow>({
  name: 'openid-tokens',
  place: 'home',
  key: 'hash',
  indexes: ['userId', 'expiresTs'],
})

export type ThirdPartyIdRow = {
  /** `rowKey(medium, address)`. */
  readonly id: string
  readonly userId: string
  /** Canonical. */
  readonly address: string
  readonly validatedTs: number
  readonly addedTs: number
}
/** Each address belongs to one account at most. */
export const thirdPartyIdRows = collection<ThirdPartyIdRow>({
  name: 'third-party-ids',
  place: 'home',
  key: 'id',
  indexes: ['userId'],
})

/** All rows whose index holds exactly this value. */
export function exactly(index: string, value: string): { index: string; from: string; to: string } {
  return { index, from: value, to: `${value}\0` }
}
