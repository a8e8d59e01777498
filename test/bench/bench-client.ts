import { createHmac, randomUUID } from 'node:crypto'
import { Agent, request as httpRequest } from 'node:http'

/** Connections are kept: what is measured is the server, not TCP. */
const agent = new Agent({ keepAlive: true, maxSockets: 100 })

export interface Answer {
  readonly status: number
  readonly body: Buffer
  json<T = Record<string, unknown>>(): T
}

export interface Person {
  readonly userId: string
  readonly deviceId: string
  readonly token: string
}

/** One homeserver as a client sees it. */
export class BenchClient {
  readonly baseUrl: URL
  readonly #sharedSecret: string

  constructor(baseUrl: string, sharedSecret: string) {
    this.baseUrl = new URL(baseUrl)
    this.#sharedSecret = sharedSecret
  }

  /** @throws Error for any answer but a 2xx */
  async call(
    method: string,
    path: string,
    options: { readonly token?: string; readonly body?: unknown; readonly bytes?: Buffer; readonly type?: string } = {},
  ): Promise<Answer> {
    const bytes = options.bytes ?? (options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body)))
    const answer = await new Promise<Answer>((resolve, reject) => {
      const request = httpRequest(
        {
          agent,
          host: this.baseUrl.hostname,
          port: this.baseUrl.port,
          method,
          path,
          headers: {
            ...(options.token && { authorization: `Bearer ${options.token}` }),
            ...(bytes && { 'content-type': options.type ?? 'application/json', 'content-length': bytes.length }),
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const body = Buffer.concat(chunks)
            resolve({ status: response.statusCode ?? 0, body, json: () => JSON.parse(body.toString('utf8')) })
          })
        },
      )
      request.on('error', reject)
      request.end(bytes)
    })
    if (answer.status >= 300) {
      throw new Error(`${method} ${path.split('?')[0]}: ${answer.status} ${answer.body.toString('utf8').slice(0, 300)}`)
    }
    return answer
  }

  /** Makes an account by shared secret: a path that other homeservers have as well. */
  async register(name: string): Promise<Person> {
    const path = '/_synapse/admin/v1/register'
    const { nonce } = (await this.call('GET', path)).json<{ nonce: string }>()
    const username = `${name}-${randomUUID().slice(0, 8)}`
    const password = randomUUID()
    const mac = createHmac('sha1', this.#sharedSecret)
      .update([nonce, username, password, 'notadmin'].join('\0'))
      .digest('hex')
    const made = (await this.call('POST', path, { body: { nonce, username, password, admin: false, mac } })).json<{
      user_id: string
      device_id: string
      access_token: string
    }>()
    return { userId: made.user_id, deviceId: made.device_id, token: made.access_token }
  }

  async createRoom(person: Person, body: Record<string, unknown> = { preset: 'public_chat' }): Promise<string> {
    const answer = await this.call('POST', '/_matrix/client/v3/createRoom', { token: person.token, body })
    return answer.json<{ room_id: string }>().room_id
  }

  async join(person: Person, roomId: string): Promise<void> {
    await this.call('POST', `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`, { token: person.token, body: {} })
  }

  async send(person: Person, roomId: string, text: string): Promise<string> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${randomUUID()}`
    const answer = await this.call('PUT', path, { token: person.token, body: { msgtype: 'm.text', body: text } })
    return answer.json<{ event_id: string }>().event_id
  }

  async sync(person: Person, since: string | undefined, timeoutMs: number): Promise<SyncAnswer> {
    const query = new URLSearchParams({ timeout: String(timeoutMs), ...(since !== undefined && { since }) })
    return (await this.call('GET', `/_matrix/client/v3/sync?${query}`, { token: person.token })).json<SyncAnswer>()
  }
}

export interface SyncAnswer {
  readonly next_batch: string
  readonly rooms?: {
    readonly join?: Record<
      string,
      { readonly timeline?: { readonly events: readonly { readonly event_id: string }[] } }
    >
  }
}
