import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { invalidParam, limitExceeded, MatrixError, tooLarge } from '../../../shared/matrix/errors.ts'
import { type Outbound, RemoteError } from '../../net/index.ts'
import type { Environment } from '../../observe/environment.ts'
import { orderKey, put, remove, type Store } from '../../store/index.ts'
import type { MediaCache } from '../cache.ts'
import type { Images } from '../images.ts'
import { type PreviewRow, previewRows } from '../store.ts'
import { decodeText } from './charset.ts'
import { type Fetched, fetchBounded } from './fetch-bounded.ts'
import { readPage } from './page-facts.ts'
import { webUrl } from './target.ts'

/** What a page says of itself stands at its beginning. */
const MAX_PAGE_BYTES = 1024 * 1024
const MAX_IMAGE_BYTES = 5 * 1024 * 1024
/** Pictures that are tried, where the first ones are none. */
const MAX_IMAGES_TRIED = 2
/** For the page and its pictures together. */
const TIMEOUT_MS = 12_000
const FETCHED_AT_ONCE = 4
const MAX_WAITING = 40
const FRESH_MS = { usual: 3_600_000, least: 600_000, most: 24 * 3_600_000, failed: 300_000 } as const
/** Older ones are shown to those who ask for that time. */
const KEPT_MS = 7 * 24 * 3_600_000
const MAX_KEPT = 2_000

type Answer = Readonly<Record<string, string | number>>

/** What is behind the links that people send. Spec: client-server-api, GET /_matrix/client/v1/media/preview_url. */
export interface UrlPreviews extends AsyncDisposable {
  /**
   * @param ts for what the page said at that time, where that is still known; otherwise what it says now
   * @returns the answer's body; empty where there is nothing to say
   * @throws MatrixError 400 M_INVALID_PARAM; 502 M_UNKNOWN where the page cannot be had, whyever: who asks learns nothing of
   * our own network; 429 M_LIMIT_EXCEEDED
   */
  get(url: string, ts: number | undefined): Promise<Answer>
  /** Forgets what is old. */
  tidy(): Promise<void>
}

export function createUrlPreviews(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly outbound: Outbound
  readonly cache: MediaCache
  readonly images: Images
  readonly timeoutMs?: number
}): UrlPreviews {
  const { environment, store, outbound, cache, images, timeoutMs = TIMEOUT_MS } = deps
  const stopping = new AbortController()
  /** One fetch for all who ask at once, by URL. */
  const running = new Map<string, Promise<PreviewRow>>()
  const waiting: (() => void)[] = []
  let fetching = 0

  const mediaOf = (imageId: string): string => `${environment.serverName}/${imageId}`

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (fetching >= FETCHED_AT_ONCE) {
      if (waiting.length >= MAX_WAITING) throw limitExceeded(1_000)
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else fetching += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else fetching -= 1
    }
  }

  const timeLimits = () => ({ timeoutMs, signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(timeoutMs)]) })
  type TimeLimits = ReturnType<typeof timeLimits>

  /** @returns its part of the answer, or `undefined` for what is no picture that we decode */
  async function keepImage({ body }: Fetched) {
    if (body.length > MAX_IMAGE_BYTES) return undefined
    try {
      const { contentType, width, height } = await images.inTurn(() => images.readBytes(body))
      const imageId = environment.random.bytes(18).toString('base64url')
      await cache.add({
        media: mediaOf(imageId),
        contentType,
        fileName: null,
        bytes: Readable.from([body]),
        maxBytes: MAX_IMAGE_BYTES,
        refusal: () => tooLarge('The picture is too large'),
      })
      const answer: Answer = {
        'og:image': `mxc://${mediaOf(imageId)}`,
        'og:image:type': contentType,
        'og:image:width': width,
        'og:image:height': height,
        'matrix:image:size': body.length,
      }
      return { imageId, answer }
    } catch (cause) {
      if (cause instanceof MatrixError) return undefined
      throw cause
    }
  }

  async function findImage(urls: readonly string[], time: TimeLimits) {
    for (const text of urls.slice(0, MAX_IMAGES_TRIED)) {
      try {
        const url = webUrl(text)
        const accept = 'image/webp, image/png, image/jpeg, image/gif, image/avif'
        // One byte more than is kept tells what is too long.
        const fetched = url && (await fetchBounded(outbound, url, { ...time, accept, maxBytesOf: imageBytes }))
        const kept = fetched && (await keepImage(fetched))
        if (kept) return kept
      } catch (cause) {
        // A preview without a picture is better than none, unless it is our stop that takes it.
        if (!(cause instanceof RemoteError) || stopping.signal.aborted) throw cause
      }
    }
    return undefined
  }

  async function look(url: URL): Promise<{ answer: Answer; imageId: string | null; freshMs: number }> {
    const time = timeLimits()
    const page = await fetchBounded(outbound, url, { ...time, accept: 'text/html, */*;q=0.5', maxBytesOf })
    const freshMs = freshMsOf(page.headers['cache-control'])
    if (page.type.startsWith('image/')) {
      const kept = await keepImage(page)
      const title = fileNameOf(page.url)
      const answer = { ...(kept && title !== '' && { 'og:title': title }), ...kept?.answer }
      return { answer, imageId: kept?.imageId ?? null, freshMs }
    }
    if (page.body.length === 0) return { answer: {}, imageId: null, freshMs }
    const { og, imageUrls } = await readPage(decodeText(page.body, page.headers['content-type']), page.url)
    const kept = await findImage(imageUrls, time)
    return { answer: { ...og, ...kept?.answer }, imageId: kept?.imageId ?? null, freshMs }
  }

  async function fetchVersion(url: URL, id: string): Promise<PreviewRow> {
    return inTurn(async () => {
      let seen: { answer: Answer | null; imageId: string | null; freshMs: number }
      try {
        seen = await look(url)
      } catch (cause) {
        if (!(cause instanceof RemoteError) || stopping.signal.aborted) throw cause
        environment.logger.debug({ event: 'url-preview.failed', why: cause.failure })
        seen = { answer: null, imageId: null, freshMs: FRESH_MS.failed }
      }
      const now = environment.clock.now()
      const row: PreviewRow = {
        version: orderKey(id, now),
        answer: seen.answer && JSON.stringify(seen.answer),
        imageId: seen.imageId,
        fetchedTs: now,
        expiresTs: now + seen.freshMs,
      }
      const excess = (await store.home.count(previewRows)) + 1 - MAX_KEPT
      const oldest = excess > 0 ? await store.home.range(previewRows, { index: 'fetchedTs', limit: excess }) : []
      await store.commit(() => [...oldest.map(({ version }) => remove(previewRows, version)), put(previewRows, row)])
      return row
    })
  }

  /** What is known of that time, or still counts now. */
  async function findVersion(id: string, ts: number | undefined): Promise<PreviewRow | undefined> {
    const now = environment.clock.now()
    const versions = await store.home.range(previewRows, {
      index: 'version',
      from: `${id}\u0000`,
      to: `${id}\u0001`,
      direction: 'backward',
    })
    const isOf = (time: number) => (row: PreviewRow) => row.fetchedTs <= time && time < row.expiresTs
    const found =
      (ts === undefined ? undefined : versions.filter(({ answer }) => answer !== null).find(isOf(ts))) ??
      versions.find(isOf(now))
    // Its picture may have had to make room for others.
    if (found?.imageId != null && !(await cache.find(mediaOf(found.imageId)))) return undefined
    return found
  }

  return {
    async get(text, ts) {
      const url = webUrl(text)
      if (!url) throw invalidParam('`url` is not the URL of a page on the web')
      const id = createHash('sha256').update(url.href).digest('base64url')
      const known = running.get(id) ?? (await findVersion(id, ts))
      let fetched = known ?? running.get(id)
      if (!fetched) {
        fetched = fetchVersion(url, id).finally(() => running.delete(id))
        running.set(id, fetched)
      }
      const { answer } = await fetched
      if (answer === null) throw new MatrixError('M_UNKNOWN', 502, 'The page cannot be fetched')
      return JSON.parse(answer) as Answer
    },

    async tidy() {
      const old = await store.home.range(previewRows, {
        index: 'fetchedTs',
        to: environment.clock.now() - KEPT_MS,
        limit: MAX_KEPT,
      })
      if (old.length > 0) await store.commit(() => old.map(({ version }) => remove(previewRows, version)))
    },

    async [Symbol.asyncDispose]() {
      stopping.abort()
      await Promise.allSettled(running.values())
    },
  }
}

const imageBytes = (type: string): number => (type.startsWith('image/svg') ? 0 : MAX_IMAGE_BYTES + 1)

function maxBytesOf(type: string): number {
  if (type === 'text/html' || type === 'application/xhtml+xml') return MAX_PAGE_BYTES
  return type.startsWith('image/') ? imageBytes(type) : 0
}

/** Within bounds of ours: nobody makes us ask all the time, or never again. */
function freshMsOf(cacheControl: string | undefined): number {
  const seconds = /(?:^|[\s,])max-age=(\d{1,9})/.exec(cacheControl ?? '')?.[1]
  if (seconds === undefined) return FRESH_MS.usual
  return Math.min(Math.max(Number(seconds) * 1_000, FRESH_MS.least), FRESH_MS.most)
}

function fileNameOf(url: string): string {
  const last = new URL(url).pathname.split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(last)
      .toWellFormed()
      .replaceAll(/\p{Cc}/gu, ' ')
      .slice(0, 200)
  } catch (cause) {
    // Names that are no UTF-8 stay as they are written.
    if (cause instanceof URIError) return last.slice(0, 200)
    throw cause
  }
}
