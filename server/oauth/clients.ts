import { createHash } from 'node:crypto'
import { limitExceeded } from '../../shared/matrix/errors.ts'
import type { Accounts } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { type ClientMetadata, readClientMetadata } from './client-metadata.ts'
import { OAuthError } from './errors.ts'
import { type ClientRow, clientRows, codeRows, deviceCodeRows, exactly } from './store.ts'

/** Different clients; the same client registered by a thousand phones is one. */
export const MAX_CLIENTS = 2_000
/** A registration that led to no session is forgotten after this time. */
const UNUSED_LIFETIME_MS = 24 * 60 * 60_000
/** When there are too many, those that are no flow's any more go first. */
const FLOW_LIFETIME_MS = 60 * 60_000
/** A client that registers again within this time is not written again. */
const NOTE_INTERVAL_MS = 60 * 60_000

export interface Client extends ClientMetadata {
  readonly clientId: string
}

/** Registered clients. Spec: client-server-api §Client registration; RFC 7591. */
export interface Clients {
  /**
   * The same metadata is the same client, and registering it again changes nothing.
   * @throws OAuthError invalid_client_metadata, invalid_redirect_uri
   * @throws MatrixError 429 M_LIMIT_EXCEEDED where too many clients wait for their first use
   */
  register(said: Readonly<Record<string, unknown>>): Promise<Client>
  find(clientId: string): Promise<Client | undefined>
  /** @throws OAuthError invalid_client; unauthorized_client where it did not register for this grant */
  require(clientId: string, grantType: string): Promise<Client>
  /** Forgets clients that have no session and were not registered lately. */
  forgetUnused(): Promise<void>
}

const clientOf = ({ clientId, json }: ClientRow): Client => ({ ...(JSON.parse(json) as ClientMetadata), clientId })

export function createClients({
  environment,
  store,
  accounts,
}: {
  environment: Environment
  store: Store
  accounts: Pick<Accounts, 'oauthSessions'>
}): Clients {
  const { clock } = environment

  async function isUsed({ clientId }: ClientRow): Promise<boolean> {
    if ((await accounts.oauthSessions.countOf(clientId)) > 0) return true
    const flow = exactly('clientId', clientId)
    return (await store.home.count(codeRows, flow)) + (await store.home.count(deviceCodeRows, flow)) > 0
  }

  async function forgetOlderThan(ageMs: number): Promise<void> {
    const old = await store.home.range(clientRows, { index: 'registeredTs', to: clock.now() - ageMs })
    const unused: ClientRow[] = []
    for (const row of old) if (!(await isUsed(row))) unused.push(row)
    if (unused.length > 0) await store.commit(() => unused.map((row) => remove(clientRows, row.clientId)))
  }

  async function makeRoom(): Promise<void> {
    if ((await store.home.count(clientRows)) < MAX_CLIENTS) return
    await forgetOlderThan(FLOW_LIFETIME_MS)
    if ((await store.home.count(clientRows)) >= MAX_CLIENTS) throw limitExceeded(FLOW_LIFETIME_MS)
  }

  async function find(clientId: string): Promise<Client | undefined> {
    const row = await store.home.get(clientRows, clientId)
    return row && clientOf(row)
  }

  return {
    find,

    async register(said) {
      const json = JSON.stringify(readClientMetadata(said))
      const clientId = createHash('sha256').update(json).digest('base64url')
      return store.exclusive('oauth:clients', async () => {
        const known = await store.home.get(clientRows, clientId)
        const now = clock.now()
        if (known && now - known.registeredTs < NOTE_INTERVAL_MS) return clientOf(known)
        if (!known) await makeRoom()
        const row = { clientId, json, createdTs: known?.createdTs ?? now, registeredTs: now }
        await store.commit(() => [put(clientRows, row)])
        return clientOf(row)
      })
    },

    async require(clientId, grantType) {
      const client = await find(clientId)
      if (!client) throw new OAuthError('invalid_client', 'This client is not registered')
      if (!client.grant_types.includes(grantType)) {
        throw new OAuthError('unauthorized_client', 'The client did not register for this grant type')
      }
      return client
    },

    forgetUnused: () => store.exclusive('oauth:clients', () => forgetOlderThan(UNUSED_LIFETIME_MS)),
  }
}
