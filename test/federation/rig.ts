/** The way to other servers by itself: a real listener, real TLS to others, names of the test's own, a clock that it moves. */
import type { SrvRecord } from 'node:dns'
import { Type } from 'typebox'
import { keysQueryRoutes } from '../../server/api/federation/keys_query.ts'
import { keysServerRoutes } from '../../server/api/federation/keys_server.ts'
import { createFederation, type Federation, type OwnKeys } from '../../server/federation/index.ts'
import { mount } from '../../server/http/mount.ts'
import { RateLimits } from '../../server/http/rate-limit.ts'
import { type Route, route } from '../../server/http/route.ts'
import { AddressGuard, createOutbound, listen, type Outbound } from '../../server/net/index.ts'
import type { Environment, LogFields } from '../../server/observe/environment.ts'
import { canonicalJson } from '../../server/protocol/canonical-json.ts'
import { signText } from '../../server/protocol/signing.ts'
import { makeSigningKey } from '../../server/protocol/signing-key.ts'
import type { Store } from '../../server/store/index.ts'
import { endpoint } from '../../shared/api/endpoint.ts'
import { makeTestCa, type TestCa } from '../support/certificates.ts'
import { type ForeignServer, type ForeignServerOptions, startForeignServer } from '../support/foreign-server.ts'
import { type ManualClock, manualClock } from '../support/manual-clock.ts'
import { openMemoryStore } from '../support/memory-store.ts'
import { seededRandom } from '../support/seeded-random.ts'

const common = { auth: 'signedRequest', rateLimited: false, query: Type.Object({}), errors: {} } as const

/** Says who asks, and gives back the body. */
export const echo = endpoint({
  ...common,
  operationId: 'echo',
  method: 'PUT',
  url: '/_matrix/federation/v1/echo/{word}',
  path: Type.Object({ word: Type.String() }),
  body: Type.Object({ needed: Type.String() }),
  maxBodyBytes: 10_000,
  reply: Type.Object({ from: Type.String(), body: Type.String() }),
})

/** Says who asks. */
export const whoAsks = endpoint({
  ...common,
  operationId: 'whoAsks',
  method: 'GET',
  url: '/_matrix/federation/v1/who',
  path: Type.Object({}),
  query: Type.Object({ n: Type.Optional(Type.Integer()) }),
  body: null,
  reply: Type.Object({ from: Type.String() }),
})

export interface Rig extends AsyncDisposable {
  readonly serverName: string
  readonly federation: Federation
  readonly own: OwnKeys
  readonly clock: ManualClock
  readonly store: Store
  readonly ca: TestCa
  readonly logged: LogFields[]
  /** Addresses of names. */
  readonly addresses: Map<string, string>
  /** SRV records by their whole name. */
  readonly srv: Map<string, readonly SrvRecord[]>
  /** Which SRV names were looked up. */
  readonly lookedUp: string[]
  /** Where a host's port 443 is. */
  readonly wellKnownPorts: Map<string, number>
  /** `http://127.0.0.1:port` of the listener for other servers. */
  readonly url: string
  /** A server that is found by SRV, under its own name. */
  foreign(name: string, options?: Partial<ForeignServerOptions>): Promise<ForeignServer>
}

export interface RigOptions {
  readonly serverName?: string
  readonly routes?: readonly Route[]
  readonly isLimited?: boolean
  readonly keyServers?: readonly string[]
  readonly allow?: readonly string[]
  readonly oldKeys?: OwnKeys['oldKeys']
  readonly store?: Store
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  await using owned = new AsyncDisposableStack()
  const serverName = options.serverName ?? 'here.test'
  const clock = manualClock(Date.now())
  const logged: LogFields[] = []
  const log = (fields: LogFields): void => void logged.push(fields)
  const logger = { debug: log, info: log, warn: log, error: log }
  const environment: Environment = { serverName, clock, random: seededRandom(7), logger }
  const ca = await makeTestCa()
  const addresses = new Map<string, string>()
  const srv = new Map<string, readonly SrvRecord[]>()
  const lookedUp: string[] = []
  const wellKnownPorts = new Map<string, number>()
  const outbound = owned.use(
    createOutbound({
      guard: new AddressGuard(options.allow ?? ['127.0.0.0/8', '::1/128']),
      trustedCa: [ca.certificate],
      async lookup(hostname) {
        const address = addresses.get(hostname)
        if (address === undefined) throw Object.assign(new Error(`no address of ${hostname}`), { code: 'ENOTFOUND' })
        return [{ address, family: address.includes(':') ? 6 : 4 }]
      },
    }),
  )
  const store = options.store ?? owned.use(openMemoryStore())
  const own = ownKeys(serverName, options.oldKeys ?? [])
  const federation = await createFederation({
    environment,
    store,
    outbound: byPorts(outbound, wellKnownPorts),
    own,
    async lookupSrv(name) {
      lookedUp.push(name)
      const records = srv.get(name)
      if (!records) throw Object.assign(new Error(`no records of ${name}`), { code: 'ENODATA' })
      return records
    },
    keyServers: options.keyServers ?? [],
  })
  const routes = [
    route(echo, async ({ requester, body }) => ({ from: requester.serverName, body: canonicalJson(body, false) })),
    route(whoAsks, async ({ requester }) => ({ from: requester.serverName })),
    ...keysServerRoutes(federation.keys),
    ...keysQueryRoutes(federation.notary),
    ...(options.routes ?? []),
  ]
  const stopping = new AbortController()
  const app = mount({
    routes,
    authenticate: () => Promise.reject(new Error('nobody has a token here')),
    doorkeeper: federation.doorkeeper,
    rateLimits: new RateLimits(clock, options.isLimited ?? false),
    clock,
    logger,
    stopping: stopping.signal,
  })(['federation'])
  const listener = await listen({ address: '127.0.0.1', port: 0, tls: null }, app.callback())
  owned.defer(async () => {
    stopping.abort()
    const closed = listener.close()
    listener.cut()
    await closed
  })

  const kept = owned.move()
  return {
    serverName,
    federation,
    own,
    clock,
    store,
    ca,
    logged,
    addresses,
    srv,
    lookedUp,
    wellKnownPorts,
    url: `http://127.0.0.1:${listener.port}`,
    async foreign(name, more = {}) {
      const server = kept.use(await startForeignServer({ ca, name, now: () => clock.now(), ...more }))
      addresses.set(name, '127.0.0.1')
      srv.set(`_matrix-fed._tcp.${name}`, [{ name, port: server.port, priority: 1, weight: 1 }])
      return server
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

function ownKeys(serverName: string, oldKeys: OwnKeys['oldKeys']): OwnKeys {
  const signingKey = makeSigningKey(Buffer.alloc(32, 1), 'own')
  const root = makeSigningKey(Buffer.alloc(32, 2), 'root')
  const statement = { key: signingKey.publicKey, key_id: signingKey.keyId, server_name: serverName }
  return {
    serverName,
    signingKey,
    oldKeys,
    root: { publicKey: root.publicKey, signature: signText(canonicalJson(statement), root) },
  }
}

/** Tests cannot listen on port 443. */
function byPorts(outbound: Outbound, ports: ReadonlyMap<string, number>): Outbound {
  const redirected: Outbound['fetch'] = (request) => {
    const { hostname, port } = new URL(request.url)
    const other = request.connectTo || port !== '' ? undefined : ports.get(hostname)
    return outbound.fetch(other === undefined ? request : { ...request, connectTo: { host: hostname, port: other } })
  }
  return { ...outbound, open: outbound.open, fetch: redirected }
}
