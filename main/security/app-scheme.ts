import { readFile } from 'node:fs/promises'
import { extname, join, normalize, sep } from 'node:path'

/** The page's own scheme and address: an origin that no web site can have. */
export const APP_SCHEME = 'hearth'
export const APP_ORIGIN = 'hearth://app'

/**
 * What the page may load and run. Electron's list: "Define a Content Security Policy".
 * Messages go to whichever server the person signs in to, so connections to any are open; scripts are only our own.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "font-src 'self'",
  "connect-src 'self' blob: https: http://127.0.0.1:* http://localhost:*",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-src 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Electron's `registerSchemesAsPrivileged` entry: a standard, secure origin, so that storage and encryption work. */
export const APP_SCHEME_PRIVILEGES = {
  scheme: APP_SCHEME,
  privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true, codeCache: true },
} as const

const TYPES: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.wasm', 'application/wasm'],
  ['.svg', 'image/svg+xml'],
  ['.png', 'image/png'],
  ['.ico', 'image/x-icon'],
  ['.woff2', 'font/woff2'],
  ['.json', 'application/json'],
  ['.webmanifest', 'application/manifest+json'],
])

/**
 * The file that an address of ours names, or `undefined` where it leads out of the folder or names another host.
 * @param folder absolute path of the built page
 */
export function fileOf(url: string, folder: string): string | undefined {
  const { protocol, host, pathname } = new URL(url)
  if (protocol !== `${APP_SCHEME}:` || host !== 'app') return undefined
  let path: string
  try {
    path = decodeURIComponent(pathname)
  } catch {
    // Not valid percent-encoding, so it names no file.
    return undefined
  }
  if (path.includes('\0')) return undefined
  const file = normalize(join(folder, path))
  if (file !== folder && !file.startsWith(folder + sep)) return undefined
  // Addresses within the app (its router's) are the page itself.
  return extname(file) === '' ? join(folder, 'index.html') : file
}

/** Answers the page's own requests from the built files. */
export async function serveApp(request: { readonly url: string }, folder: string): Promise<Response> {
  const file = fileOf(request.url, folder)
  const type = file && TYPES.get(extname(file))
  if (!file || !type) return new Response('Not found', { status: 404 })
  try {
    return new Response(new Uint8Array(await readFile(file)), {
      headers: {
        'content-type': type,
        'content-security-policy': CONTENT_SECURITY_POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      },
    })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return new Response('Not found', { status: 404 })
    throw cause
  }
}
