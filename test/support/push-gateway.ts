/** A little push gateway: keeps what it was told, and answers as it is told to. A push service, too: it keeps raw bodies. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { PushNotification } from '../../shared/api/push-gateway/push_notifier.ts'

export interface PushRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface PushReply {
  readonly status: number
  readonly body?: unknown
}

const PATIENCE_MS = 15_000

export class TestPushGateway implements AsyncDisposable {
  readonly requests: PushRequest[] = []
  answer: (request: PushRequest) => PushReply | Promise<PushReply> = () => ({ status: 200, body: { rejected: [] } })
  readonly #watchers = new Set<() => void>()
  readonly #server: Server
  #port = 0

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request).then(
        ({ status, body = {} }) => {
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
          for (const watcher of this.#watchers) watcher()
        },
        (error: unknown) => response.destroy(error as Error),
      )
    })
  }

  static async start(): Promise<TestPushGateway> {
    const gateway = new TestPushGateway()
    gateway.#server.listen(0, '127.0.0.1')
    await once(gateway.#server, 'listening')
    gateway.#port = (gateway.#server.address() as AddressInfo).port
    return gateway
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** For `data.url` of a pusher. */
  get url(): string {
    return `${this.origin}/_matrix/push/v1/notify`
  }

  /** All that it was told, in order. */
  get notifications(): readonly PushNotification[] {
    return this.requests
      .filter(({ path }) => path === '/_matrix/push/v1/notify')
      .map(({ body }) => (JSON.parse(body.toString()) as { notification: PushNotification }).notification)
  }

  /** Of notifications about events, what they say. */
  get bodies(): readonly unknown[] {
    return this.notifications.filter(({ event_id: id }) => id !== undefined).map(({ content }) => content?.body)
  }

  /** The last number of unread events that it was told. */
  get unread(): number | undefined {
    const last = this.notifications.at(-1)
    return last && (last.counts?.unread ?? 0)
  }

  /** Resolves when the condition holds, looked at after each request. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(check)
        reject(new Error(`not in time; there was ${this.requests.map(({ body }) => body.toString()).join('\n')}`))
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

  async #serve(request: IncomingMessage): Promise<PushReply> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const asked: PushRequest = {
      method: request.method ?? '',
      path: new URL(request.url ?? '', this.origin).pathname,
      headers: request.headers,
      body: Buffer.concat(chunks),
    }
    this.requests.push(asked)
    return this.answer(asked)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
