import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig, type StartOptions, startHomeserver, systemClock, systemRandom } from '../../server/index.ts'
import type { Clock, LogFields, Logger, Random } from '../../server/observe/environment.ts'
import type { Store } from '../../server/store/index.ts'
import { type Api, type ApiReply, createApi } from './api.ts'
import { watchedServers } from './watched-servers.ts'

export interface TestServerOptions {
  /** Keys of the configuration file that differ from a test server's: open registration, no rate limits. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly serverName?: string
  readonly clock?: Clock
  readonly random?: Random
  /** An existing folder, which then is left in place; for starting anew on the same data. */
  readonly dataDir?: string
  readonly openStore?: (folder: string) => Promise<Store>
  /** Names that only this test knows. */
  readonly names?: StartOptions['names']
  /** A built page; without it there is none. */
  readonly pageFolder?: string
}

/** Someone with an account and a device, and a way to call the server as that device. */
export interface Person {
  readonly userId: string
  readonly deviceId: string
  readonly accessToken: string
  readonly api: Api
}

export interface TestServer extends AsyncDisposable {
  readonly serverName: string
  /** `http://127.0.0.1:port` */
  readonly baseUrl: string
  readonly dataDir: string
  /** Of its listeners, in the configuration's order. */
  readonly ports: readonly number[]
  /** What whoever claims this home must know; `null` once it is claimed. */
  claimCode(): string | null
  /** What was logged with `warn` or `error`. */
  readonly complaints: readonly LogFields[]
  /** Those of them that were logged with `error`: faults of ours. */
  readonly faults: readonly LogFields[]
  /** Calls without a token, or with the one given. */
  api(accessToken?: string): Api
  /** A new account with a device. The password is `password of <name>`. */
  register(name: string): Promise<Person>
  /** A further device of an account made by `register`. */
  login(name: string): Promise<Person>
}

/** A homeserver in this process, over real HTTP, on a free port, in a temporary folder. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'hearth-')))
  const serverName = options.serverName ?? 'hearth.test'
  const config = readConfig(
    {
      server_name: serverName,
      data_dir: dataDir,
      listeners: [{ address: '127.0.0.1', port: 0 }],
      registration: { open: true, shared_secret: 'for tests only' },
      rate_limits: { enabled: false },
      outbound: { allow_addresses: ['127.0.0.0/8'] },
      ...options.config,
    },
    dataDir,
  )
  const complaints: LogFields[] = []
  const faults: LogFields[] = []
  const homeserver = await startHomeserver({
    config,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    logger: recordingLogger(complaints, faults),
    ...(options.openStore && { openStore: options.openStore }),
    ...(options.names && { names: options.names }),
    pageFolder: options.pageFolder ?? join(dataDir, 'no page'),
    passwordCostLog2: 10,
  })
  const baseUrl = `http://127.0.0.1:${homeserver.listeners[0]?.port}`
  watchedServers.add(baseUrl)
  const anonymous = createApi(baseUrl)
  const passwordOf = (name: string): string => `password of ${name}`

  return {
    serverName,
    baseUrl,
    dataDir,
    ports: homeserver.listeners.map(({ port }) => port),
    claimCode: homeserver.claimCode,
    complaints,
    faults,
    api: (accessToken) => createApi(baseUrl, accessToken),
    async register(name) {
      const reply = await anonymous.post('/_matrix/client/v3/register', {
        username: name,
        password: passwordOf(name),
        auth: { type: 'm.login.dummy' },
      })
      return personFrom(baseUrl, reply)
    },
    async login(name) {
      const reply = await anonymous.post('/_matrix/client/v3/login', {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: name },
        password: passwordOf(name),
      })
      return personFrom(baseUrl, reply)
    },
    async [Symbol.asyncDispose]() {
      await homeserver[Symbol.asyncDispose]()
      watchedServers.delete(baseUrl)
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true })
    },
  }
}

function personFrom(baseUrl: string, { status, body }: ApiReply): Person {
  if (status !== 200) throw new Error(`no account or login: ${status} ${JSON.stringify(body)}`)
  const { user_id, device_id, access_token } = body as { user_id: string; device_id: string; access_token: string }
  return { userId: user_id, deviceId: device_id, accessToken: access_token, api: createApi(baseUrl, access_token) }
}

function recordingLogger(complaints: LogFields[], faults: LogFields[]): Logger {
  const nothing = (): void => {}
  const warn = (fields: LogFields): void => void complaints.push(fields)
  const error = (fields: LogFields): void => {
    complaints.push(fields)
    faults.push(fields)
  }
  return { debug: nothing, info: nothing, warn, error }
}
