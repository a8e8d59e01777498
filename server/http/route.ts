import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { BodyOf, Endpoint, PathOf, QueryOf, ReplyOf } from '../../shared/api/endpoint.ts'
import type { Requester } from '../accounts/index.ts'

export type { Requester }

/** What a handler may know of the request besides its validated parts. */
export interface RequestInfo {
  readonly ip: string
  readonly userAgent: string
  readonly headers: IncomingHttpHeaders
  /** As it was sent, unchecked; for endpoints that take a token of an application service and no other. */
  readonly accessToken: string | undefined
  /** Aborted when the client goes away or the server stops; long polls answer with what there is. */
  readonly signal: AbortSignal
  /** Raw bytes, only where the declaration says `body: 'stream'`; bounded by the handler. */
  readonly stream: Readable
}

/** Writes a body piece by piece; `write` resolves when the piece has gone out, so that its buffer may be used again. */
export type BodyWriter = (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>

/** An answer that is not the plain JSON of a 200. */
export class Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** A string is JSON already made; bytes, streams and what a writer writes go out as they are. */
  readonly body: string | Uint8Array | Readable | BodyWriter | null

  constructor(options: {
    status?: number
    headers?: Readonly<Record<string, string>>
    body: string | Uint8Array | Readable | BodyWriter | null
  }) {
    this.status = options.status ?? 200
    this.headers = options.headers ?? {}
    this.body = options.body
  }

  /** JSON text that a slice has built itself, as `/sync` does for speed. */
  static json(text: string, status = 200): Reply {
    return new Reply({ status, body: text, headers: { 'content-type': 'application/json' } })
  }
}

/** The server whose signature a request bears. */
export interface RequestingServer {
  readonly serverName: string
}

type RequesterOf<E> = E extends { auth: 'accessToken' | 'appserviceAccessToken' }
  ? Requester
  : E extends { auth: 'accessToken?' }
    ? Requester | undefined
    : E extends { auth: 'signedRequest' }
      ? RequestingServer
      : undefined

export interface Call<E> {
  readonly path: PathOf<E>
  readonly query: QueryOf<E>
  readonly body: BodyOf<E>
  readonly requester: RequesterOf<E>
  readonly request: RequestInfo
}

export interface Route {
  readonly endpoint: Endpoint
  readonly handle: (call: Call<Endpoint>) => Promise<unknown>
}

/**
 * Binds a declaration to its handler. What the handler returns is the JSON of a 200, or a `Reply`.
 * It throws `MatrixError` for what the caller may see.
 */
export function route<E extends Endpoint>(
  declaration: E,
  handle: (call: Call<E>) => Promise<ReplyOf<E> | Reply>,
): Route {
  return { endpoint: declaration, handle: handle as Route['handle'] }
}
