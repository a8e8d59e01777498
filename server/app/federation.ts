/**
 * Other servers, wired in two halves: `openFederation` makes the way to them, which the slices are built with;
 * `connectFederation` puts what needs the slices behind it, one block for each part.
 */
import type { Accounts } from '../accounts/index.ts'
import { contentRepositoryRoutes } from '../api/federation/content_repository.ts'
import { keysQueryRoutes } from '../api/federation/keys_query.ts'
import { keysServerRoutes } from '../api/federation/keys_server.ts'
import { roomsForServersRoutes } from '../api/federation/rooms.ts'
import { transactionsRoutes } from '../api/federation/transactions.ts'
import { userDevicesRoutes } from '../api/federation/user_devices.ts'
import { userKeysRoutes } from '../api/federation/user_keys.ts'
import { versionRoutes } from '../api/federation/version.ts'
import { blockedServersRoutes } from '../api/hearth/blocked-servers.ts'
import { destinationsRoutes } from '../api/hearth/destinations.ts'
import type { E2ee } from '../e2ee/index.ts'
import { type Ephemeral, tellServers } from '../ephemeral/index.ts'
import {
  createFederation,
  createIncomingTransactions,
  type Federation,
  type LookupSrv,
  type OutboxService,
} from '../federation/index.ts'
import type { Route } from '../http/route.ts'
import type { Media } from '../media/index.ts'
import { type Outbound, systemLookupSrv } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { Measure } from '../observe/metrics.ts'
import type { Rooms } from '../rooms/index.ts'
import type { Store } from '../store/index.ts'
import type { Config } from './config.ts'
import type { Identity } from './identity.ts'
import { followMembers } from './neighbours.ts'

/** What the way to other servers is made from. */
interface Given {
  readonly config: Config
  readonly environment: Environment
  readonly identity: Identity
  readonly store: Store
  readonly outbound: Outbound
  /** For tests, which have name servers of their own; otherwise the system's. */
  readonly lookupSrv: LookupSrv | undefined
}

/** The way to other servers, for the slices above. */
export function openFederation({
  config,
  environment,
  identity,
  store,
  outbound,
  lookupSrv,
}: Given): Promise<Federation> {
  const keyServers = config.federation.key_servers
  return createFederation({
    environment,
    store,
    outbound,
    own: identity,
    lookupSrv: lookupSrv ?? systemLookupSrv,
    keyServers,
  })
}

/** The slices that other servers are answered from, or hear of. */
interface Connected {
  readonly accounts: Accounts
  readonly federation: Federation
  readonly environment: Environment
  readonly media: Media
  readonly rooms: Rooms
  readonly e2ee: E2ee
  readonly ephemeral: Ephemeral
  readonly measures: Measure[]
  /** Gives back what is begun here, before the slices. */
  readonly owned: AsyncDisposableStack
}

/** What other servers are answered, and what flows to them. To be called once all slices are there. */
export async function connectFederation(slices: Connected): Promise<readonly Route[]> {
  const { federation, environment, accounts, media, rooms, e2ee, ephemeral, measures, owned } = slices
  const routes: Route[] = []

  // --- keys, and who we are
  routes.push(
    ...keysServerRoutes(federation.keys),
    ...keysQueryRoutes(federation.notary),
    ...versionRoutes(),
    ...blockedServersRoutes(federation.blockedServers),
  )

  // --- what they may ask of rooms
  routes.push(...roomsForServersRoutes(rooms.forServers, accounts, environment))

  // --- what they may ask of media
  routes.push(...contentRepositoryRoutes(media, environment))

  // --- devices and keys
  routes.push(...userDevicesRoutes(e2ee, environment.serverName), ...userKeysRoutes(e2ee, environment.serverName))
  measures.push(...e2eeMeasures(e2ee))

  // --- what they send unasked
  const { isShutOut } = rooms.incoming
  const { withoutBlocked } = federation.blockedServers
  const receivePdus: typeof rooms.incoming.receivePdus = (origin, pdus) =>
    rooms.incoming.receivePdus(origin, withoutBlocked(pdus))
  const receiveEdus = [ephemeral.edus.receive, e2ee.elsewhere.receive]
  routes.push(...transactionsRoutes(createIncomingTransactions({ environment, receivePdus, isShutOut, receiveEdus })))

  // --- what flows to them
  const { outbox } = federation
  owned.use(outbox)
  owned.defer(rooms.owed.onOwed((servers, position) => outbox.pdusReady(servers, position)))
  owned.use(tellServers({ environment, rooms, ephemeral, outbox }))
  routes.push(...destinationsRoutes(outbox))
  measures.push(...outboxMeasures(outbox))
  await outbox.begin(rooms.owed)
  owned.use(e2ee.elsewhere)
  owned.defer(followMembers({ environment, rooms, elsewhere: e2ee.elsewhere }))
  owned.defer(federation.backoff.onBack(e2ee.elsewhere.heardFrom))
  await e2ee.elsewhere.begin()

  // Before all else: whatever waits for another server would hold up the stop.
  owned.use(federation)
  return routes
}

function e2eeMeasures({ elsewhere }: E2ee): readonly Measure[] {
  return [
    {
      name: 'e2ee_device_lists_fetched',
      help: 'Device lists that were fetched whole from other servers',
      kind: 'counter',
      read: () => elsewhere.stats.fetched,
    },
    {
      name: 'e2ee_device_lists_waiting',
      help: 'Device lists that could not be fetched and are to be tried again',
      kind: 'gauge',
      read: () => elsewhere.stats.waiting,
    },
  ]
}

function outboxMeasures({ stats }: OutboxService): readonly Measure[] {
  const gauge = (name: string, help: string, read: () => number): Measure => ({
    name: `federation_${name}`,
    help,
    kind: 'gauge',
    read,
  })
  return [
    gauge('destinations', 'Other servers that something waits for', () => stats.destinations),
    gauge('failing_destinations', 'Those of them that the last try did not reach', () => stats.failing),
    gauge('waiting_edus', 'EDUs on the disk that wait for their destination', () => stats.edus),
    {
      name: 'federation_transactions',
      help: 'Transactions that other servers have confirmed',
      kind: 'counter',
      read: () => stats.transactions,
    },
  ]
}
