/** The door of `media/`: uploads, downloads, thumbnails, media of others, previews of pages. */
import { join } from 'node:path'
import { notFound } from '../../shared/matrix/errors.ts'
import type { Outbound } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { Store } from '../store/index.ts'
import { MediaCache } from './cache.ts'
import { Images } from './images.ts'
import { type BodyWriter, MediaFiles } from './media-files.ts'
import { createModeration, type MediaModeration } from './moderation.ts'
import { type MediaReferences, References } from './references.ts'
import { type FetchRemote, type MediaName, RemoteMedia, remoteTooLarge } from './remote.ts'
import { KeptMedia, type MediaRetention } from './retention.ts'
import { mediaRows } from './store.ts'
import { type ThumbnailRequest, Thumbnails } from './thumbnails.ts'
import { startUpkeep } from './upkeep.ts'
import { type Upload, Uploads } from './uploads.ts'
import { createUrlPreviews, type UrlPreviews } from './url-previews/index.ts'
import { UsageCounts } from './usage.ts'

export { contentHeaders, isKnownTag, rangeOf } from './content-headers.ts'
export { createFetchRemote } from './fetch-remote.ts'
export type { BodyWriter } from './media-files.ts'
export type { MediaModeration } from './moderation.ts'
export { partsAround } from './multipart.ts'
export type { MediaReferences, NamingEvent } from './references.ts'
export type { MediaRetention } from './retention.ts'
export type { UrlPreviews } from './url-previews/index.ts'

/** What media of other servers and pictures of pages may take on the disk. */
const CACHE_BYTES = 2 * 1024 ** 3

export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface MediaContent {
  readonly contentType: string
  readonly fileName: string | null
  readonly sizeBytes: number
  /** Changes with the bytes; for `ETag`. */
  readonly tag: string
  /** All of it, or the bytes of a range: first and last, both inclusive. */
  body(range?: ByteRange): BodyWriter
}

export interface Media extends AsyncDisposable {
  readonly maxUploadBytes: number
  /**
   * @returns the `mxc://` URI; the bytes are safe then
   * @throws MatrixError 413 M_TOO_LARGE, 403 M_USER_LIMIT_EXCEEDED
   */
  upload(upload: Upload): Promise<string>
  /** An ID to upload to later. @throws MatrixError 429 M_LIMIT_EXCEEDED with too many of them waiting */
  create(owner: string): Promise<{ readonly uri: string; readonly unusedExpiresTs: number }>
  /** @throws MatrixError 403 M_FORBIDDEN for another's ID, 409 M_CANNOT_OVERWRITE_MEDIA, 404 M_NOT_FOUND; as `upload` */
  uploadTo(mediaId: string, upload: Upload): Promise<void>
  /**
   * @param waitMs how long to wait for an upload that is still to come
   * @throws MatrixError 404 M_NOT_FOUND, 504 M_NOT_YET_UPLOADED; for media of others also 502 M_TOO_LARGE
   */
  content(media: MediaName, waitMs: number): Promise<MediaContent>
  /** @throws MatrixError as `content`; 400 M_UNKNOWN for what has no thumbnails, 413 M_TOO_LARGE */
  thumbnail(media: MediaName, request: ThumbnailRequest, waitMs: number): Promise<MediaContent>
  readonly moderation: MediaModeration
  readonly references: MediaReferences
  readonly retention: MediaRetention
  /** `null` where the configuration has them off. */
  readonly urlPreviews: UrlPreviews | null
}

/** A file, wherever it lies. */
interface Found {
  readonly files: MediaFiles
  readonly name: string
  readonly contentType: string
  readonly fileName: string | null
  readonly sizeBytes: number
  readonly isRemote: boolean
}

/** @param dir the folder for the bytes, made where it is missing */
export async function createMedia(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly dir: string
  readonly maxUploadBytes: number
  /** Where a person who has used up their space finds more. */
  readonly quotaInfoUrl: () => string
  /** For previews of pages; without it there are none. */
  readonly previewsBy?: Outbound | undefined
  /** Without it no media of other servers is to be had. */
  readonly fetchRemote?: FetchRemote
  readonly maxCacheBytes?: number
  /** Texts that name files in use outside of events: profiles, account data. */
  readonly otherTexts?: () => AsyncIterable<string>
}): Promise<Media> {
  const { environment, store, maxUploadBytes } = deps
  const files = new MediaFiles(join(deps.dir, 'media'))
  const cachedFiles = new MediaFiles(join(deps.dir, 'cache'))
  const thumbnailFiles = new MediaFiles(join(deps.dir, 'thumbnails'))
  await Promise.all([files.open(), cachedFiles.open(), thumbnailFiles.open()])
  const forgetThumbnails = (file: string): Promise<void> => thumbnailFiles.removeFamily(file)
  const images = new Images()
  const thumbnails = new Thumbnails(images, thumbnailFiles)
  const usage = new UsageCounts(store, deps.quotaInfoUrl)
  const uploads = new Uploads({ environment, store, files, usage, maxBytes: maxUploadBytes })
  const cache = await MediaCache.open({
    environment,
    store,
    files: cachedFiles,
    maxBytes: deps.maxCacheBytes ?? CACHE_BYTES,
    onRemoved: forgetThumbnails,
  })
  await uploads.listEarlier()
  const remote = deps.fetchRemote && new RemoteMedia({ fetch: deps.fetchRemote, cache, maxBytes: maxUploadBytes })
  async function removeUpload(mediaId: string): Promise<boolean> {
    if (!(await uploads.remove(mediaId))) return false
    await forgetThumbnails(mediaId)
    return true
  }
  const moderation = createModeration({ environment, store, uploads, usage, cache, removeUpload })
  const references = await References.open(store, environment)
  const retention = await KeptMedia.open({
    environment,
    store,
    references,
    otherTexts: deps.otherTexts ?? noTexts,
    removeUpload,
    removeCached: (media) => cache.remove(media),
  })
  const urlPreviews = deps.previewsBy
    ? createUrlPreviews({ environment, store, outbound: deps.previewsBy, cache, images })
    : null

  const isUpload = async (mediaId: string): Promise<boolean> => (await store.home.get(mediaRows, mediaId)) !== undefined
  const upkeep = startUpkeep(environment, {
    async atStart(stop) {
      const removed =
        (await files.removeUnknown(isUpload, stop)) +
        (await cachedFiles.removeUnknown((file) => cache.knows(file), stop)) +
        (await thumbnailFiles.removeUnknown(async (name) => {
          const original = name.split('.')[0] ?? ''
          return (await isUpload(original)) || cache.knows(original)
        }, stop))
      if (removed > 0) environment.logger.info({ event: 'media.orphans-removed', files: removed })
    },
    async hourly() {
      await uploads.forgetUnused()
      await retention.tidy()
      await cache.tidy(retention.settings.cachedMs)
      await urlPreviews?.tidy()
    },
  })

  const uriOf = (mediaId: string): string => `mxc://${environment.serverName}/${mediaId}`

  async function find(name: MediaName, waitMs: number): Promise<Found> {
    if (await moderation.isQuarantined(name)) throw notFound('There is no such media')
    const isOurs = name.serverName === environment.serverName
    const own = isOurs ? await uploads.find(name.mediaId, waitMs) : undefined
    if (own) return { ...own, files, name: own.mediaId, isRemote: false }
    const cached =
      (await cache.find(`${name.serverName}/${name.mediaId}`)) ??
      (isOurs ? undefined : await remote?.fetch(name, waitMs))
    if (!cached) throw notFound('There is no such media')
    return { ...cached, files: cachedFiles, name: cached.file, isRemote: !isOurs }
  }

  const contentOf = ({ files: from, name, contentType, fileName, sizeBytes }: Omit<Found, 'isRemote'>) => ({
    contentType,
    fileName,
    sizeBytes,
    tag: name,
    body: (range = { start: 0, end: sizeBytes - 1 }) => from.body(name, range),
  })

  return {
    maxUploadBytes,
    moderation,
    references,
    retention,
    urlPreviews,
    upload: async (upload) => uriOf(await uploads.upload(upload)),
    async create(owner) {
      const { mediaId, unusedExpiresTs } = await uploads.create(owner)
      return { uri: uriOf(mediaId), unusedExpiresTs }
    },
    uploadTo: (mediaId, upload) => uploads.uploadTo(mediaId, upload),
    content: async (media, waitMs) => contentOf(await find(media, waitMs)),

    async thumbnail(media, request, waitMs) {
      const original = await find(media, waitMs)
      const { name, contentType } = await thumbnails.of(original, request).catch((cause: { errcode?: string }) => {
        throw original.isRemote && cause.errcode === 'M_TOO_LARGE' ? remoteTooLarge() : cause
      })
      if (name === undefined) return contentOf({ ...original, contentType })
      const sizeBytes = (await thumbnailFiles.sizeOf(name)) ?? 0
      const fileName = `thumbnail.${contentType.slice('image/'.length)}`
      return contentOf({ files: thumbnailFiles, name, contentType, fileName, sizeBytes })
    },

    async [Symbol.asyncDispose]() {
      await urlPreviews?.[Symbol.asyncDispose]()
      await upkeep[Symbol.asyncDispose]()
    },
  }
}

async function* noTexts(): AsyncGenerator<string> {}
