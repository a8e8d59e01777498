import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { forbidden, limitExceeded, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { contentTypeOf, DEFAULT_CONTENT_TYPE } from './content-headers.ts'
import { type BodyWriter, MediaFiles } from './media-files.ts'
import { type MediaRow, mediaRows } from './store.ts'
import { type ThumbnailRequest, Thumbnails } from './thumbnails.ts'

export { contentHeaders, rangeOf } from './content-headers.ts'
export type { BodyWriter } from './media-files.ts'

/** How long an ID that was made ahead waits for its upload. Spec: POST /_matrix/media/v1/create. */
const UNUSED_KEPT_MS = 24 * 3_600_000
/** How many IDs a user may have waiting. */
const MAX_PENDING = 20
const MAX_FILE_NAME_BYTES = 512
/** The longest a download waits for an upload that is still to come. */
const MAX_WAIT_MS = 60_000

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

export interface Upload {
  readonly owner: string
  readonly contentType: string | undefined
  readonly fileName: string | undefined
  readonly bytes: Readable
}

export interface Media {
  readonly maxUploadBytes: number
  /** @returns the `mxc://` URI; the bytes are safe then @throws MatrixError 413 M_TOO_LARGE */
  upload(upload: Upload): Promise<string>
  /** An ID to upload to later. @throws MatrixError 429 M_LIMIT_EXCEEDED with too many of them waiting */
  create(owner: string): Promise<{ readonly uri: string; readonly unusedExpiresTs: number }>
  /** @throws MatrixError 403 M_FORBIDDEN for another's ID, 409 M_CANNOT_OVERWRITE_MEDIA, 404 M_NOT_FOUND */
  uploadTo(mediaId: string, upload: Upload): Promise<void>
  /**
   * @param waitMs how long to wait for an upload that is still to come
   * @throws MatrixError 404 M_NOT_FOUND, 504 M_NOT_YET_UPLOADED
   */
  content(media: { readonly serverName: string; readonly mediaId: string }, waitMs: number): Promise<MediaContent>
  thumbnail(
    media: { readonly serverName: string; readonly mediaId: string },
    request: ThumbnailRequest,
    waitMs: number,
  ): Promise<MediaContent>
}

/** @param dir the folder for the bytes, made where it is missing */
export async function createMedia(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly dir: string
  readonly maxUploadBytes: number
}): Promise<Media> {
  const { environment, store, maxUploadBytes } = deps
  const files = new MediaFiles(join(deps.dir, 'media'))
  const thumbnailFiles = new MediaFiles(join(deps.dir, 'thumbnails'))
  await Promise.all([files.open(), thumbnailFiles.open()])
  const thumbnails = new Thumbnails(files, thumbnailFiles)
  /** Those who wait for an upload, by media ID. */
  const awaited = new Map<string, Set<() => void>>()

  const uriOf = (mediaId: string): string => `mxc://${environment.serverName}/${mediaId}`
  const newId = (): string => environment.random.bytes(18).toString('base64url')

  async function fill(mediaId: string, upload: Upload, createdTs: number): Promise<void> {
    const { owner, contentType, fileName } = upload
    if (fileName !== undefined && Buffer.byteLength(fileName) > MAX_FILE_NAME_BYTES) {
      throw new MatrixError('M_INVALID_PARAM', 400, `\`filename\` is longer than ${MAX_FILE_NAME_BYTES} bytes`)
    }
    const sizeBytes = await files.write(mediaId, upload.bytes, maxUploadBytes)
    await store.commit(() => [
      put(mediaRows, {
        mediaId,
        owner,
        contentType: contentTypeOf(contentType),
        fileName: fileName ?? null,
        sizeBytes,
        createdTs,
        unusedExpiresTs: null,
        pendingOwner: null,
      }),
    ])
    for (const wake of awaited.get(mediaId) ?? []) wake()
  }

  async function find(
    { serverName, mediaId }: { readonly serverName: string; readonly mediaId: string },
    waitMs: number,
  ): Promise<MediaRow & { readonly sizeBytes: number }> {
    if (serverName !== environment.serverName) throw notFound('Media of other servers cannot be fetched')
    let row = await store.home.get(mediaRows, mediaId)
    if (row && row.sizeBytes === null && !isExpired(row)) {
      await uploaded(mediaId, Math.min(waitMs, MAX_WAIT_MS))
      row = await store.home.get(mediaRows, mediaId)
      if (row?.sizeBytes === null) throw new MatrixError('M_NOT_YET_UPLOADED', 504, 'This has not been uploaded yet')
    }
    if (row?.sizeBytes == null) throw notFound('There is no such media')
    return { ...row, sizeBytes: row.sizeBytes }
  }

  async function uploaded(mediaId: string, waitMs: number): Promise<void> {
    if (waitMs <= 0) return
    const waiters = awaited.get(mediaId) ?? new Set()
    awaited.set(mediaId, waiters)
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel()
        waiters.delete(wake)
        if (waiters.size === 0) awaited.delete(mediaId)
        resolve()
      }
      const cancel = environment.clock.after(waitMs, wake)
      waiters.add(wake)
      // It may have come between the first look and this waiting.
      store.home.get(mediaRows, mediaId).then((row) => {
        if (row?.sizeBytes !== null) wake()
      }, wake)
    })
  }

  const isExpired = (row: MediaRow): boolean =>
    row.unusedExpiresTs !== null && row.unusedExpiresTs <= environment.clock.now()

  return {
    maxUploadBytes,

    async upload(upload) {
      const mediaId = newId()
      await fill(mediaId, upload, environment.clock.now())
      return uriOf(mediaId)
    },

    create: (owner) =>
      store.exclusive(`media ${owner}`, async () => {
        const now = environment.clock.now()
        const pending = await store.home.range(mediaRows, {
          index: 'pendingOwner',
          from: owner,
          to: `${owner}\u0000`,
        })
        const expired = pending.filter(isExpired)
        if (pending.length - expired.length >= MAX_PENDING) {
          const next = Math.min(...pending.map((row) => row.unusedExpiresTs ?? now))
          throw limitExceeded(Math.max(1_000, next - now))
        }
        const mediaId = newId()
        const unusedExpiresTs = now + UNUSED_KEPT_MS
        await store.commit(() => [
          ...expired.map((row) => remove(mediaRows, row.mediaId)),
          put(mediaRows, {
            mediaId,
            owner,
            contentType: DEFAULT_CONTENT_TYPE,
            fileName: null,
            sizeBytes: null,
            createdTs: now,
            unusedExpiresTs,
            pendingOwner: owner,
          }),
        ])
        return { uri: uriOf(mediaId), unusedExpiresTs }
      }),

    uploadTo: (mediaId, upload) =>
      store.exclusive(`media-upload ${mediaId}`, async () => {
        const row = await store.home.get(mediaRows, mediaId)
        if (!row || isExpired(row)) throw notFound('There is no such media')
        if (row.owner !== upload.owner) throw forbidden('Someone else made this media ID')
        if (row.sizeBytes !== null) {
          throw new MatrixError('M_CANNOT_OVERWRITE_MEDIA', 409, 'This has been uploaded already')
        }
        await fill(mediaId, upload, row.createdTs)
      }),

    async content(media, waitMs) {
      const row = await find(media, waitMs)
      return {
        contentType: row.contentType,
        fileName: row.fileName,
        sizeBytes: row.sizeBytes,
        tag: row.mediaId,
        body: (range = { start: 0, end: row.sizeBytes - 1 }) => files.body(row.mediaId, range),
      }
    },

    async thumbnail(media, request, waitMs) {
      const row = await find(media, waitMs)
      const { name, contentType } = await thumbnails.of(row.mediaId, request)
      if (name === undefined) {
        return {
          contentType,
          fileName: row.fileName,
          sizeBytes: row.sizeBytes,
          tag: row.mediaId,
          body: (range = { start: 0, end: row.sizeBytes - 1 }) => files.body(row.mediaId, range),
        }
      }
      const sizeBytes = (await thumbnailFiles.sizeOf(name)) ?? 0
      return {
        contentType,
        fileName: null,
        sizeBytes,
        tag: name,
        body: (range = { start: 0, end: sizeBytes - 1 }) => thumbnailFiles.body(name, range),
      }
    },
  }
}
