import type { MatrixClient } from 'matrix-js-sdk'
import { decryptAttachment, encryptAttachment } from './attachment-crypto.ts'
import { Failure, failureOf } from './failure.ts'
import { failureOfAnswer } from './request.ts'
import type { EncryptedFile, MediaRef } from './rows.ts'
import type { TokenKeeper } from './token-keeper.ts'

export interface Uploaded {
  readonly mxc: string
  readonly encryption: EncryptedFile | null
}

export interface MediaAccess {
  /** The bytes of a file, decrypted where it was encrypted. Throws a `Failure`. */
  readonly download: (media: MediaRef, signal?: AbortSignal) => Promise<Blob>
  /** A small picture of a plain one, at most `size` by `size` pixels, made by the server. */
  readonly thumbnail: (mxc: string, size: number, signal?: AbortSignal) => Promise<Blob>
  /**
   * Stores a file at the server, encrypted first where asked.
   * @param options `onProgress` hears fractions from 0 to 1
   */
  readonly upload: (
    file: Blob,
    options: { encrypt: boolean; name: string; onProgress?: (fraction: number) => void; signal?: AbortSignal },
  ) => Promise<Uploaded>
  /** The largest file that the server takes, in bytes; `null` where it does not say. */
  readonly maxUploadBytes: () => Promise<number | null>
}

/** Files and pictures, through the authenticated media endpoints. Spec: client-server-api §Content repository. */
export function createMediaAccess(client: MatrixClient, keeper: TokenKeeper): MediaAccess {
  let limit: Promise<number | null> | undefined

  const fetchBytes = async (url: string | null, signal: AbortSignal | undefined): Promise<ArrayBuffer> => {
    if (!url) throw new Failure('notFound')
    let response: Response
    try {
      response = await keeper.fetch(url, { headers: { authorization: 'Bearer' }, ...(signal ? { signal } : {}) })
      if (response.ok) return await response.arrayBuffer()
    } catch (cause) {
      throw new Failure(signal?.aborted ? 'cancelled' : 'offline', { cause })
    }
    throw failureOfAnswer(response.status, await response.json().catch(() => undefined))
  }

  const urlOf = (mxc: string, size?: number): string | null =>
    size === undefined
      ? client.mxcUrlToHttp(mxc, undefined, undefined, undefined, false, true, true)
      : client.mxcUrlToHttp(mxc, size, size, 'crop', false, true, true)

  return {
    download: async (media, signal) => {
      const bytes = await fetchBytes(urlOf(media.mxc), signal)
      const plain = media.encryption ? await decryptAttachment(bytes, media.encryption) : bytes
      return new Blob([plain], { type: safeMime(media.mime) })
    },
    thumbnail: async (mxc, size, signal) => new Blob([await fetchBytes(urlOf(mxc, size), signal)]),
    upload: async (file, { encrypt, name, onProgress, signal }) => {
      const sealed = encrypt ? await encryptAttachment(await file.arrayBuffer()) : undefined
      if (signal?.aborted) throw new Failure('cancelled')
      const mxc = await send({
        url: `${client.getHomeserverUrl()}/_matrix/media/v3/upload${sealed ? '' : `?filename=${encodeURIComponent(name)}`}`,
        token: await keeper.freshToken(),
        // the server learns neither kind nor name of what is encrypted
        mime: sealed ? 'application/octet-stream' : file.type || 'application/octet-stream',
        body: sealed ? sealed.bytes : file,
        onProgress,
        signal,
      })
      return { mxc, encryption: sealed ? sealed.fileAt(mxc) : null }
    },
    maxUploadBytes: () => {
      limit ??= client
        .getMediaConfig(true)
        .then((config) => config['m.upload.size'] ?? null)
        .catch((error: unknown) => {
          // asked again next time; meanwhile the server itself refuses what is too large
          limit = undefined
          if (failureOf(error).isTransient) return null
          return null
        })
      return limit
    },
  }
}

/**
 * One upload by XMLHttpRequest, the only transport of the web that tells how far it has come.
 * Without one (Node) it goes through `fetch`, and progress is told once, at the end.
 */
function send(options: {
  url: string
  token: string
  mime: string
  body: Blob | ArrayBuffer
  onProgress: ((fraction: number) => void) | undefined
  signal: AbortSignal | undefined
}): Promise<string> {
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) {
      reject(new Failure('cancelled'))
      return
    }
    const request = new XMLHttpRequest()
    request.open('POST', options.url)
    request.responseType = 'json'
    request.setRequestHeader('authorization', `Bearer ${options.token}`)
    request.setRequestHeader('content-type', options.mime)
    request.upload.onprogress = ({ loaded, total }) => options.onProgress?.(total > 0 ? loaded / total : 0)
    request.onload = () => {
      const answer = request.response as { content_uri?: unknown } | null
      if (request.status === 200 && typeof answer?.content_uri === 'string') resolve(answer.content_uri)
      else reject(failureOfAnswer(request.status, answer))
    }
    request.onerror = () => reject(new Failure('offline'))
    request.onabort = () => reject(new Failure('cancelled'))
    options.signal?.addEventListener('abort', () => request.abort(), { once: true })
    request.send(options.body)
  })
}

const SHOWN = new Set([
  'image/jpeg',
  'image/png',
  'image/gif',
  'image/webp',
  'image/avif',
  'audio/mpeg',
  'audio/mp4',
  'audio/ogg',
  'audio/wav',
  'audio/webm',
  'audio/flac',
  'video/mp4',
  'video/webm',
  'video/ogg',
])

/** A type that cannot run as a page from our own origin: what a sender calls `text/html` or SVG becomes plain bytes. */
export function safeMime(mime: string): string {
  const plain = mime.split(';')[0]?.trim().toLowerCase() ?? ''
  return SHOWN.has(plain) ? plain : 'application/octet-stream'
}
