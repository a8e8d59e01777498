/**
 * The composition root: the only place that builds slices and wires their announcements. One block for each slice, lowest
 * first, so that a block only names those above it in this file.
 */

import { join } from 'node:path'
import { DEHYDRATED_DEVICES_FEATURE } from '../../shared/api/client/dehydrated-devices-msc3814.ts'
import { SLIDING_SYNC_FEATURE } from '../../shared/api/client/sync-msc4186.ts'
import {
  type Accounts,
  canonicalEmail,
  createAccounts,
  createRemoteProfiles,
  type RemoteProfiles,
} from '../accounts/index.ts'
import { sharedSecretRoutes } from '../api/admin/register.ts'
import { accountDeactivationRoutes } from '../api/client/account_deactivation.ts'
import { accountDataRoutes } from '../api/client/account-data.ts'
import { adminRoutes } from '../api/client/admin.ts'
import { administrativeContactRoutes } from '../api/client/administrative_contact.ts'
import { appservicePingRoutes } from '../api/client/appservice_ping.ts'
import { appserviceRoomDirectoryRoutes } from '../api/client/appservice_room_directory.ts'
import { authedContentRepoRoutes } from '../api/client/authed-content-repo.ts'
import { banningRoutes } from '../api/client/banning.ts'
import { capabilitiesRoutes } from '../api/client/capabilities.ts'
import { contentRepoRoutes } from '../api/client/content-repo.ts'
import { createRoomRoutes } from '../api/client/create_room.ts'
import { crossSigningRoutes } from '../api/client/cross_signing.ts'
import { dehydratedDevicesRoutes } from '../api/client/dehydrated-devices.ts'
import { delayedEventsRoutes } from '../api/client/delayed-events-msc4140.ts'
import { deviceManagementRoutes } from '../api/client/device_management.ts'
import { directoryRoutes } from '../api/client/directory.ts'
import { createRequestEmail } from '../api/client/email-requests.ts'
import { eventContextRoutes } from '../api/client/event_context.ts'
import { filterRoutes } from '../api/client/filter.ts'
import { invitingRoutes } from '../api/client/inviting.ts'
import { joiningRoutes } from '../api/client/joining.ts'
import { keyBackupRoutes } from '../api/client/key_backup.ts'
import { keysRoutes } from '../api/client/keys.ts'
import { kickingRoutes } from '../api/client/kicking.ts'
import { knockingRoutes } from '../api/client/knocking.ts'
import { leavingRoutes } from '../api/client/leaving.ts'
import { listJoinedRoomsRoutes } from '../api/client/list_joined_rooms.ts'
import { listPublicRoomsRoutes } from '../api/client/list_public_rooms.ts'
import { loginRoutes } from '../api/client/login.ts'
import { loginTokenRoutes } from '../api/client/login_token.ts'
import { logoutRoutes } from '../api/client/logout.ts'
import { messagePaginationRoutes } from '../api/client/message_pagination.ts'
import { mutualRoomsRoutes } from '../api/client/mutual_rooms.ts'
import { notificationRoutes } from '../api/client/notifications.ts'
import { issuerOf, oauthServerMetadataRoutes } from '../api/client/oauth_server_metadata.ts'
import { oldSyncRoutes } from '../api/client/old_sync.ts'
import { openIdRoutes } from '../api/client/openid.ts'
import { passwordManagementRoutes } from '../api/client/password_management.ts'
import { presenceRoutes } from '../api/client/presence.ts'
import { profileRoutes } from '../api/client/profile.ts'
import { pusherRoutes } from '../api/client/pusher.ts'
import { pushRulesRoutes } from '../api/client/pushrules.ts'
import { readMarkerRoutes } from '../api/client/read_markers.ts'
import { receiptRoutes } from '../api/client/receipts.ts'
import { redactionRoutes } from '../api/client/redaction.ts'
import { refreshRoutes } from '../api/client/refresh.ts'
import { registrationRoutes } from '../api/client/registration.ts'
import { registrationTokenValidityRoutes } from '../api/client/registration_tokens.ts'
import { relationsRoutes } from '../api/client/relations.ts'
import { reportContentRoutes } from '../api/client/report_content.ts'
import { roomEventByTimestampRoutes } from '../api/client/room_event_by_timestamp.ts'
import { roomInitialSyncRoutes } from '../api/client/room_initial_sync.ts'
import { roomSendRoutes } from '../api/client/room_send.ts'
import { roomStateRoutes } from '../api/client/room_state.ts'
import { roomSummaryRoutes } from '../api/client/room_summary.ts'
import { roomUpgradesRoutes } from '../api/client/room_upgrades.ts'
import { roomsRoutes } from '../api/client/rooms.ts'
import { searchRoutes } from '../api/client/search.ts'
import { spaceHierarchyRoutes } from '../api/client/space_hierarchy.ts'
import { syncRoutes } from '../api/client/sync.ts'
import { slidingSyncRoutes } from '../api/client/sync-msc4186.ts'
import { tagRoutes } from '../api/client/tags.ts'
import { thirdPartyLookupRoutes } from '../api/client/third_party_lookup.ts'
import { threadsListRoutes } from '../api/client/threads_list.ts'
import { toDeviceRoutes } from '../api/client/to_device.ts'
import { typingRoutes } from '../api/client/typing.ts'
import { usersRoutes } from '../api/client/users.ts'
import { versionsRoutes } from '../api/client/versions.ts'
import { voipRoutes } from '../api/client/voip.ts'
import { whoamiRoutes } from '../api/client/whoami.ts'
import { emailLinkRoutes } from '../api/fallback/email-link-page.ts'
import { fallbackRoutes } from '../api/fallback/index.ts'
import { exchangeOpenIdRoutes } from '../api/federation/openid.ts'
import { guestAccessRoutes } from '../api/hearth/guest-access.ts'
import { homeRoutes } from '../api/hearth/home.ts'
import { hearthMediaRoutes } from '../api/hearth/media.ts'
import { mediaRetentionRoutes } from '../api/hearth/media-retention.ts'
import { hearthPushRoutes } from '../api/hearth/push.ts'
import { registrationTokensRoutes } from '../api/hearth/registration-tokens.ts'
import { reportsRoutes } from '../api/hearth/reports.ts'
import { retentionRoutes } from '../api/hearth/retention.ts'
import { serverNoticesRoutes } from '../api/hearth/server-notices.ts'
import { termsRoutes } from '../api/hearth/terms.ts'
import { oauthRoutes } from '../api/oauth/index.ts'
import { pushNotifierRoutes } from '../api/push-gateway/push_notifier.ts'
import { type WellKnown, wellKnownRoutes } from '../api/well-known/index.ts'
import { type Appservices, createAppservices } from '../appservices/index.ts'
import { createE2ee } from '../e2ee/index.ts'
import { openEphemeral } from '../ephemeral/index.ts'
import type { Doorkeeper, LookupSrv } from '../federation/index.ts'
import { createHousehold, type Household } from '../household/index.ts'
import type { EdgeOptions } from '../http/mount.ts'
import { RateLimits } from '../http/rate-limit.ts'
import type { Route } from '../http/route.ts'
import { createUia, type StageChecks, type Uia } from '../http/uia.ts'
import { createEmailValidation, createKeyValidity, type EmailValidation } from '../identity/index.ts'
import { createMail } from '../mail/index.ts'
import { createFetchRemote, createMedia } from '../media/index.ts'
import type { Outbound } from '../net/index.ts'
import { createOAuth, type OAuth } from '../oauth/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { Measure } from '../observe/metrics.ts'
import { createReports } from '../policy/index.ts'
import { createPush } from '../push/index.ts'
import { createRooms, noticeSender, type Rooms } from '../rooms/index.ts'
import { createSearch } from '../search/index.ts'
import type { Store } from '../store/index.ts'
import { createSync } from '../sync/index.ts'
import type { Config } from './config.ts'
import { connectFederation, openFederation } from './federation.ts'
import type { Identity } from './identity.ts'
import type { Inputs } from './inputs.ts'
import { neighboursIn } from './neighbours.ts'

/** The largest file that a person may share. */
const MAX_UPLOAD_BYTES = 100 * 1024 * 1024

/** What the slices are built from. */
export interface Given {
  readonly config: Config
  readonly environment: Environment
  readonly identity: Identity
  readonly store: Store
  readonly inputs: Inputs
  /** The only way to other machines. */
  readonly outbound: Outbound
  readonly wellKnown: WellKnown
  readonly lookupSrv: LookupSrv | undefined
  /** For tests, which make many accounts; otherwise accounts' own. */
  readonly passwordCostLog2?: number | undefined
}

/** The slices, wired, and what the HTTP edge needs of them. */
export interface Composed extends AsyncDisposable {
  readonly routes: readonly Route[]
  readonly rateLimits: RateLimits
  /** What `/metrics` shows of the slices. */
  readonly measures: readonly Measure[]
  readonly authenticate: EdgeOptions['authenticate']
  readonly isAppserviceToken: (accessToken: string) => boolean
  readonly doorkeeper: Doorkeeper
  /** What whoever claims this home must know; `null` once it is claimed. */
  claimCode(): string | null
}

export async function compose({
  config,
  environment,
  identity,
  store,
  inputs,
  outbound,
  wellKnown,
  lookupSrv,
  passwordCostLog2,
}: Given): Promise<Composed> {
  const rateLimits = new RateLimits(environment.clock, config.rate_limits.enabled)
  /** What is beyond the specification, by the names that clients look for in `/versions`. */
  const unstableFeatures: Record<string, boolean> = {}
  const routes: Route[] = []
  const measures: Measure[] = [
    { name: 'store_commits', help: 'Stream position of the newest commit', kind: 'gauge', read: () => store.position },
  ]
  /** Given back in reverse; at once where a later slice cannot be built. */
  await using owned = new AsyncDisposableStack()

  // --- the way to other servers
  const federation = await openFederation({ config, environment, identity, store, outbound, lookupSrv })

  // --- application services, which hear of what happens once all others are there
  const registrations = inputs.applicationServices
  const appservices = createAppservices({ environment, store, outbound, registrations })

  // --- mail, where the configuration names a server for it
  const mail = createMail({ environment, config: config.mail })
  if (mail) owned.use(mail)

  // --- accounts
  const accounts = owned.use(
    createAccounts({
      environment,
      store,
      config: {
        registrationOpen: config.registration.open,
        sharedSecret: config.registration.shared_secret ?? undefined,
        passwordCostLog2,
      },
      limitAttempts: ({ userId, ip }) => rateLimits.take('loginAccount', `${userId} ${ip}`),
      isReserved: (userId) => userId === noticeSender(environment.serverName) || appservices.isReservedUser(userId),
    }),
  )

  // --- identity
  const baseUrl = (): string => wellKnown.baseUrl() ?? ''
  const linkBase = (): string => `${baseUrl()}/_hearth/client/v1/email/submit_token`
  const homeName = async (): Promise<string> => (await household.describe()).name ?? environment.serverName
  const emails = createEmailValidation({ environment, store, accounts, mail, linkBase, homeName })

  // --- household, and what people show before they may do something
  const household = await createHousehold({ environment, store, accounts })
  const uia = createUia({
    environment,
    checks: {
      findByPassword: accounts.findByPassword,
      isRegistrationToken: household.registrationTokens.isValid,
      findEmailProof: (session) => findEmailProof(emails, accounts, session),
    },
  })

  // --- oauth
  const remoteProfiles = createRemoteProfiles({ client: federation.client, clock: environment.clock })
  const oauth = owned.use(createOAuth({ environment, store, accounts, issuer: () => issuerOf(baseUrl()) }))
  routes.push(
    ...accountRoutes({
      accounts,
      remoteProfiles,
      home: environment.serverName,
      household,
      oauth,
      uia,
      appservices,
      emails,
      rateLimits,
    }),
    ...oauthServerMetadataRoutes(wellKnown.baseUrl),
    ...fallbackRoutes({ accounts, uia, rateLimits, home: environment.serverName, baseUrl }),
    ...oauthRoutes({ oauth, accounts, household, emails, rateLimits, environment, baseUrl }),
  )

  // --- the home as a whole
  routes.push(
    ...homeRoutes(household),
    ...registrationTokensRoutes(household.registrationTokens, baseUrl),
    ...termsRoutes(household.terms),
    ...guestAccessRoutes(household.guestAccess),
    ...emailLinkRoutes({ home: environment.serverName, baseUrl, accounts, rateLimits }, emails),
  )

  // --- media
  const media = owned.use(
    await createMedia({
      environment,
      store,
      dir: join(config.data_dir, 'media'),
      maxUploadBytes: MAX_UPLOAD_BYTES,
      quotaInfoUrl: () => `${baseUrl()}/account`,
      previewsBy: config.url_previews.enabled ? outbound : undefined,
      fetchRemote: createFetchRemote({ client: federation.client, outbound, clock: environment.clock }),
      otherTexts: accounts.storedTexts,
    }),
  )
  routes.push(
    ...contentRepoRoutes(media, environment.serverName),
    ...authedContentRepoRoutes(media),
    ...hearthMediaRoutes(media.moderation, accounts),
    ...mediaRetentionRoutes(media.retention),
  )
  accounts.onDeactivated(async ({ userId, erase }) => {
    if (erase) await media.moderation.removeAllOf(userId)
  })

  // --- e2ee
  const { client, outbox, blockedServers } = federation
  const neighbours = neighboursIn(() => rooms, environment.serverName, blockedServers.isBlocked)
  const e2ee = createE2ee({ environment, store, accounts, client, outbox, neighbours })
  accounts.guardDeviceIds(e2ee.crossSigning.isKeyOf)
  routes.push(
    ...keysRoutes(e2ee, environment.serverName),
    ...crossSigningRoutes(e2ee, uia, {
      approvals: oauth.resetApprovals,
      pageUrl: () => `${baseUrl()}/account?action=org.matrix.cross_signing_reset`,
    }),
    ...toDeviceRoutes(e2ee),
    ...keyBackupRoutes(e2ee),
    ...dehydratedDevicesRoutes(e2ee),
  )
  unstableFeatures[DEHYDRATED_DEVICES_FEATURE] = true

  // --- policy
  const reports = createReports({ environment, store })
  routes.push(...reportsRoutes(reports))

  // --- rooms
  const rooms = owned.use(
    await createRooms({
      environment,
      store,
      signingKey: identity.signingKey,
      accounts,
      config: { defaultRoomVersion: config.rooms.default_version },
      peers: federation.peers,
      policyServers: federation.policyServers,
      isKeyValid: createKeyValidity(outbound),
      media: media.references,
      ...(registrations.length > 0 && { claims: appservices }),
    }),
  )
  routes.push(...roomRoutes(rooms, accounts, environment.serverName))
  routes.push(...serverNoticesRoutes(rooms), ...retentionRoutes(rooms))
  routes.push(...reportContentRoutes({ reports, rooms, accounts, serverName: environment.serverName }))
  unstableFeatures['org.matrix.msc4140'] = true

  // --- ephemeral
  const ephemeral = owned.use(await openEphemeral({ environment, store, rooms, accounts }))
  routes.push(
    ...typingRoutes(ephemeral.typing),
    ...receiptRoutes(ephemeral.receipts),
    ...readMarkerRoutes(ephemeral.receipts),
    ...presenceRoutes(ephemeral.presence),
  )

  // --- search
  const search = owned.use(createSearch({ environment, rooms, accounts, path: join(config.data_dir, 'search.sqlite') }))
  routes.push(...searchRoutes(search), ...usersRoutes(search))

  // --- push
  const findMailAddress = async (userId: string, wished: string): Promise<string | undefined> => {
    const own = await accounts.thirdPartyIds.list(userId)
    return own.find(({ address }) => address === canonicalEmail(wished))?.address
  }
  const push = owned.use(
    await createPush({
      environment,
      store,
      rooms,
      accounts,
      ephemeral,
      outbound,
      mail,
      findMailAddress,
      baseUrl: wellKnown.baseUrl,
    }),
  )
  routes.push(
    ...pusherRoutes(push.pushers),
    ...notificationRoutes(push.notifications),
    ...pushNotifierRoutes(push.gateway),
    ...hearthPushRoutes(push),
  )
  rooms.onMoved(({ userId, from, to }) => push.rules.followRoom(userId, from, to))
  routes.push(...pushRulesRoutes(push.rules), ...accountDataRoutes(accounts, push.rules))

  // --- sync
  const sync = owned.use(createSync({ environment, store, rooms, accounts, e2ee, ephemeral, push }))
  routes.push(...syncRoutes(sync), ...slidingSyncRoutes(sync), ...filterRoutes(sync.filters))
  unstableFeatures[SLIDING_SYNC_FEATURE] = true
  measures.push(
    { name: 'sync_listening_users', help: 'Users with a sync open', kind: 'gauge', read: () => sync.listening },
    { name: 'sync_waits', help: 'Syncs that began to wait', kind: 'counter', read: () => sync.stats.waits },
    { name: 'sync_wakes', help: 'Waiting syncs that news woke', kind: 'counter', read: () => sync.stats.wakes },
  )

  // --- what application services ask for
  routes.push(
    ...appservicePingRoutes(appservices),
    ...appserviceRoomDirectoryRoutes(rooms),
    ...thirdPartyLookupRoutes(appservices.thirdParty),
  )

  // --- what other servers are answered, and what flows to them
  routes.push(
    ...(await connectFederation({ federation, environment, accounts, media, e2ee, rooms, ephemeral, measures, owned })),
  )

  // --- the process, after all slices have named what they offer
  routes.push(
    ...versionsRoutes(unstableFeatures),
    ...capabilitiesRoutes({ defaultRoomVersion: config.rooms.default_version, hasMail: mail !== undefined }),
    ...wellKnownRoutes(wellKnown),
  )

  // Everybody has subscribed.
  await rooms.resume()
  await accounts.resume()
  // It ends before those who have to hear of what it does.
  owned.use(household.guestAccess).resume()
  await push.resume()
  search.resume()
  await owned.use(appservices).begin({ rooms, keys: e2ee, ephemeral }, accounts)

  const kept = owned.move()
  return {
    routes,
    rateLimits,
    measures,
    authenticate: appservices.authenticating(accounts),
    isAppserviceToken: appservices.isToken,
    doorkeeper: federation.doorkeeper,
    claimCode: household.claimCode,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** Which links in mails show something for which operation. */
async function findEmailProof(
  emails: EmailValidation,
  accounts: Accounts,
  { operation, sid, clientSecret }: { operation: string; sid: string; clientSecret: string },
): ReturnType<StageChecks['findEmailProof']> {
  const purpose = operation === 'register' ? 'register' : 'reset'
  const found = await emails.findProof({ purpose, sid, clientSecret })
  if (!found) return undefined
  const email = { ...found, sid }
  if (purpose === 'register') return { email, userId: null }
  const userId = await accounts.thirdPartyIds.findOwner('email', found.address)
  return userId === undefined ? undefined : { email, userId }
}

function accountRoutes(slices: {
  accounts: Accounts
  remoteProfiles: RemoteProfiles
  home: string
  household: Household
  oauth: OAuth
  uia: Uia
  appservices: Appservices
  emails: EmailValidation
  rateLimits: RateLimits
}): readonly Route[] {
  const { accounts, oauth, uia, appservices, emails, rateLimits } = slices
  const withMail = { ...slices, requestEmail: createRequestEmail(emails, rateLimits) }
  return [
    ...registrationRoutes(withMail),
    ...registrationTokenValidityRoutes(slices.household),
    ...loginRoutes(accounts, oauth.loginTokens, appservices),
    ...loginTokenRoutes(oauth.loginTokens, uia),
    ...logoutRoutes(accounts, oauth.browserSessions),
    ...refreshRoutes(accounts),
    ...whoamiRoutes(),
    ...deviceManagementRoutes(accounts, uia),
    ...passwordManagementRoutes(withMail),
    ...administrativeContactRoutes(withMail),
    ...accountDeactivationRoutes(accounts, uia),
    ...profileRoutes(accounts, slices.remoteProfiles, slices.home),
    ...tagRoutes(accounts),
    ...adminRoutes(accounts),
    ...openIdRoutes(accounts),
    ...exchangeOpenIdRoutes(accounts),
    ...voipRoutes(),
    ...(accounts.sharedSecret ? sharedSecretRoutes(accounts, accounts.sharedSecret) : []),
  ]
}

function roomRoutes(rooms: Rooms, accounts: Accounts, serverName: string): readonly Route[] {
  return [
    ...createRoomRoutes(rooms),
    ...roomUpgradesRoutes(rooms),
    ...joiningRoutes(rooms),
    ...leavingRoutes(rooms),
    ...invitingRoutes(rooms),
    ...kickingRoutes(rooms),
    ...banningRoutes(rooms),
    ...knockingRoutes(rooms),
    ...roomSendRoutes(rooms),
    ...roomStateRoutes(rooms),
    ...redactionRoutes(rooms),
    ...delayedEventsRoutes(rooms),
    ...roomsRoutes(rooms),
    ...messagePaginationRoutes(rooms),
    ...eventContextRoutes(rooms),
    ...roomInitialSyncRoutes(rooms, accounts),
    ...mutualRoomsRoutes(rooms),
    ...relationsRoutes(rooms),
    ...threadsListRoutes(rooms),
    ...roomEventByTimestampRoutes(rooms),
    ...oldSyncRoutes(rooms),
    ...roomSummaryRoutes(rooms),
    ...spaceHierarchyRoutes(rooms),
    ...directoryRoutes(rooms, serverName),
    ...listJoinedRoomsRoutes(rooms),
    ...listPublicRoomsRoutes(rooms, serverName),
  ]
}
