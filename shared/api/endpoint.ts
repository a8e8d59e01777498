import type { Static, TObject, TSchema } from 'typebox'

/**
 * Who may call. `accessToken?` lets a request without a token through, and refuses a wrong one.
 * `homeserverAccessToken` is what we show to application services: their `hs_token`.
 * `signedRequest` is the X-Matrix authentication between servers.
 */
export type Auth =
  | 'none'
  | 'accessToken'
  | 'accessToken?'
  | 'appserviceAccessToken'
  | 'homeserverAccessToken'
  | 'signedRequest'

/**
 * One endpoint as both ends agree on it, after the specification's OpenAPI file of the same name.
 * Schemas are JSON Schema; unknown keys in bodies are kept, never refused.
 */
export interface Endpoint<
  P extends TObject = TObject,
  Q extends TObject = TObject,
  B extends TSchema | 'stream' | null = TSchema | 'stream' | null,
  R extends TSchema | 'stream' = TSchema | 'stream',
  A extends Auth = Auth,
> {
  readonly operationId: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path with `{name}` for each parameter, e.g. `/_matrix/client/v3/rooms/{roomId}/kick`. */
  readonly url: string
  /**
   * Further URLs of the same endpoint: unstable prefixes, optional trailing slashes. A `{name}` that an alias lacks is `''`.
   * `/_matrix/client/v3/…` is served as `/_matrix/client/r0/…` and `/_matrix/media/v3/…` as `r0` and `v1` without being named here.
   */
  readonly aliases?: readonly string[]
  readonly auth: A
  readonly rateLimited: boolean
  /** Path parameters, already percent-decoded; strings. */
  readonly path: P
  /** Query parameters. Integers, booleans and arrays are parsed from their text by the schema's type. */
  readonly query: Q
  /** The JSON body; `null`: none is read; `'stream'`: the raw bytes go to the handler (media). */
  readonly body: B
  /** `false` where an empty body counts as `{}`; otherwise it is answered with `M_NOT_JSON`. */
  readonly bodyRequired?: false
  /** The JSON of a 200 answer; `'stream'`: the handler answers with bytes. */
  readonly reply: R
  /** Errors that the specification names for this endpoint, beyond those that any endpoint may answer. */
  readonly errors: Readonly<Record<string, number>>
  /** The largest body in bytes where it differs from the server's default of 1 MiB. */
  readonly maxBodyBytes?: number
  /** Set where the specification has no OpenAPI entry for it (unstable proposals, our own). */
  readonly unstable?: string
}

export type BodyOf<E> = E extends { body: infer B } ? (B extends TSchema ? Static<B> : null) : never
export type PathOf<E> = E extends { path: infer P } ? (P extends TSchema ? Static<P> : never) : never
export type QueryOf<E> = E extends { query: infer Q } ? (Q extends TSchema ? Static<Q> : never) : never
export type ReplyOf<E> = E extends { reply: infer R } ? (R extends TSchema ? Static<R> : never) : never

/** Declares an endpoint, keeping the exact types of its schemas. */
export function endpoint<
  P extends TObject,
  Q extends TObject,
  B extends TSchema | 'stream' | null,
  R extends TSchema | 'stream',
  const A extends Auth,
>(declaration: Endpoint<P, Q, B, R, A>): Endpoint<P, Q, B, R, A> {
  return declaration
}
