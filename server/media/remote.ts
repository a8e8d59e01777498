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
    /** For all of it. */
    readonly timeoutMs: number
    readonly maxBytes: number
    /** How long the other server may wait for an upload that is still to come. */
    readonly waitMs: number
  },
) => Promise<{
  readonly contentType: string | undefined
  readonly fileName: string | undefined
  readonly bytes: Readable
}>

/** Large files come from homes with slow lines; who falls silent is given up much sooner. */
const TIMEOUT_MS = 15 * 60_000
const MAX_WAIT_MS = 60_000
/** A slow server must not keep all others' media away. */
const FETCHED_AT_ONCE = 32
const FETCHED_AT_ONCE_OF_SERVER = 6
/** A room's worth of pictures, several times over. */
const MAX_WAITING = 1_000

/** Media of other servers, fetched once for all who want it, and kept in the cache. */
export class RemoteMedia {
  readonly #fetch: FetchRemote
  readonly #cache: MediaCache
  readonly #maxBytes: number
  readonly #running = new Map<string, Promise<CachedRow>>()
  readonly #ofServer = new Map<string, number>()
  readonly #waiting: (() => void)[] = []
  #atOnce = 0

  constructor(deps: { readonly fetch: FetchRemote; readonly cache: MediaCache; readonly maxBytes: number }) {
    this.#fetch = deps.fetch
    this.#cache = deps.cache
    this.#maxBytes = deps.maxBytes
  }

  /**
   * @param waitMs how long the other server may wait for an upload that is still to come; of those who want the same the first
   *   one's counts
   * @throws MatrixError 404 M_NOT_FOUND, 502 M_TOO_LARGE or M_UNKNOWN, 504 M_NOT_YET_UPLOADED, 429 M_LIMIT_EXCEEDED
   */
  async fetch(name: MediaName, waitMs: number): Promise<CachedRow> {
    const media = `${name.serverName}/${name.mediaId}`
    const running = this.#running.get(media)
    if (running) return running
    if (this.#running.size >= MAX_WAITING) throw limitExceeded(1_000)
    const fetched = this.#inTurn(name.serverName, () => this.#keep(name, media, Math.min(waitMs, MAX_WAIT_MS)))
    this.#running.set(media, fetched)
    try {
      return await fetched
    } finally {
      this.#running.delete(media)
    }
  }

  async #inTurn<T>(serverName: string, work: () => Promise<T>): Promise<T> {
    while (this.#atOnce >= FETCHED_AT_ONCE || (this.#ofServer.get(serverName) ?? 0) >= FETCHED_AT_ONCE_OF_SERVER) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#count(serverName, 1)
    try {
      return await work()
    } finally {
      this.#count(serverName, -1)
      // Whoever finds no room waits again, in the same order.
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  #count(serverName: string, change: 1 | -1): void {
    this.#atOnce += change
    const ofServer = (this.#ofServer.get(serverName) ?? 0) + change
    if (ofServer === 0) this.#ofServer.delete(serverName)
    else this.#ofServer.set(serverName, ofServer)
  }

  async #keep(name: MediaName, media: string, waitMs: number): Promise<CachedRow> {
    try {
      const answer = await this.#fetch(name, { timeoutMs: TIMEOUT_MS, maxBytes: this.#maxBytes, waitMs })
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
