import { extname } from 'node:path'

/** Only kinds of files that a build makes; what is not listed is not served. */
const types: Readonly<Record<string, { readonly type: string; readonly compresses: boolean }>> = {
  '.html': { type: 'text/html; charset=utf-8', compresses: true },
  '.js': { type: 'text/javascript; charset=utf-8', compresses: true },
  '.mjs': { type: 'text/javascript; charset=utf-8', compresses: true },
  '.css': { type: 'text/css; charset=utf-8', compresses: true },
  '.json': { type: 'application/json', compresses: true },
  '.webmanifest': { type: 'application/manifest+json', compresses: true },
  '.svg': { type: 'image/svg+xml', compresses: true },
  '.txt': { type: 'text/plain; charset=utf-8', compresses: true },
  '.wasm': { type: 'application/wasm', compresses: true },
  '.ttf': { type: 'font/ttf', compresses: true },
  '.woff': { type: 'font/woff', compresses: false },
  '.woff2': { type: 'font/woff2', compresses: false },
  '.png': { type: 'image/png', compresses: false },
  '.jpg': { type: 'image/jpeg', compresses: false },
  '.webp': { type: 'image/webp', compresses: false },
  '.avif': { type: 'image/avif', compresses: false },
  '.ico': { type: 'image/x-icon', compresses: false },
  '.mp3': { type: 'audio/mpeg', compresses: false },
  '.ogg': { type: 'audio/ogg', compresses: false },
  '.wav': { type: 'audio/wav', compresses: false },
}

export function contentTypeOf(path: string): { readonly type: string; readonly compresses: boolean } | undefined {
  return types[extname(path)]
}
