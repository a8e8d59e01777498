import { notFound } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import type { MediaCache } from './cache.ts'
import type { MediaName } from './remote.ts'
import { mediaRows, quarantineRows } from './store.ts'
import type { Uploads } from './uploads.ts'
import type { Usage, UsageCounts } from './usage.ts'

const MAX_PAGE = 100

/** An upload as its owner and administrators see it. */
export interface ListedMedia {
  readonly uri: string
  readonly contentType: string
  readonly fileName: string | null
  readonly sizeBytes: number
  readonly createdTs: number
  readonly isQuarantined: boolean
}

/** What administrators do about media. Who may ask is the edge's to decide. */
export interface MediaModeration {
  usageOf(userId: string): Promise<Usage>
  /** @param maxBytes `null`: as much as they like; less than what is there keeps it, and takes no more */
  setQuota(userId: string, maxBytes: number | null): Promise<void>
  /**
   * A user's uploads, newest first.
   * @param before `next` of the page before
   */
  list(
    userId: string,
    page: { readonly limit?: number | undefined; readonly before?: string | undefined },
  ): Promise<{ readonly media: readonly ListedMedia[]; readonly next?: string }>
  /** For good, with its thumbnails. @throws MatrixError 404 M_NOT_FOUND */
  remove(name: MediaName): Promise<void>
  /** All that the user has uploaded until now. @returns how many files */
  removeAllOf(userId: string): Promise<number>
  /**
   * Quarantined media is kept and shown to nobody; also of other servers, and before it was ever fetched.
   * @throws MatrixError 404 M_NOT_FOUND for an unknown upload of this server
   */
  setQuarantined(name: MediaName, by: string, isQuarantined: boolean): Promise<void>
  isQuarantined(name: MediaName): Promise<boolean>
}

export function createModeration(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly uploads: Uploads
  readonly usage: UsageCounts
  readonly cache: MediaCache
  /** With its thumbnails. */
  readonly removeUpload: (mediaId: string) => Promise<boolean>
}): MediaModeration {
  const { environment, store, uploads, usage, cache, removeUpload } = deps
  const keyOf = ({ serverName, mediaId }: MediaName): string => `${serverName}/${mediaId}`

  async function isQuarantined(name: MediaName): Promise<boolean> {
    return (await store.home.get(quarantineRows, keyOf(name))) !== undefined
  }

  return {
    usageOf: (userId) => usage.of(userId),
    setQuota: (userId, maxBytes) => usage.setQuota(userId, maxBytes),

    async list(userId, { limit = MAX_PAGE, before }) {
      const page = await uploads.list(userId, { limit: Math.min(Math.max(limit, 1), MAX_PAGE), before })
      const media = await Promise.all(
        page.rows.map(async ({ mediaId, contentType, fileName, sizeBytes, createdTs }) => ({
          uri: `mxc://${environment.serverName}/${mediaId}`,
          contentType,
          fileName,
          sizeBytes,
          createdTs,
          isQuarantined: await isQuarantined({ serverName: environment.serverName, mediaId }),
        })),
      )
      return { media, ...(page.next !== undefined && { next: page.next }) }
    },

    async remove(name) {
      const isOurs = name.serverName === environment.serverName && (await removeUpload(name.mediaId))
      if (!isOurs && !(await cache.remove(keyOf(name)))) throw notFound('There is no such media')
    },

    async removeAllOf(userId) {
      let removed = 0
      for (;;) {
        const { rows } = await uploads.list(userId, { limit: MAX_PAGE })
        let gone = 0
        for (const { mediaId } of rows) if (await removeUpload(mediaId)) gone += 1
        if (gone === 0) return removed
        removed += gone
      }
    },

    async setQuarantined(name, by, isQuarantinedNow) {
      const media = keyOf(name)
      const isOurs = name.serverName === environment.serverName
      if (isOurs && !(await store.home.get(mediaRows, name.mediaId)) && !(await cache.has(media))) {
        throw notFound('There is no such media')
      }
      await store.commit(() => [
        isQuarantinedNow
          ? put(quarantineRows, { media, by, quarantinedTs: environment.clock.now() })
          : remove(quarantineRows, media),
      ])
    },

    isQuarantined,
  }
}
