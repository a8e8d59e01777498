/**
 * The app's page, served by client listeners: the built files of `renderer/`, from a list made at the start, so no request can
 * name a file that is not in it.
 */
import { createReadStream, readdirSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { contentTypeOf } from './content-types.ts'
import { pageHeaders } from './page-headers.ts'

/** Answers a request for a file of the page. @returns `false` for what is no path of the page */
export type Page = (request: IncomingMessage, response: ServerResponse) => boolean

interface PageFile {
  readonly path: string
  readonly type: string
  readonly sizeBytes: number
  readonly etag: string
  readonly isImmutable: boolean
  readonly compresses: boolean
  /** Made when first asked for. */
  readonly compressed: Map<Encoding, Promise<Buffer>>
}

type Encoding = 'br' | 'gzip'

/** Paths that belong to the APIs, whatever is there. */
const API_PATH = /^\/(_matrix|_synapse|_hearth|\.well-known)(\/|$)/
/** Names that a build makes anew whenever the content changes, e.g. `index-DiwrgTda.js`. */
const HASHED_NAME = /-[A-Za-z0-9_-]{8,}\.\w+$/
/** Smaller files gain nothing. */
const MIN_COMPRESSED_BYTES = 1_024
/** Brotli's middle way: a few percent larger than its best, in a hundredth of the time. */
const BROTLI_QUALITY = 5

const brotliAsync = promisify(brotliCompress)
const gzipAsync = promisify(gzip)

/** @param folder the built page; where it is missing, a page says how to build it */
export function createPage(folder: string): Page {
  const files = listFiles(folder)
  const start = files.get('/index.html')

  return (request, response) => {
    const path = pathOf(request.url ?? '')
    if (path === undefined || API_PATH.test(path)) return false
    if (request.method !== 'GET' && request.method !== 'HEAD') return false
    const file = path === '/' ? start : files.get(path)
    if (file) sendFile(file, request, response)
    else if (path === '/') sendNotBuilt(request, response)
    // Paths without an extension are what people type or bookmark; the app keeps its own places behind `#`.
    else if (extname(path) === '') response.writeHead(302, { ...pageHeaders, location: '/' }).end()
    else return false
    return true
  }
}

function pathOf(url: string): string | undefined {
  const path = url.split('?', 1)[0] as string
  try {
    return decodeURIComponent(path)
  } catch {
    // Not percent-encoded UTF-8: no file of ours.
    return undefined
  }
}

/** By URL path. */
function listFiles(folder: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>()
  const walk = (at: string, url: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name)
      if (entry.isDirectory()) walk(path, `${url}${entry.name}/`)
      const content = contentTypeOf(entry.name)
      if (!entry.isFile() || entry.name.startsWith('.') || !content) continue
      const { size, mtimeMs } = statSync(path)
      files.set(`${url}${entry.name}`, {
        path,
        type: content.type,
        sizeBytes: size,
        etag: `"${size.toString(36)}-${Math.round(mtimeMs).toString(36)}"`,
        isImmutable: url.startsWith('/assets/') && HASHED_NAME.test(entry.name),
        compresses: content.compresses && size >= MIN_COMPRESSED_BYTES,
        compressed: new Map(),
      })
    }
  }
  try {
    walk(folder, '/')
  } catch (cause) {
    // Not built: the page says so.
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
  }
  return files
}

function sendFile(file: PageFile, request: IncomingMessage, response: ServerResponse): void {
  const encoding = file.compresses ? encodingFor(request) : undefined
  const etag = encoding ? file.etag.replace(/"$/, `-${encoding}"`) : file.etag
  const headers: Record<string, string> = {
    ...pageHeaders,
    'content-type': file.type,
    'cache-control': file.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag,
    ...(file.compresses && { vary: 'Accept-Encoding' }),
  }
  if (isFresh(request, etag)) {
    response.writeHead(304, headers).end()
    return
  }
  if (encoding) sendCompressed(file, encoding, headers, request, response)
  else sendPlain(file, headers, request, response)
}

function sendPlain(
  file: PageFile,
  headers: Record<string, string>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (request.method === 'HEAD') {
    response.writeHead(200, { ...headers, 'content-length': String(file.sizeBytes) }).end()
    return
  }
  const stream = createReadStream(file.path)
  stream.once('error', () => gone(response))
  stream.once('open', () => {
    response.writeHead(200, { ...headers, 'content-length': String(file.sizeBytes) })
    stream.pipe(response)
  })
  response.once('close', () => stream.destroy())
}

function sendCompressed(
  file: PageFile,
  encoding: Encoding,
  headers: Record<string, string>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const bytes = file.compressed.get(encoding) ?? compress(file.path, encoding)
  file.compressed.set(encoding, bytes)
  bytes.then(
    (packed) => {
      response.writeHead(200, {
        ...headers,
        'content-encoding': encoding,
        'content-length': String(packed.byteLength),
      })
      response.end(request.method === 'HEAD' ? undefined : packed)
    },
    () => {
      file.compressed.delete(encoding)
      gone(response)
    },
  )
}

async function compress(path: string, encoding: Encoding): Promise<Buffer> {
  const bytes = await readFile(path)
  if (encoding === 'gzip') return gzipAsync(bytes)
  return brotliAsync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength },
  })
}

/** A file of the list is not there any more: the page was built anew while we run. */
function gone(response: ServerResponse): void {
  if (response.headersSent) response.destroy()
  else response.writeHead(503, { ...pageHeaders, 'retry-after': '5' }).end()
}

function encodingFor(request: IncomingMessage): Encoding | undefined {
  const accepted = request.headers['accept-encoding']
  if (typeof accepted !== 'string') return undefined
  const names = accepted.split(',').filter((part) => !/;\s*q=0(\.0+)?\s*$/.test(part))
  const has = (name: string): boolean => names.some((part) => part.split(';', 1)[0]?.trim() === name)
  return has('br') ? 'br' : has('gzip') ? 'gzip' : undefined
}

function isFresh(request: IncomingMessage, etag: string): boolean {
  const known = request.headers['if-none-match']
  return known?.split(',').some((one) => one.trim().replace(/^W\//, '') === etag) ?? false
}

function sendNotBuilt(request: IncomingMessage, response: ServerResponse): void {
  const text = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Hearth</title>
<p>This is a Hearth homeserver. Its app has not been built yet: run <code>npm run build</code> and start the server again.
<p>Any Matrix client can sign in here.`
  response.writeHead(200, {
    ...pageHeaders,
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-length': String(Buffer.byteLength(text)),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}
