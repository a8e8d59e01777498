import type { Environment } from '../observe/environment.ts'
import type { Store } from '../store/index.ts'
import { type AccountData, type AccountDataChange, createAccountData } from './account-data.ts'
import { createActivity } from './activity.ts'
import { createAnnouncer } from './announcements.ts'
import { type AppserviceUsers, createAppserviceUsers } from './appservice-users.ts'
import type { AccountsForReaders, Session } from './contract.ts'
import { createDevices, type DeviceIdGuard, type Devices } from './devices.ts'
import { createGuests } from './guests.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import { type AttemptLimit, createLogin, type Login } from './login.ts'
import { createModeration, type Moderation } from './moderation.ts'
import { createOAuthSessions, type OAuthSessions } from './oauth-sessions.ts'
import { createOpenIdTokens, type OpenIdTokens } from './openid-tokens.ts'
import { createPasswords, DEFAULT_COST_LOG2 } from './passwords.ts'
import { listPeople, type Person } from './people.ts'
import { createProfileAnnouncements } from './profile-announcements.ts'
import { createProfiles, type Profiles } from './profiles.ts'
import { createRegistration, type Registration } from './registration.ts'
import { createSharedSecret, type SharedSecret } from './shared-secret.ts'
import { accountRows, guestRows } from './store.ts'
import { storedTexts } from './stored-texts.ts'
import { createThirdPartyIds, type ThirdPartyIds } from './third-party-ids.ts'
import { createTokens, DEFAULT_ACCESS_TOKEN_LIFETIME_MS } from './tokens.ts'
import { requireUnreserved } from './usernames.ts'

interface AccountsConfig {
  /** Anyone may register. */
  readonly registrationOpen: boolean
  /** Turns on registration by shared secret. */
  readonly sharedSecret?: string | undefined
  /** scrypt's cost as log2(N); lower only in tests. */
  readonly passwordCostLog2?: number | undefined
  /** Of access tokens that can be refreshed. */
  readonly accessTokenLifetimeMs?: number | undefined
}

/** All use cases of accounts; what the client API calls. Errors are those of the parts that are named. */
export interface Accounts extends AccountsForReaders, Login, Profiles, Moderation, AppserviceUsers, AsyncDisposable {
  readonly isRegistrationOpen: boolean
  readonly sharedSecret: SharedSecret | undefined
  /**
   * Whether a person could choose this name now; without one, the server makes it up.
   * @param guestAccessToken of the guest whose name it is
   * @throws MatrixError as `requireAvailable`, for guests as `Guests.requireUpgradable`
   */
  requireFreeUsername(username: string | undefined, guestAccessToken?: string): Promise<void>
  readonly register: Registration['register']
  readonly hasAccounts: Registration['hasAccounts']
  /** Spec: client-server-api §Refreshing access tokens. @throws MatrixError 401 M_UNKNOWN_TOKEN */
  refresh(refreshToken: string): Promise<Session>
  readonly oauthSessions: OAuthSessions
  readonly openIdTokens: OpenIdTokens
  readonly thirdPartyIds: ThirdPartyIds

  listPeople(): Promise<readonly Person[]>

  readonly renameDevice: Devices['rename']
  readonly removeDevices: Lifecycle['removeDevices']
  readonly removeAllDevices: Lifecycle['removeAllDevices']
  /** e2ee says which IDs are cross-signing keys, so that no device takes one. */
  guardDeviceIds(guard: DeviceIdGuard): void

  readonly changePassword: Lifecycle['changePassword']
  readonly deactivate: Lifecycle['deactivate']
  readonly deactivateGuest: Lifecycle['deactivateGuest']
  /** Goes on with what a stop has cut short. To be called once everybody has subscribed. */
  readonly resume: Lifecycle['resume']

  readonly accountData: Pick<AccountData, 'setAsClient' | 'getContent' | 'tagsOf' | 'setTag' | 'removeTag'>
}

/**
 * @param limitAttempts counts attempts at a password before anything is computed
 * @param isReserved whether an application service has the user ID for itself
 */
export function createAccounts({
  environment,
  store,
  config,
  limitAttempts,
  isReserved = () => false,
}: {
  environment: Environment
  store: Store
  config: AccountsConfig
  limitAttempts: AttemptLimit
  isReserved?: (userId: string) => boolean
}): Accounts {
  const { logger, random } = environment
  const accountDataChanged = createAnnouncer<AccountDataChange>('account-data', logger)
  const deviceAdded = createAnnouncer<{ userId: string; deviceId: string }>('device-added', logger)
  const deviceRenamed = createAnnouncer<{ userId: string; deviceId: string }>('device-renamed', logger)
  const deviceRemoved = createAnnouncer<{ userId: string; deviceId: string }>('device-removed', logger)
  const profileAnnouncements = createProfileAnnouncements(environment, store)

  const shared = { store, environment }
  const passwords = createPasswords({ random, costLog2: config.passwordCostLog2 ?? DEFAULT_COST_LOG2 })
  const activity = createActivity(shared)
  const accessTokenLifetimeMs = config.accessTokenLifetimeMs ?? DEFAULT_ACCESS_TOKEN_LIFETIME_MS
  const tokens = createTokens({ ...shared, activity, accessTokenLifetimeMs })
  const deviceAnnouncers = { added: deviceAdded, renamed: deviceRenamed, removed: deviceRemoved }
  const devices = createDevices({ ...shared, activity, tokens, ...deviceAnnouncers })
  const guests = createGuests({ ...shared, tokens, devices })
  const registration = createRegistration({ ...shared, passwords, devices, guests, isReserved })
  const thirdPartyIds = createThirdPartyIds(shared)
  const { findOwner: findByThirdPartyId } = thirdPartyIds
  const login = createLogin({ ...shared, passwords, devices, limitAttempts, findByThirdPartyId })
  const lifecycle = createLifecycle({ ...shared, passwords, devices })
  const moderation = createModeration({ ...shared, tokens })
  const oauthSessions = createOAuthSessions({ store, tokens, devices, removeDevices: lifecycle.removeDevices })
  const profiles = createProfiles({ store, announcements: profileAnnouncements })
  const accountData = createAccountData({ store, changed: accountDataChanged })

  return {
    ...login,
    ...createAppserviceUsers({ ...shared, activity, devices }),
    ...profiles,
    ...moderation,
    accountData,
    isRegistrationOpen: config.registrationOpen,
    sharedSecret: config.sharedSecret === undefined ? undefined : createSharedSecret(config.sharedSecret, environment),

    async requireFreeUsername(username, guestAccessToken) {
      if (guestAccessToken !== undefined) {
        await guests.requireUpgradable(username, guestAccessToken)
        return
      }
      if (username === undefined) return
      // An application service's claim says more than the custom by which such names begin with an underscore.
      if (!isReserved(`@${username.toLowerCase()}:${environment.serverName}`)) requireUnreserved(username)
      await registration.requireAvailable(username)
    },
    register: registration.register,
    hasAccounts: registration.hasAccounts,

    authenticate: tokens.authenticate,
    refresh: (refreshToken) => tokens.refresh(refreshToken, null),
    oauthSessions,
    openIdTokens: createOpenIdTokens(shared),
    thirdPartyIds,

    async findAccount(userId) {
      const row = await store.home.get(accountRows, userId)
      if (!row) return undefined
      const { isAdmin, isDeactivated, isSuspended, createdTs } = row
      const isGuest = (await store.home.get(guestRows, userId)) !== undefined
      return { userId, isAdmin, isDeactivated, isGuest, isSuspended, createdTs }
    },
    findDevice: devices.find,
    listDevices: devices.list,
    listGuests: guests.list,
    async listErased() {
      const rows = await store.home.range(accountRows, { index: 'userId' })
      return rows.filter(({ isErased }) => isErased).map(({ userId }) => userId)
    },
    listPeople: () => listPeople(store),
    renameDevice: devices.rename,
    removeDevices: lifecycle.removeDevices,
    removeAllDevices: lifecycle.removeAllDevices,
    guardDeviceIds: devices.guardIds,

    changePassword: lifecycle.changePassword,
    deactivate: lifecycle.deactivate,
    deactivateGuest: lifecycle.deactivateGuest,
    async resume() {
      await lifecycle.resume()
      await profileAnnouncements.resume(profiles.profileOf)
    },

    findAccountData: (userId, roomId, type) => accountData.find({ userId, roomId, type }),
    accountDataSince: accountData.since,
    listAccountData: accountData.list,
    storedTexts: () => storedTexts(store),
    setAccountData: accountData.set,

    onAccountData: accountDataChanged.subscribe,
    onDeviceRemoved: deviceRemoved.subscribe,
    onDeviceAdded: deviceAdded.subscribe,
    onDeviceRenamed: deviceRenamed.subscribe,
    onProfileChanged: profileAnnouncements.subscribe,
    onDeactivated: lifecycle.onDeactivated,

    [Symbol.asyncDispose]: () => activity[Symbol.asyncDispose](),
  }
}
