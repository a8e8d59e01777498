/**
 * Several homes in one process that reach each other as servers do: over real TLS, each with a name and a certificate of its
 * own, found by SRV records. `cut` and `heal` part and join two of them; `restart` starts one anew on the same data.
 *
 *     const homes = await startHomes(['alpha.test', 'beta.test'])
 *     const [alpha, beta] = homes
 *     const alice = await alpha.register('alice')
 *     homes.cut(alpha, beta)
 *
 * Between each two homes, and in each direction, lies a relay of ours, so that a cut also ends the connections that are kept.
 * Other names resolve to nothing; `homes.names` adds some, for servers that a test brings itself.
 */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { ApiReply } from './api.ts'
import { type Certificate, makeTestCa, type TestCa } from './certificates.ts'
import { startTestServer, type TestServer, type TestServerOptions } from './test-server.ts'

/** A homeserver that other homes of the test can reach. */
export interface Home extends TestServer {
  /** Where its listener for other servers is, behind all relays. */
  readonly federationPort: number
  /** Stops it and starts it anew on the same data; people and their tokens stay good. */
  restart(): Promise<void>
  /** Stops it; the folder stays, and `restart` starts it again. */
  stop(): Promise<void>
}

export interface HomesOptions extends Omit<TestServerOptions, 'serverName' | 'dataDir' | 'names'> {
  /** Keys of one home's configuration that differ, by its name. */
  readonly configOf?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Where a name leads that is no home: an address and a port where something of the test listens. */
export interface ForeignHost {
  readonly port: number
  /** `127.0.0.1` without it. */
  readonly address?: string
}

export interface Homes extends AsyncDisposable, Iterable<Home> {
  readonly ca: TestCa
  /** Names of servers that are no homes, and where they listen; whoever is added is found at once. */
  readonly names: Map<string, ForeignHost>
  /** A request of nobody in particular to a home's listener for other servers. */
  call(home: Home, path: string, init?: RequestToHome): Promise<ApiReply<unknown>>
  /** @throws Error where there is no home of that name */
  get(serverName: string): Home
  /** Neither reaches the other from now on; what runs between them breaks off. */
  cut(one: Home | string, other: Home | string): void
  heal(one: Home | string, other: Home | string): void
  /** Parts a home from all others. */
  isolate(home: Home | string): void
  healAll(): void
}

export interface RequestToHome {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** @param serverNames two or three, as `alpha.test` */
export async function startHomes<const Names extends readonly string[]>(
  serverNames: Names,
  options: HomesOptions = {},
): Promise<Homes & { readonly [I in keyof Names & `${number}`]: Home }> {
  await using owned = new AsyncDisposableStack()
  const ca = await makeTestCa()
  const folder = await mkdtemp(join(tmpdir(), 'hearth-homes-'))
  owned.defer(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'ca.crt'), ca.certificate)
  const relays = owned.use(new Relays())
  const agent = new Agent({ keepAlive: true, ca: ca.certificate })
  owned.defer(() => agent.destroy())
  const names = new Map<string, ForeignHost>()
  const homes: Home[] = []
  for (const serverName of serverNames) {
    const certificate = await ca.issue([serverName.replace(/:\d+$/, '')])
    const start = () => startHome({ serverName, serverNames, certificate, folder, relays, names, options })
    homes.push(owned.use(await restartable(start, serverName, relays)))
  }
  const nameOf = (home: Home | string): string => (typeof home === 'string' ? home : home.serverName)
  const kept = owned.move()
  return Object.assign([...homes] as unknown as { readonly [I in keyof Names & `${number}`]: Home } & Iterable<Home>, {
    ca,
    names,
    get(serverName: string) {
      const home = homes.find((one) => one.serverName === serverName)
      if (!home) throw new Error(`there is no home ${serverName}`)
      return home
    },
    call: (home: Home, path: string, init?: RequestToHome) => callFederation(agent, home, path, init),
    cut: (one: Home | string, other: Home | string) => relays.cut(nameOf(one), nameOf(other)),
    heal: (one: Home | string, other: Home | string) => relays.heal(nameOf(one), nameOf(other)),
    isolate(home: Home | string) {
      for (const other of serverNames) if (other !== nameOf(home)) relays.cut(nameOf(home), other)
    },
    healAll: () => relays.healAll(),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  })
}

interface HomeParts {
  readonly serverName: string
  readonly serverNames: readonly string[]
  readonly certificate: Certificate
  readonly folder: string
  readonly relays: Relays
  readonly names: ReadonlyMap<string, ForeignHost>
  readonly options: HomesOptions
}

async function startHome(parts: HomeParts): Promise<TestServer> {
  const { serverName, serverNames, certificate, folder, relays, names, options } = parts
  const { configOf, config, ...rest } = options
  const path = (ending: string): string => join(folder, `${serverName.replace(/\W/g, '_')}.${ending}`)
  await writeFile(path('crt'), certificate.certificate)
  await writeFile(path('key'), certificate.privateKey)
  return startTestServer({
    ...rest,
    serverName,
    dataDir: path('data'),
    config: {
      listeners: [
        { address: '127.0.0.1', port: 0, serves: ['client'] },
        {
          address: '127.0.0.1',
          port: 0,
          serves: ['federation'],
          tls: { certificate: path('crt'), private_key: path('key') },
        },
      ],
      outbound: { trusted_ca_file: join(folder, 'ca.crt'), allow_addresses: ['127.0.0.0/8'] },
      ...config,
      ...configOf?.[serverName],
    },
    names: {
      async lookup(hostname) {
        const foreign = names.get(hostname)
        if (foreign) return [{ address: foreign.address ?? '127.0.0.1', family: 4 }]
        if (serverNames.includes(hostname)) return [{ address: '127.0.0.1', family: 4 }]
        throw Object.assign(new Error(`no address of ${hostname}`), { code: 'ENOTFOUND' })
      },
      async lookupSrv(name) {
        const hostname = name.replace(/^_matrix-fed\._tcp\./, '')
        const port = names.get(hostname)?.port ?? (await relays.portFrom(serverName, hostname))
        if (name === hostname || port === undefined) {
          throw Object.assign(new Error(`no record of ${name}`), { code: 'ENODATA' })
        }
        return [{ name: hostname, port, priority: 10, weight: 5 }]
      },
    },
  })
}

async function restartable(start: () => Promise<TestServer>, serverName: string, relays: Relays): Promise<Home> {
  let server: TestServer | undefined = await start()
  relays.isAt(serverName, federationPortOf(server))
  const running = (): TestServer => {
    if (!server) throw new Error(`${serverName} does not run`)
    return server
  }
  const stop = async (): Promise<void> => {
    await server?.[Symbol.asyncDispose]()
    server = undefined
  }
  return {
    serverName,
    get baseUrl() {
      return running().baseUrl
    },
    get dataDir() {
      return running().dataDir
    },
    get ports() {
      return running().ports
    },
    get complaints() {
      return running().complaints
    },
    get faults() {
      return running().faults
    },
    get federationPort() {
      return federationPortOf(running())
    },
    claimCode: () => running().claimCode(),
    api: (accessToken) => running().api(accessToken),
    register: (name) => running().register(name),
    login: (name) => running().login(name),
    stop,
    async restart() {
      await stop()
      server = await start()
      relays.isAt(serverName, federationPortOf(server))
    },
    [Symbol.asyncDispose]: stop,
  }
}

function federationPortOf({ ports }: TestServer): number {
  const port = ports[1]
  if (port === undefined) throw new Error('a home has two listeners')
  return port
}

/** By the home's own port, past all relays. */
function callFederation(agent: Agent, home: Home, path: string, init: RequestToHome = {}): Promise<ApiReply<unknown>> {
  const { method = 'GET', headers = {}, body } = init
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        servername: home.serverName,
        port: home.federationPort,
        path,
        method,
        headers: { host: home.serverName, ...headers },
        agent,
      },
      (response) => {
        text(response).then(
          (answer) =>
            resolve({
              status: response.statusCode ?? 0,
              headers: new Headers(Object.entries(response.headers).map(([name, value]) => [name, String(value)])),
              body: response.headers['content-type']?.startsWith('application/json') ? JSON.parse(answer) : undefined,
            }),
          reject,
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

/** TCP relays from each home to each other one, which can be cut. */
class Relays implements AsyncDisposable {
  readonly #ports = new Map<string, number>()
  readonly #relays = new Map<string, { readonly server: Server; readonly sockets: Set<Socket> }>()
  readonly #cut = new Set<string>()

  /** Where a home listens now. */
  isAt(serverName: string, port: number): void {
    this.#ports.set(serverName, port)
  }

  /** @returns the port by which one home reaches the other; `undefined` where there is no such home */
  async portFrom(from: string, to: string): Promise<number | undefined> {
    if (!this.#ports.has(to)) return undefined
    const key = `${from} ${to}`
    const known = this.#relays.get(key)
    if (known) {
      if (!known.server.listening) await once(known.server, 'listening')
      return (known.server.address() as AddressInfo).port
    }
    const sockets = new Set<Socket>()
    const server = createServer((incoming) => {
      const port = this.#ports.get(to)
      if (this.#cut.has(key) || port === undefined) {
        incoming.destroy()
        return
      }
      const outgoing = connect(port, '127.0.0.1')
      for (const [socket, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        sockets.add(socket)
        socket.on('error', () => other.destroy())
        socket.on('close', () => {
          sockets.delete(socket)
          other.destroy()
        })
        socket.pipe(other)
      }
    })
    this.#relays.set(key, { server, sockets })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  cut(one: string, other: string): void {
    for (const key of [`${one} ${other}`, `${other} ${one}`]) {
      this.#cut.add(key)
      for (const socket of this.#relays.get(key)?.sockets ?? []) socket.destroy()
    }
  }

  heal(one: string, other: string): void {
    this.#cut.delete(`${one} ${other}`)
    this.#cut.delete(`${other} ${one}`)
  }

  healAll(): void {
    this.#cut.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [...this.#relays.values()].map(async ({ server, sockets }) => {
        for (const socket of sockets) socket.destroy()
        const closed = once(server, 'close')
        server.close()
        await closed
      }),
    )
  }
}
