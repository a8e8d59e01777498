import type { Readable } from 'node:stream'
import { forbidden, invalidParam, limitExceeded, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { orderKey, put, remove, type Store } from '../store/index.ts'
import { contentTypeOf, DEFAULT_CONTENT_TYPE } from './content-headers.ts'
import type { MediaFiles } from './media-files.ts'
import { type MediaRow, mediaRows } from './store.ts'
import type { UsageCounts } from './usage.ts'

/** How long an ID that was made ahead waits for its upload. Spec: POST /_matrix/media/v1/create. */
const UNUSED_KEPT_MS = 24 * 3_600_000
/** How many IDs a user may have waiting. */
const MAX_PENDING = 20
const MAX_FILE_NAME_BYTES = 512
const ROWS_PER_COMMIT = 500
/** The longest a download waits for an upload that is still to come. */
const MAX_WAIT_MS = 60_000

export interface Upload {
  readonly owner: string
  readonly contentType: string | undefined
  readonly fileName: string | undefined
  readonly bytes: Readable
}

/** A row whose bytes are there. */
export type Uploaded = MediaRow & { readonly sizeBytes: number }

/** What users of this server upload. */
export class Uploads {
  readonly #environment: Environment
  readonly #store: Store
  readonly #files: MediaFiles
  readonly #usage: UsageCounts
  readonly #maxBytes: number
  /** Those who wait for an upload, by media ID. */
  readonly #awaited = new Map<string, Set<() => void>>()

  constructor(deps: {
    readonly environment: Environment
    readonly store: Store
    readonly files: MediaFiles
    readonly usage: UsageCounts
    readonly maxBytes: number
  }) {
    this.#environment = deps.environment
    this.#store = deps.store
    this.#files = deps.files
    this.#usage = deps.usage
    this.#maxBytes = deps.maxBytes
  }

  /** @returns its media ID */
  async upload(upload: Upload): Promise<string> {
    const mediaId = this.#newId()
    await this.#fill(mediaId, upload, this.#environment.clock.now())
    return mediaId
  }

  create(owner: string): Promise<{ readonly mediaId: string; readonly unusedExpiresTs: number }> {
    return this.#store.exclusive(`media ${owner}`, async () => {
      const now = this.#environment.clock.now()
      const pending = await this.#store.home.range(mediaRows, {
        index: 'pendingOwner',
        from: owner,
        to: `${owner}\u0000`,
      })
      const expired = pending.filter((row) => this.#isExpired(row))
      if (pending.length - expired.length >= MAX_PENDING) {
        const next = Math.min(...pending.map((row) => row.unusedExpiresTs ?? now))
        throw limitExceeded(Math.max(1_000, next - now))
      }
      const mediaId = this.#newId()
      const unusedExpiresTs = now + UNUSED_KEPT_MS
      await this.#store.commit(() => [
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
          ownerOrder: null,
        }),
      ])
      return { mediaId, unusedExpiresTs }
    })
  }

  uploadTo(mediaId: string, upload: Upload): Promise<void> {
    return this.#store.exclusive(`media-upload ${mediaId}`, async () => {
      const row = await this.#store.home.get(mediaRows, mediaId)
      if (!row || this.#isExpired(row)) throw notFound('There is no such media')
      if (row.owner !== upload.owner) throw forbidden('Someone else made this media ID')
      if (row.sizeBytes !== null) {
        throw new MatrixError('M_CANNOT_OVERWRITE_MEDIA', 409, 'This has been uploaded already')
      }
      await this.#fill(mediaId, upload, row.createdTs, true)
    })
  }

  /**
   * @param waitMs how long to wait for an upload that is still to come
   * @returns `undefined` where there is none
   * @throws MatrixError 504 M_NOT_YET_UPLOADED
   */
  async find(mediaId: string, waitMs: number): Promise<Uploaded | undefined> {
    let row = await this.#store.home.get(mediaRows, mediaId)
    if (row && row.sizeBytes === null && !this.#isExpired(row)) {
      await this.#uploaded(mediaId, Math.min(waitMs, MAX_WAIT_MS))
      row = await this.#store.home.get(mediaRows, mediaId)
      if (row?.sizeBytes === null) throw new MatrixError('M_NOT_YET_UPLOADED', 504, 'This has not been uploaded yet')
    }
    return row?.sizeBytes == null ? undefined : { ...row, sizeBytes: row.sizeBytes }
  }

  /** Row first, then the file: a crash between leaves a file that nothing names, which the next start removes. */
  async remove(mediaId: string): Promise<boolean> {
    const found = await this.#store.home.get(mediaRows, mediaId)
    if (!found) return false
    let isRemoved = false
    await this.#usage.change(found.owner, async () => {
      const row = await this.#store.home.get(mediaRows, mediaId)
      if (!row) return { files: 0, bytes: 0, ops: () => [] }
      isRemoved = true
      const isFile = row.sizeBytes !== null
      return {
        files: isFile ? -1 : 0,
        bytes: -(row.sizeBytes ?? 0),
        ops: () => [remove(mediaRows, mediaId)],
      }
    })
    if (isRemoved) await this.#files.remove(mediaId)
    return isRemoved
  }

  /**
   * Newest first; nothing that is still to be uploaded.
   * @param before the `next` of the page before
   */
  async list(
    owner: string,
    { limit, before }: { readonly limit: number; readonly before?: string | undefined },
  ): Promise<{ readonly rows: readonly Uploaded[]; readonly next?: string }> {
    const from = `${owner}\u0000`
    const rows = await this.#store.home.range(mediaRows, {
      index: 'ownerOrder',
      from,
      to: before === undefined ? `${owner}\u0001` : `${from}${before}`,
      direction: 'backward',
      limit,
    })
    const last = rows.at(-1)?.ownerOrder
    return {
      rows: rows as readonly Uploaded[],
      ...(last && rows.length === limit && { next: last.slice(from.length) }),
    }
  }

  /**
   * Gives uploads from before there were lists their places in them: before all others, oldest first. To be called before anything
   * else is.
   */
  async listEarlier(): Promise<void> {
    const all = await this.#store.home.range(mediaRows, { index: 'createdTs' })
    const earlier = all.filter((row) => row.sizeBytes !== null && typeof row.ownerOrder !== 'string')
    for (let start = 0; start < earlier.length; start += ROWS_PER_COMMIT) {
      // Each upload took a position of its own, so these numbers are lower than any later one's.
      const ops = earlier
        .slice(start, start + ROWS_PER_COMMIT)
        .map((row, at) => put(mediaRows, { ...row, ownerOrder: orderKey(row.owner, start + at) }))
      await this.#store.commit(() => ops)
    }
  }

  /** Forgets IDs made ahead for which nothing came in time. */
  async forgetUnused(): Promise<void> {
    const to = this.#environment.clock.now()
    const expired = await this.#store.home.range(mediaRows, { index: 'unusedExpiresTs', to, limit: 1_000 })
    for (const { mediaId } of expired) {
      // Not while somebody uploads to it, whose upload began in time.
      await this.#store.exclusive(`media-upload ${mediaId}`, async () => {
        const row = await this.#store.home.get(mediaRows, mediaId)
        if (row?.sizeBytes === null) await this.#store.commit(() => [remove(mediaRows, mediaId)])
      })
    }
  }

  /** @param isMadeAhead whether there must be a row already */
  async #fill(mediaId: string, upload: Upload, createdTs: number, isMadeAhead = false): Promise<void> {
    const { owner, contentType, fileName } = upload
    if (fileName !== undefined && Buffer.byteLength(fileName) > MAX_FILE_NAME_BYTES) {
      throw invalidParam(`\`filename\` is longer than ${MAX_FILE_NAME_BYTES} bytes`)
    }
    const left = await this.#usage.left(owner)
    if (left <= 0) throw this.#usage.refusal()
    using _held = this.#files.hold(mediaId)
    const sizeBytes =
      left < this.#maxBytes
        ? await this.#files.write(mediaId, upload.bytes, left, () => this.#usage.refusal())
        : await this.#files.write(mediaId, upload.bytes, this.#maxBytes)
    try {
      await this.#usage.change(owner, async () => {
        if (isMadeAhead && !(await this.#store.home.get(mediaRows, mediaId))) throw notFound('There is no such media')
        const row = { mediaId, owner, contentType: contentTypeOf(contentType), fileName: fileName ?? null, sizeBytes }
        return {
          files: 1,
          bytes: sizeBytes,
          ops: (position) => [
            put(mediaRows, {
              ...row,
              createdTs,
              unusedExpiresTs: null,
              pendingOwner: null,
              ownerOrder: orderKey(owner, position),
            }),
          ],
        }
      })
    } catch (cause) {
      await this.#files.remove(mediaId)
      throw cause
    }
    for (const wake of this.#awaited.get(mediaId) ?? []) wake()
  }

  async #uploaded(mediaId: string, waitMs: number): Promise<void> {
    if (waitMs <= 0) return
    const waiters = this.#awaited.get(mediaId) ?? new Set()
    this.#awaited.set(mediaId, waiters)
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel()
        waiters.delete(wake)
        if (waiters.size === 0) this.#awaited.delete(mediaId)
        resolve()
      }
      const cancel = this.#environment.clock.after(waitMs, wake)
      waiters.add(wake)
      // It may have come between the first look and this waiting.
      this.#store.home.get(mediaRows, mediaId).then((row) => {
        if (row?.sizeBytes !== null) wake()
      }, wake)
    })
  }

  #newId(): string {
    return this.#environment.random.bytes(18).toString('base64url')
  }

  #isExpired(row: MediaRow): boolean {
    return row.unusedExpiresTs !== null && row.unusedExpiresTs <= this.#environment.clock.now()
  }
}
