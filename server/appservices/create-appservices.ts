import { MatrixError, missingToken, unknownToken } from '../../shared/matrix/errors.ts'
import { type Accounts, candidateUserIds, userIdForUsername } from '../accounts/index.ts'
import type { Outbound } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import type { Appservice } from './appservice.ts'
import { AsClient } from './as-client.ts'
import { type Authenticate, authenticating } from './authenticate.ts'
import { Delivery } from './delivery.ts'
import { Directory } from './directory.ts'
import { pingThrough } from './ping.ts'
import { createQueries, type Queries } from './queries.ts'
import type { Registration } from './registration.ts'
import type { Sources } from './sources.ts'
import { type DeliveryRow, deliveryRows } from './store.ts'
import { createThirdParty, type ThirdParty } from './third-party.ts'

/** The type of login and registration by which application services make and enter their users' accounts. */
export const APPLICATION_SERVICE = 'm.login.application_service'

/** What the rest of the server asks of application services. */
export interface Appservices extends Queries, AsyncDisposable {
  readonly thirdParty: ThirdParty
  isToken(token: string): boolean
  isReservedUser(userId: string): boolean
  readonly requireMayUseAlias: Directory['requireMayUseAlias']
  /** Whether the user is in a namespace of this application service, or its own. */
  ownsUser(appserviceId: string, userId: string): boolean
  /** @throws MatrixError 401 M_MISSING_TOKEN, M_UNKNOWN_TOKEN for what is no application service's token */
  requireToken(token: string | undefined): Appservice
  /** @throws MatrixError 400 M_EXCLUSIVE, M_INVALID_USERNAME */
  requireOwnUsername(service: Appservice, username: string): void
  /** @returns the user ID that is meant. @throws MatrixError 400 M_EXCLUSIVE for one that is not its own */
  requireOwnLogin(service: Appservice, identifier: { readonly type: string; readonly user?: string }): string
  authenticating(accounts: Pick<Accounts, 'actAs' | 'authenticate'>): Authenticate
  /**
   * @returns milliseconds
   * @throws MatrixError 400 M_URL_NOT_SET; those of `pingThrough`
   */
  ping(appserviceId: string, transactionId: string | undefined): Promise<number>
  /**
   * Makes the accounts that stand for application services, and begins to tell those what happens. To be called once, when all
   * slices are there.
   */
  begin(sources: Sources, accounts: Pick<Accounts, 'ensureAppserviceUser' | 'listDevices'>): Promise<void>
}

export function createAppservices({
  environment,
  store,
  outbound,
  registrations,
}: {
  environment: Environment
  store: Store
  outbound: Outbound
  registrations: readonly Registration[]
}): Appservices {
  const { clock, serverName } = environment
  const directory = new Directory(registrations, serverName)
  const clients = directory.all
    .filter(({ url }) => url !== null)
    .map((service) => ({ service, client: new AsClient(service, outbound) }))
  const deliveries = new Map<string, Delivery>()

  /** Where each has come to. One that is new hears of what happens from now on; one that has gone is forgotten. */
  async function deliveryRowsNow(): Promise<ReadonlyMap<string, DeliveryRow>> {
    const kept = await store.home.range(deliveryRows, { index: 'appserviceId' })
    const rows = new Map(kept.map((row) => [row.appserviceId, row]))
    const gone = kept.filter(({ appserviceId }) => !clients.some(({ service }) => service.id === appserviceId))
    const fresh = clients
      .filter(({ service }) => !rows.has(service.id))
      .map(({ service }) => {
        const none = { txnId: null, body: null, toDevice: null }
        return { appserviceId: service.id, position: store.position, count: 0, ...none }
      })
    if (gone.length + fresh.length > 0) {
      await store.commit(() => [
        ...gone.map(({ appserviceId }) => remove(deliveryRows, appserviceId)),
        ...fresh.map((row) => put(deliveryRows, row)),
      ])
    }
    for (const row of fresh) rows.set(row.appserviceId, row)
    return rows
  }

  return {
    ...createQueries(clients, clock),
    thirdParty: createThirdParty(clients, clock),
    isToken: (token) => directory.findByToken(token) !== undefined,
    isReservedUser: (userId) => directory.isReservedUser(userId),
    requireMayUseAlias: (alias, appserviceId) => directory.requireMayUseAlias(alias, appserviceId),
    ownsUser: (appserviceId, userId) => directory.findById(appserviceId)?.ownsUser(userId) ?? false,

    requireToken(token) {
      if (token === undefined) throw missingToken()
      const service = directory.findByToken(token)
      if (!service) throw unknownToken('The token is not that of an application service')
      return service
    },

    requireOwnUsername: (service, username) =>
      directory.requireOwnUser(service, userIdForUsername(username, serverName)),

    requireOwnLogin(service, { user }) {
      const candidates = user === undefined ? [] : candidateUserIds(user, serverName)
      const [userId] = candidates.filter((candidate) => service.ownsUser(candidate))
      if (userId === undefined) {
        throw new MatrixError('M_EXCLUSIVE', 400, 'The user is not in a namespace of the application service')
      }
      return userId
    },

    authenticating: (accounts) => authenticating(directory, accounts),

    async ping(appserviceId, transactionId) {
      const found = clients.find(({ service }) => service.id === appserviceId)
      if (!found) throw new MatrixError('M_URL_NOT_SET', 400, 'The application service has no URL')
      const durationMs = await pingThrough(found.client, clock, transactionId)
      deliveries.get(appserviceId)?.retryNow()
      return durationMs
    },

    async begin(sources, accounts) {
      for (const { userId, id } of directory.all) await accounts.ensureAppserviceUser(userId, id)
      const rows = await deliveryRowsNow()
      for (const { service, client } of clients) {
        const devicesOf = (userId: string) => accounts.listDevices(userId)
        const row = rows.get(service.id)
        if (!row) throw new Error(`no place is kept for ${service.id}`)
        deliveries.set(service.id, new Delivery({ service, client, environment, store, sources, devicesOf }, row))
      }
      for (const delivery of deliveries.values()) await delivery.start()
    },

    async [Symbol.asyncDispose]() {
      await Promise.all([...deliveries.values()].map((delivery) => delivery[Symbol.asyncDispose]()))
    },
  }
}
