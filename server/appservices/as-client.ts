/** Requests to application services. They go through the address guard like everything that leaves this server. */
import { Value } from 'typebox/value'
import type { Endpoint, PathOf, QueryOf, ReplyOf } from '../../shared/api/endpoint.ts'
import { type Outbound, RemoteError } from '../net/index.ts'
import type { Appservice } from './appservice.ts'

/** The longest answer to anything but a lookup is an error message. */
const MAX_ANSWER_BYTES = 1024 * 1024

export interface AsAnswer {
  readonly status: number
  /** At most a megabyte. */
  readonly text: string
}

export interface AsCall<E extends Endpoint> {
  readonly endpoint: E
  readonly path?: PathOf<E>
  readonly query?: QueryOf<E> | ReadonlyMap<string, string>
  /** JSON text. */
  readonly body?: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** Calls one application service. */
export class AsClient {
  readonly #service: Appservice
  readonly #outbound: Outbound

  constructor(service: Appservice, outbound: Outbound) {
    this.#service = service
    this.#outbound = outbound
  }

  /**
   * Calls the endpoint, or where the application service does not know it its older path.
   * Spec: application-service-api §Legacy routes.
   * @throws RemoteError where there is no answer
   */
  async call<E extends Endpoint>(call: AsCall<E>): Promise<AsAnswer> {
    const { endpoint } = call
    const answer = await this.#send(call, endpoint.url)
    const legacy = endpoint.aliases?.[0]
    if (legacy === undefined || isSuccess(answer) || !isUnknownRoute(answer)) return answer
    return this.#send(call, legacy)
  }

  /** @returns the JSON of a 200 if it is what the endpoint answers; `undefined` for everything else, and where there is no answer */
  async ask<E extends Endpoint>(call: AsCall<E>): Promise<ReplyOf<E> | undefined> {
    try {
      const answer = await this.call(call)
      if (!isSuccess(answer)) return undefined
      const value: unknown = JSON.parse(answer.text)
      const schema = call.endpoint.reply
      return schema !== 'stream' && Value.Check(schema, value) ? (value as ReplyOf<E>) : undefined
    } catch (error) {
      // A bridge that is down, or answers no JSON, has nothing to say; whoever asked gets what the others said.
      if (error instanceof RemoteError || error instanceof SyntaxError) return undefined
      throw error
    }
  }

  async #send<E extends Endpoint>(call: AsCall<E>, url: string): Promise<AsAnswer> {
    const { body, timeoutMs, signal } = call
    const { status, body: bytes } = await this.#outbound.fetch({
      url: this.#service.url + pathOf(url, call.path) + queryOf(call.query),
      method: call.endpoint.method,
      headers: {
        authorization: `Bearer ${this.#service.registration.hs_token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body }),
      timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
      ...(signal && { signal }),
    })
    return { status, text: bytes.toString('utf8') }
  }
}

export const isSuccess = ({ status }: AsAnswer): boolean => status >= 200 && status < 300

/** An application service that answers with an error code of its own knows the endpoint. */
function isUnknownRoute({ status, text }: AsAnswer): boolean {
  if (status === 401 || status === 403 || status === 429) return false
  const errcode = /"errcode"\s*:\s*"([^"]+)"/.exec(text)?.[1]
  return errcode === undefined || errcode === 'M_UNRECOGNIZED'
}

function pathOf(url: string, path: object = {}): string {
  return url.replace(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent((path as Record<string, string>)[name] ?? ''),
  )
}

function queryOf(query: object | ReadonlyMap<string, string> = {}): string {
  const pairs = query instanceof Map ? [...query] : Object.entries(query)
  const text = new URLSearchParams(pairs as [string, string][]).toString()
  return text === '' ? '' : `?${text}`
}
