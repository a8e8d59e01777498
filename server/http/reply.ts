import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gzip } from 'node:zlib'
import type { MatrixError } from '../../shared/matrix/errors.ts'
import { ClientGone } from './read-body.ts'
import { type BodyWriter, Reply } from './route.ts'

/** JSON larger than this is compressed for clients that ask for it. */
const MIN_GZIP_LENGTH = 4_096

/**
 * On every answer. Spec: client-server-api §Web Browser Clients; the rest keeps a browser from taking an answer for a page.
 */
export const commonHeaders: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE, OPTIONS',
  'access-control-allow-headers': 'X-Requested-With, Content-Type, Authorization',
  'access-control-expose-headers': 'Retry-After, ETag, Content-Disposition, Content-Range',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

const jsonHeaders: Readonly<Record<string, string>> = {
  ...commonHeaders,
  'content-type': 'application/json',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

/** Sends what a handler returned: the JSON of a 200, or a `Reply`. Resolves when it has been handed over to the socket. */
export async function sendResult(request: IncomingMessage, response: ServerResponse, result: unknown): Promise<void> {
  if (!(result instanceof Reply)) return sendJson(request, response, 200, JSON.stringify(result ?? {}))
  const { status, headers, body } = result
  if (typeof body === 'string') return sendJson(request, response, status, body, headers)
  if (body === null || body instanceof Uint8Array) {
    response.writeHead(status, { ...commonHeaders, ...headers, ...lengthOf(status, body) })
    response.end(body ?? undefined)
    return
  }
  response.writeHead(status, { ...commonHeaders, ...headers })
  await (typeof body === 'function' ? sendPieces(request, response, body) : sendStream(request, response, body))
}

function lengthOf(status: number, body: Uint8Array | null): Record<string, string> {
  return status === 204 || status === 304 ? {} : { 'content-length': String(body?.byteLength ?? 0) }
}

async function sendStream(request: IncomingMessage, response: ServerResponse, body: Readable): Promise<void> {
  if (request.method === 'HEAD') {
    body.destroy()
    response.end()
    return
  }
  await pipeline(body, response)
}

/** @throws ClientGone */
async function sendPieces(request: IncomingMessage, response: ServerResponse, body: BodyWriter): Promise<void> {
  if (request.method !== 'HEAD') {
    // A connection that ends forgets whom it would have told of a write.
    let abandon: ((why: ClientGone) => void) | undefined
    const onClose = (): void => abandon?.(new ClientGone())
    response.once('close', onClose)
    await body(
      (bytes) =>
        new Promise((resolve, reject) => {
          abandon = reject
          if (response.destroyed) reject(new ClientGone())
          else response.write(bytes, (error) => (error ? reject(new ClientGone()) : resolve()))
        }),
    )
    response.off('close', onClose)
  }
  response.end()
}

function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers?: Readonly<Record<string, string>>,
): void {
  const own = headers ? { ...jsonHeaders, ...headers } : jsonHeaders
  if (text.length >= MIN_GZIP_LENGTH && acceptsGzip(request)) {
    gzip(text, { level: 1 }, (error, packed) => {
      if (error) response.writeHead(status, { ...own, 'content-length': String(Buffer.byteLength(text)) }).end(text)
      else {
        const length = String(packed.byteLength)
        response.writeHead(status, {
          ...own,
          'content-encoding': 'gzip',
          vary: 'Accept-Encoding',
          'content-length': length,
        })
        response.end(packed)
      }
    })
    return
  }
  response.writeHead(status, { ...own, 'content-length': String(Buffer.byteLength(text)) })
  response.end(text)
}

function acceptsGzip(request: IncomingMessage): boolean {
  const accepted = request.headers['accept-encoding']
  return typeof accepted === 'string' && /\bgzip\b(?!\s*;\s*q=0(\.0+)?\s*(,|$))/.test(accepted)
}

/** Sends the standard error response. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  error: MatrixError,
  headers: Readonly<Record<string, string>> = {},
): void {
  const retryAfterMs = error.extra.retry_after_ms
  const own =
    typeof retryAfterMs === 'number' ? { ...headers, 'retry-after': String(Math.ceil(retryAfterMs / 1000)) } : headers
  sendJson(request, response, error.status, JSON.stringify(error.toBody()), own)
}

/** The answer to a pre-flight request, which runs no endpoint's logic. */
export function sendPreflight(response: ServerResponse): void {
  response.writeHead(204, { ...commonHeaders, 'access-control-max-age': '86400' })
  response.end()
}
