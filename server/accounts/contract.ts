import type { JsonObject } from '../protocol/pdu.ts'

/** Who asks, as found from the access token; `http/` hands it to handlers. */
export interface Requester {
  readonly userId: string
  /** `null` only for application services that act without a device. */
  readonly deviceId: string | null
  readonly isAdmin: boolean
  /** May call what `http/guests.ts` names. Spec: client-server-api §Guest Access. */
  readonly isGuest: boolean
  /** May only log out. `http/` refuses all else. Spec: client-server-api §Account locking. */
  readonly isLocked?: boolean
  /** May read, and little else: see `requireNotSuspended`. Spec: client-server-api §Account suspension. */
  readonly isSuspended?: boolean
  /** Names the token in the store; never the token itself. */
  readonly tokenId: string
  /** The OAuth client that the token was given to; without it the token is of the legacy API. */
  readonly oauthClientId?: string
  /** Set where an application service acts as this user; `userId` is then one of its own. */
  readonly appservice?: ActingAppservice
}

/** An application service that acts with its own token. Spec: application-service-api §Identity assertion. */
export interface ActingAppservice {
  readonly id: string
  /** Requests of this user are not counted. */
  readonly isUnlimited: boolean
}

/** A local account. */
export interface Account {
  readonly userId: string
  readonly isAdmin: boolean
  readonly isDeactivated: boolean
  /** See `Requester`. */
  readonly isGuest: boolean
  /** See `Requester`. */
  readonly isSuspended?: boolean
  readonly createdTs: number
}

export interface Device {
  readonly userId: string
  readonly deviceId: string
  readonly displayName: string | null
  /** Milliseconds since the epoch, a few minutes old at most after a crash. */
  readonly lastSeenTs: number | null
  readonly lastSeenIp: string | null
  readonly lastSeenUserAgent: string | null
  readonly createdTs: number
  /** The OAuth client whose session this is; `null`: one of the legacy API. */
  readonly oauthClientId: string | null
}

/** One value of account data; `roomId` is `null` for the user's own. */
export interface AccountDataEntry {
  readonly userId: string
  readonly roomId: string | null
  readonly type: string
  readonly content: JsonObject
  /** Stream position of its last change. */
  readonly position: number
}

/** Any field; `displayname` and `avatar_url` are the ones that rooms show. */
export type Profile = JsonObject

/** What is known of where a request came from. */
export interface Seen {
  readonly ip: string
  readonly userAgent: string
}

/** Deactivated for good; `erase` where the user wants their content gone as far as possible. */
export interface Deactivation {
  readonly userId: string
  readonly erase: boolean
}

/** What slices above may ask of accounts. */
export interface AccountsForReaders {
  /**
   * Finds who an access token belongs to. From memory for tokens in use: it runs for every request.
   * @throws MatrixError 401 M_UNKNOWN_TOKEN (with `soft_logout` where the token has expired but the device is there)
   */
  authenticate(accessToken: string, seen: Seen): Promise<Requester>
  findAccount(userId: string): Promise<Account | undefined>
  findDevice(userId: string, deviceId: string): Promise<Device | undefined>
  /** All who are guests now, by user ID. */
  listGuests(): Promise<readonly string[]>
  /** All who were deactivated and asked for their content to be erased. */
  listErased(): Promise<readonly string[]>
  /** By device ID. */
  listDevices(userId: string): Promise<readonly Device[]>
  /** Empty for a user without a profile. */
  profileOf(userId: string): Promise<Profile>

  findAccountData(userId: string, roomId: string | null, type: string): Promise<AccountDataEntry | undefined>
  /** Global (`roomId` null) and per-room entries changed after `since` (exclusive) and up to `upTo` (inclusive), oldest first. */
  accountDataSince(userId: string, since: number, upTo: number): Promise<readonly AccountDataEntry[]>
  /** All of one scope. */
  listAccountData(userId: string, roomId: string | null): Promise<readonly AccountDataEntry[]>
  /** JSON texts of all profiles and of everybody's account data, in no order; for finding what they name. */
  storedTexts(): AsyncIterable<string>
  /** Stores without the checks of the client endpoint (server-managed types too), and announces. @returns its position */
  setAccountData(entry: { userId: string; roomId: string | null; type: string; content: JsonObject }): Promise<number>

  onAccountData(
    listener: (change: { userId: string; roomId: string | null; type: string; position: number }) => void,
  ): () => void
  onDeviceRemoved(listener: (change: { userId: string; deviceId: string }) => void): () => void
  onDeviceAdded(listener: (change: { userId: string; deviceId: string }) => void): () => void
  onDeviceRenamed(listener: (change: { userId: string; deviceId: string }) => void): () => void
  /**
   * After a display name or avatar is stored that is another than before: rooms then bring `m.room.member` events up to date. Like `onDeactivated`, it comes again at
   * the next start where a stop, or an error of a listener, came before all had heard.
   */
  onProfileChanged(listener: (change: { userId: string; profile: Profile }) => void | Promise<void>): () => void
  /**
   * After the account is gone: rooms then leave, pushers die. A listener that gives a promise is awaited in the background;
   * until all have succeeded, the announcement comes again at the next start, so what they do must bear repetition.
   */
  onDeactivated(listener: (change: Deactivation) => void | Promise<void>): () => void
}

/** How a login or registration wants its device and tokens. */
export interface SessionRequest {
  /** A known device's tokens are replaced, an unknown one is made; without it the server picks an ID. */
  readonly deviceId?: string | undefined
  /** Only for a device that is not there yet. */
  readonly initialDeviceDisplayName?: string | undefined
  /** The client can refresh, so its access tokens expire. */
  readonly wantsRefreshToken?: boolean | undefined
  /** For a session of an OAuth client: which one, and the scope that it was granted. */
  readonly oauth?: { readonly clientId: string; readonly scope: string } | undefined
}

/** Fresh tokens, in clear only here. */
export interface Session {
  readonly userId: string
  readonly deviceId: string
  readonly accessToken: string
  readonly refreshToken?: string
  /** Milliseconds; without it the access token does not expire. */
  readonly expiresInMs?: number
}

/** How a client names a user who is to prove a password. Spec: client-server-api §Identifier types. */
export type UserIdentifier =
  | { readonly type: 'm.id.user'; readonly user: string }
  | { readonly type: 'm.id.thirdparty'; readonly medium: string; readonly address: string }
  /** No account has one, so these are never found. */
  | { readonly type: 'm.id.phone' }
