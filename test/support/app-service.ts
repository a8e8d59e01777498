/** A little application service: answers what it is told to, and keeps what it was asked and told. */
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Api, createApi } from './api.ts'
import type { Person, TestServer } from './test-server.ts'

export interface AsRequest {
  readonly method: string
  /** Decoded. */
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | undefined
  readonly body: unknown
}

export interface ToldEvent {
  readonly type: string
  readonly room_id: string
  readonly sender: string
  readonly event_id: string
  readonly state_key?: string
  readonly content: Record<string, unknown>
  readonly unsigned: Record<string, unknown>
}

export interface Transaction {
  readonly txnId: string
  readonly body: {
    readonly events: readonly ToldEvent[]
    readonly ephemeral?: readonly Record<string, unknown>[]
    readonly [key: string]: unknown
  }
}

export interface AsReply {
  readonly status: number
  readonly body?: unknown
}

/** `undefined`: the answer to a request that nobody expects, 404 M_UNRECOGNIZED. */
type Answer = (request: AsRequest) => AsReply | undefined | Promise<AsReply | undefined>

const TRANSACTION = /^\/_matrix\/app\/v1\/transactions\/(.+)$/
const PATIENCE_MS = 15_000

export class TestAppservice implements AsyncDisposable {
  readonly id = 'irc'
  readonly asToken = 'as-token-of-irc'
  readonly hsToken = 'hs-token-of-irc'
  readonly requests: AsRequest[] = []
  /** Answers to what is not a transaction, and to those if it says something. */
  answer: Answer = () => undefined
  readonly #watchers = new Set<() => void>()
  #server: Server
  #port = 0

  private constructor() {
    this.#server = this.#make()
  }

  static async start(): Promise<TestAppservice> {
    const service = new TestAppservice()
    await service.#listen(0)
    return service
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** A registration file in a folder of its own. @returns the folder */
  async register(dataDir: string, keys: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const folder = join(dataDir, 'services')
    await mkdir(folder, { recursive: true })
    const registration = {
      id: this.id,
      url: this.url,
      as_token: this.asToken,
      hs_token: this.hsToken,
      sender_localpart: '_irc_bot',
      namespaces: {
        users: [{ exclusive: true, regex: '@_irc_.*' }],
        aliases: [{ exclusive: true, regex: '#_irc_.*' }],
        rooms: [],
      },
      ...keys,
    }
    // JSON is YAML.
    await writeFile(join(folder, `${registration.id}.yaml`), JSON.stringify(registration))
    return folder
  }

  /** Nobody answers at its address any more. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Answers again, at the same address. */
  async startAgain(): Promise<void> {
    this.#server = this.#make()
    await this.#listen(this.#port)
  }

  /** Every transaction it confirmed or not, in the order in which they came. */
  get transactions(): readonly Transaction[] {
    return this.requests.flatMap((request) => {
      const txnId = TRANSACTION.exec(request.path)?.[1]
      return txnId === undefined ? [] : [{ txnId, body: request.body as Transaction['body'] }]
    })
  }

  /** All events that it was told, each once. */
  get events(): readonly ToldEvent[] {
    const seen = new Set<string>()
    return this.transactions
      .filter(({ txnId }) => !seen.has(txnId) && seen.add(txnId))
      .flatMap(({ body }) => body.events)
  }

  /** Messages, by what they say. */
  get bodies(): readonly unknown[] {
    return this.events.filter(({ type }) => type === 'm.room.message').map(({ content }) => content.body)
  }

  get ephemeral(): readonly Record<string, unknown>[] {
    return this.transactions.flatMap(({ body }) => body.ephemeral ?? [])
  }

  /** Resolves when the condition holds, looked at after each request. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(check)
        const told = this.requests.map(({ method, path }) => `${method} ${path}`)
        reject(new Error(`no such request in time; there were ${JSON.stringify(told)}`))
      }, PATIENCE_MS)
      const check = (): void => {
        if (!condition()) return
        clearTimeout(timer)
        this.#watchers.delete(check)
        resolve()
      }
      this.#watchers.add(check)
      check()
    })
  }

  /** Calls the homeserver with its own token. */
  api(server: Pick<TestServer, 'baseUrl'>): Api {
    return createApi(server.baseUrl, this.asToken)
  }

  /** One of its users, called by its own token with `user_id`. */
  as(server: TestServer, localpart: string, deviceId?: string): Person {
    const userId = `@${localpart}:${server.serverName}`
    const inner = this.api(server)
    const who = { user_id: userId, ...(deviceId !== undefined && { device_id: deviceId }) }
    const api: Api = {
      get: (path, query) => inner.get(path, { ...query, ...who }),
      post: (path, body, query) => inner.post(path, body, { ...query, ...who }),
      put: (path, body, query) => inner.put(path, body, { ...query, ...who }),
      delete: (path, body, query) => inner.delete(path, body, { ...query, ...who }),
      fetch: inner.fetch,
    }
    return { userId, deviceId: deviceId ?? '', accessToken: this.asToken, api }
  }

  /** Makes the account, and gives it to be called. */
  async newUser(server: TestServer, localpart: string): Promise<Person> {
    const { status, body } = await this.api(server).post('/_matrix/client/v3/register', {
      type: 'm.login.application_service',
      username: localpart,
      inhibit_login: true,
    })
    if (status !== 200) throw new Error(`no account: ${JSON.stringify(body)}`)
    return this.as(server, localpart)
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  #make(): Server {
    return createServer((request, response) => {
      this.#serve(request).then(
        ({ status, body = {} }) => {
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
          for (const watcher of this.#watchers) watcher()
        },
        (error: unknown) => response.destroy(error as Error),
      )
    })
  }

  async #serve(request: IncomingMessage): Promise<AsReply> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const url = new URL(request.url ?? '', this.url)
    const asked: AsRequest = {
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      authorization: request.headers.authorization,
      body: text === '' ? undefined : JSON.parse(text),
    }
    this.requests.push(asked)
    const given = await this.answer(asked)
    if (given) return given
    if (TRANSACTION.test(asked.path)) return { status: 200 }
    return { status: 404, body: { errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop()
  }
}
