import type { Readable } from 'node:stream'
import { limitExceeded, MatrixError } from '../../shared/matrix/errors.ts'
import { RemoteError } from '../net/index.ts'
import type { MediaCache } from './cache.ts'
import { contentTypeOf } from './content-headers.ts'
import type { CachedRow } from './store.ts'

export interface MediaName {
  readonly serverName: string
  readonly mediaId: string
}

/**
 * Asks the server that media comes from for it. What it answers is a stream that breaks off with a `RemoteError`; whoever
 * asked reads or destroys it.
 * @throws RemoteError; MatrixError 404 M_NOT_FOUND where that server does not have it
 */
export type FetchRemote = (
  media: MediaName,
  limits: {
    readonly timeoutMs: number
    readonly maxBytes: number
  },
) => Promise<{
  readonly contentType: string | undefined
  readonly fileName: string | undefined
  readonly bytes: Readable
}>

const TIMEOUT_MS = 60_000
const FETCHED_AT_ONCE = 16

/** Media of other servers, fetched once for all who want it, and kept in the cache. */
export class RemoteMedia {
  readonly #fetch: FetchRemote
  readonly #cache: MediaCache
  readonly #maxBytes: number
  readonly #running = new Map<string, Promise<CachedRow>>()

  constructor(deps: { readonly fetch: FetchRemote; readonly cache: MediaCache; readonly maxBytes: number }) {
    this.#fetch = deps.fetch
    this.#cache = deps.cache
    this.#maxBytes = deps.maxBytes
  }

  /** @throws MatrixError 404 M_NOT_FOUND, 502 M_TOO_LARGE or M_UNKNOWN, 504 M_NOT_YET_UPLOADED, 429 M_LIMIT_EXCEEDED */
  async fetch(name: MediaName): Promise<CachedRow> {
    const media = `${name.serverName}/${name.mediaId}`
    const running = this.#running.get(media)
    if (running) return running
    if (this.#running.size >= FETCHED_AT_ONCE) throw limitExceeded(1_000)
    const fetched = this.#keep(name, media).finally(() => this.#running.delete(media))
    this.#running.set(media, fetched)
    return fetched
  }

  async #keep(name: MediaName, media: string): Promise<CachedRow> {
    try {
      const answer = await this.#fetch(name, { timeoutMs: TIMEOUT_MS, maxBytes: this.#maxBytes })
      try {
        return await this.#cache.add({
          media,
          contentType: contentTypeOf(answer.contentType),
          fileName: answer.fileName ?? null,
          bytes: answer.bytes,
          maxBytes: this.#maxBytes,
          refusal: remoteTooLarge,
        })
      } finally {
        answer.bytes.destroy()
      }
    } catch (cause) {
      if (!(cause instanceof RemoteError)) throw cause
      if (cause.failure === 'timeout') throw new MatrixError('M_NOT_YET_UPLOADED', 504, 'It did not come in time')
      throw new MatrixError('M_UNKNOWN', 502, 'The server that this media is from did not give it')
    }
  }
}

/** Spec: client-server-api §Security considerations of the content repository. */
export const remoteTooLarge = (): MatrixError =>
  new MatrixError('M_TOO_LARGE', 502, 'This media of another server is too large')
