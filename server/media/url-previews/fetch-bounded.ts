import { pipeline, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { type Outbound, RemoteError } from '../../net/index.ts'
import { webUrl } from './target.ts'

const MAX_REDIRECTS = 5
/** Some pages show themselves to nobody without one. No version: it would tell who may be attacked how. */
const USER_AGENT = 'Mozilla/5.0 (compatible; Hearth; Matrix link preview bot)'

export interface Fetched {
  /** Lower case, without parameters; `''` where the answer names none. */
  readonly type: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** After redirects. */
  readonly url: string
}

/**
 * Fetches from the web for somebody who named the URL. Every redirect is checked like the first URL, and the address guard
 * looks at where each connection goes. Nothing is sent along that tells who asks.
 *
 * @param maxBytesOf by content type, how much is read of the (unpacked) body; what is longer is cut there; 0: nothing
 * @throws RemoteError, also for any status but 200
 */
export async function fetchBounded(
  outbound: Outbound,
  first: URL,
  { accept, maxBytesOf, signal, timeoutMs }: FetchWish,
): Promise<Fetched> {
  let url = first
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const answer = await outbound.open({
      url: url.href,
      headers: { accept, 'user-agent': USER_AGENT },
      timeoutMs,
      // It is cut by ourselves, where others say that it is too long.
      maxBytes: Number.MAX_SAFE_INTEGER,
      signal,
    })
    const { location } = answer.headers
    if (location === undefined || ![301, 302, 303, 307, 308].includes(answer.status))
      return take(answer, url, maxBytesOf)
    discard(answer.body)
    const next = webUrl(location, url.href)
    if (!next) throw new RemoteError(url.host, 'badAnswer', 'a redirect to something that is not the web')
    url = next
  }
  throw new RemoteError(first.host, 'badAnswer', 'too many redirects')
}

export interface FetchWish {
  readonly accept: string
  readonly maxBytesOf: (type: string) => number
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

async function take(
  { status, headers, body }: Awaited<ReturnType<Outbound['open']>>,
  url: URL,
  maxBytesOf: FetchWish['maxBytesOf'],
): Promise<Fetched> {
  const type = (headers['content-type']?.split(';')[0] ?? '').trim().toLowerCase()
  const maxBytes = status === 200 ? maxBytesOf(type) : 0
  if (maxBytes === 0) {
    discard(body)
    if (status !== 200) throw new RemoteError(url.host, 'badAnswer', `status ${status}`)
    return { type, headers, body: Buffer.alloc(0), url: url.href }
  }
  try {
    return { type, headers, body: await readUpTo(body, headers['content-encoding'], maxBytes), url: url.href }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw cause instanceof RemoteError ? cause : new RemoteError(url.host, 'badAnswer', why, { cause })
  }
}

/** Packed as it may be, although we asked for it plain: neither what comes nor what it unpacks to is read beyond the limit. */
async function readUpTo(body: Readable, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
  const packed = limited(body, maxBytes)
  const bytes = unpacker(encoding)
  if (bytes) pipeline(packed, bytes, ignore)
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of (bytes ?? packed) as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= maxBytes) break
    }
  } catch (cause) {
    // Packed data that ends early, by the limit or by mistake, is good up to there.
    if (!bytes || size === 0 || (cause as NodeJS.ErrnoException).code !== 'Z_BUF_ERROR') throw cause
  } finally {
    discard(body)
  }
  return Buffer.concat(chunks).subarray(0, maxBytes)
}

async function* limited(body: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    yield chunk
    if (size >= maxBytes) return
  }
}

function unpacker(encoding = '') {
  switch (encoding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return undefined
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'deflate':
      return createInflate()
    case 'br':
      return createBrotliDecompress()
    default:
      throw new Error('packed in a way that nobody asked for')
  }
}

function discard(body: Readable): void {
  body.on('error', ignore).destroy()
}

function ignore(): void {
  // What is thrown away may end as it likes, and the reader of what is unpacked hears of its errors itself.
}
